"""The protocol between the loop and a method: all that the loop asks of what it trains by."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from manyways.training.learner import Learner

Batch = dict[str, Any]
LearnerT = TypeVar("LearnerT", bound=Learner)
LearnerT_contra = TypeVar("LearnerT_contra", bound=Learner, contravariant=True)


@dataclass(frozen=True, eq=False)
class ParameterGroup:
    """Parameters that share a learning rate, the highest one, and are frozen until the share `starts` of the steps."""

    parameters: list[nn.Parameter]
    rate: float
    starts: float = 0.0


class Steps(Protocol[LearnerT_contra]):
    """All that the loop calls to take steps on a learner; every `GradientMethod` has it."""

    @property
    def weight_decay(self) -> float:
        """Decoupled weight decay of the matrices."""

    @property
    def patience(self) -> int | None:
        """Looks at the validation rows without a better score before training stops; None: see `EarlyStopping`."""

    def prepare(self, learner: LearnerT_contra, /) -> None:
        """Compute once, where the run is, what the steps need."""

    def parameter_groups(self, learner: LearnerT_contra, /) -> Sequence[ParameterGroup]:
        """Return what is optimised, and how fast."""

    def make_optimizer(self, groups: list[dict[str, Any]], /) -> torch.optim.Optimizer:
        """Return what turns gradients into steps."""

    def schedule(self, step: int, steps: int, /) -> float:
        """Return the multiple of the learning rates at `step`."""

    def draw(self, learner: LearnerT_contra, step: int, rng: torch.Generator, /) -> Batch:
        """Return the batch of `step`: a function of (seed, step) alone."""

    def gradients(self, learner: LearnerT_contra, batch: Batch, /) -> dict[str, Tensor]:
        """Put the gradients of the loss into the parameters; return the loss and its parts by name, detached."""

    def clip_gradients(self, parameters: list[nn.Parameter], /) -> None:
        """Bound the gradients."""

    def after(self, learner: LearnerT_contra, step: int, /) -> None:
        """Move what moves without a gradient."""

    def examples_per_step(self, learner: LearnerT_contra, /) -> float:
        """Return how many rows `draw` takes, on average."""

    def period(self) -> int:
        """Return after how many steps what a step costs repeats."""

    def besides(self, learner: LearnerT_contra, /) -> tuple[int, Callable[[], object]] | None:
        """Return how often in a run something is computed besides the steps, and a function that does it once."""
