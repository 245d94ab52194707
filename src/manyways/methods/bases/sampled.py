"""Gradient methods whose batches a sampler picks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Generic

from manyways.methods.bases.gradient import GradientMethod
from manyways.methods.fields import Written
from manyways.training.samplers import SAMPLERS, Epochs, Sampler, make_sampler, sampler_text
from manyways.training.steps import LearnerT

AUTO = "auto"


def sampler_names() -> tuple[str, ...]:
    """The names of samplers, and auto."""
    return (AUTO, *SAMPLERS)


def check_sampler(value: str | Sampler) -> str:
    """The sampler `value` as text. Raises ParameterError where it is none."""
    return AUTO if value == AUTO else sampler_text(value)


@dataclass(frozen=True, kw_only=True)
class Sampled(GradientMethod[LearnerT], Generic[LearnerT]):
    """A gradient method whose batches a sampler picks: a field of it, and how the learner gets one."""

    sampler: Annotated[str | Sampler, Written(sampler_names, check_sampler)] = "auto"
    """Sampler of a step's rows: epochs (each once before any comes again), by-length (batches of rows of similar
    length), weighted (by sample weights), balanced (every class equally often), curriculum (easy rows first, as in
    curriculum(difficulty=length, order=hard)), self-paced (rows of a low loss first), stages (one task after the
    other), no-duplicates (no two rows of a batch share an input). auto: as suits what is learned."""

    field_trials: ClassVar = {"sampler": {"sampler": "curriculum(order=random, start=0.1, until=1)"}}

    def __post_init__(self) -> None:
        super().__post_init__()
        # A sampler given as an object describes one, and each training makes its own.
        object.__setattr__(self, "sampler", check_sampler(self.sampler))

    def roles_used(self) -> tuple[str, ...]:
        """Those of the method, and those of its sampler."""
        return (*super().roles_used(), *self._new_sampler().uses)

    def fewest_steps(self) -> int:
        return super().fewest_steps() + self._new_sampler().trains_first

    def put_sampler(self, learner: LearnerT, default: Callable[[], Sampler] = Epochs) -> None:
        """Let `learner` pick by the sampler of this method; by `default` where that is left open."""
        learner.sampler = self._new_sampler(default)
        learner.sampler.look(learner)

    def _new_sampler(self, default: Callable[[], Sampler] = Epochs) -> Sampler:
        return default() if self.sampler == AUTO else make_sampler(self.sampler).resting_on(default)
