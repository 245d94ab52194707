"""Gradient methods: draw, loss and after, trained by the one loop."""

import copy
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from manyways.data.data import Data
from manyways.data.parts import TRAINING
from manyways.methods.fields import Count, Interval, NotNegative, Positive, Share
from manyways.methods.method import Learned, Method
from manyways.models.lineage import Lineage
from manyways.models.model import Model
from manyways.randomness import mix
from manyways.training.budget import Budget, Planned
from manyways.training.learner import Learner
from manyways.training.loop import autocast, train
from manyways.training.optimizer import schedule as warm_cosine
from manyways.training.run import Run

Batch = dict[str, Any]
LearnerT = TypeVar("LearnerT", bound=Learner)
Loss = tuple[Tensor, dict[str, Tensor]]


@dataclass(frozen=True, eq=False)
class ParameterGroup:
    """Parameters that share a multiple `scale` of the learning rate, frozen until the share `starts` of the steps."""

    parameters: list[nn.Parameter]
    scale: float = 1.0
    starts: float = 0.0


@dataclass(frozen=True, kw_only=True)
class GradientMethod(Method, Generic[LearnerT]):
    """A method that is three functions: `draw` a batch, its `loss`, and what moves `after` the gradient step."""

    batch_size: Count = 64
    """Rows in a batch."""
    learning_rate: Positive = 2e-3
    """The highest learning rate of AdamW, reached after the warm-up."""
    weight_decay: NotNegative = 0.01
    """Decoupled weight decay of the matrices."""
    beta2: Annotated[float, Interval("[0, 1)")] = 0.99
    """How slowly AdamW's second moment forgets; 0.999 for very long runs."""
    warmup: Share = 0.05
    """Share of the steps in which the learning rate rises."""
    clip: Positive | None = 1.0
    """Largest norm of the gradient; None does not clip."""
    patience: Count = 5
    """Looks at the validation rows without a better score before training stops; there are 20 in a run."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of the loss; auto takes bfloat16 where the hardware has matrix units for it."""

    field_trials: ClassVar[Mapping[str, Mapping[str, Any] | str]] = {
        "clip": {"clip": 1e-3},
        "patience": "Early stopping looks at labelled validation rows, of which a trial has none.",
    }
    keeps_good: ClassVar[bool] = False
    """Whether training that diverges ends with the last good weights and a caution, in place of an error."""

    @abstractmethod
    def begin(self, data: Data, model: Model | None, seed: int) -> LearnerT:
        """The learner before the first step, with all that the method holds: a teacher, a projector."""

    def prepare(self, learner: LearnerT) -> None:
        """What is computed once, where the run is, before the first step: what a reference says of all rows.

        It goes into buffers that `begin` made; a run that is resumed finds them in its checkpoint.
        """

    @abstractmethod
    def draw(self, learner: LearnerT, step: int, rng: torch.Generator) -> Batch:
        """The batch of `step`: a function of (seed, step) alone; all randomness from `rng`."""

    @abstractmethod
    def loss(self, learner: LearnerT, batch: Batch) -> Loss:
        """A scalar, and its named parts for those who watch."""

    def after(self, learner: LearnerT, step: int) -> None:
        """What moves without a gradient."""

    @abstractmethod
    def make_model(self, learner: LearnerT) -> Model:
        """The model of the network as it is trained so far; a copy of it, what it gives and its lineage come later.

        It is called during training, too, and must not change what is trained.
        """

    def rows_used(self, data: Data) -> NDArray[np.bool_]:
        """Which rows of `data` shape the network (a mask): by default all training rows."""
        used: NDArray[np.bool_] = data.part[data.rows] == TRAINING
        return used

    def rows_reached(self, learner: LearnerT, data: Data, steps: int) -> NDArray[np.bool_]:
        """Which of `rows_used` shaped the network in `steps` (a mask): all, unless a method takes them in turns."""
        return self.rows_used(data)

    def facts(self, learner: LearnerT, steps: int) -> dict[str, Any]:
        """What the method states of a model after `steps` besides its fields, as JSON values for its lineage."""
        return {}

    def milestones(self, learner: LearnerT, steps: int) -> Mapping[int, str]:
        """What ends on the way, by the number of steps after which it has: listeners are offered the model there, too.

        steps: those of the whole run. Raises TrainingError where they are too few.
        """
        return {}

    def besides(self, learner: LearnerT) -> tuple[int, Callable[[], object]] | None:
        """What is computed now and then besides the steps: how often in a run, and a function that does it once.

        Budgets in seconds and operations pay for it.
        """
        return None

    def trouble(self, learner: LearnerT, steps: int) -> str | None:
        """How training has gone wrong beyond return after `steps`, and what to try; None while it has not."""
        return None

    def sound(self, learner: LearnerT) -> bool:
        """Whether the weights as they are may be kept as the last good ones."""
        return True

    def changes(self, learner: LearnerT, steps: int) -> int:
        """How often the model has changed in `steps`: early stopping looks at no model twice."""
        return steps

    def fewest_steps(self) -> int:
        return 1

    def watches_validation(self) -> bool:
        """True if early stopping may pick weights by the validation rows."""
        return True

    def erase_secrets(self, learner: LearnerT, steps: int) -> bool:
        """Erase from the state of a learner that is done after `steps` what nobody may know; True where there was any.

        What `facts` and `rows_reached` say afterwards must stay the same.
        """
        return False

    def parameter_groups(self, learner: LearnerT) -> list[ParameterGroup]:
        """What is optimised, and how fast."""
        return [ParameterGroup(list(learner.parameters()))]

    def highest_rate(self, learner: LearnerT) -> float:
        """The learning rate that the schedule multiplies."""
        return self.learning_rate

    def make_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """What turns gradients into steps: AdamW (Loshchilov & Hutter 2019) unless a method is defined with another."""
        return torch.optim.AdamW(groups, betas=(0.9, self.beta2), fused=True)

    def schedule(self, step: int, steps: int) -> float:
        """The multiple of the learning rate at `step`: a warm-up, then half a cosine to zero."""
        return warm_cosine(step, steps, self.warmup)

    def backward(self, learner: LearnerT, loss: Tensor, parts: dict[str, Tensor]) -> None:
        """Put gradients into the parameters; here a method may combine those of several losses."""
        loss.backward()  # type: ignore[no-untyped-call]

    def clip_gradients(self, parameters: list[nn.Parameter]) -> None:
        """Bound the gradients by `clip`; here a method of several networks may bound those of each."""
        if self.clip is not None:
            torch.nn.utils.clip_grad_norm_(parameters, self.clip)

    def period(self) -> int:
        """After how many steps what a step costs repeats, for budgets in seconds and operations."""
        return 1

    def parents(self, learner: LearnerT, model: Model | None) -> tuple[Model | Lineage, ...]:
        """The models that shaped the network, for its lineage: the one it started from, and any that taught it."""
        return (model,) if model else ()

    def examples_per_step(self, learner: LearnerT) -> float:
        """How many rows `draw` takes, on average, for budgets in examples."""
        return self.batch_size

    def micro_batches(self, learner: LearnerT, batch: Batch) -> Sequence[tuple[float, Batch]]:
        """The parts in which `batch` goes through the network, each with its share of the loss; by default, whole.

        Their gradients add up to those of the batch.
        """
        return [(1.0, batch)]

    def loss_context(self, learner: LearnerT) -> AbstractContextManager[Any]:
        """The context of the loss."""
        return autocast(self.precision, learner.device)

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        """Train a learner by the one loop; see `Method.fit`."""
        with torch.random.fork_rng():  # the caller's random stream is an argument, too: leave it as it was
            torch.manual_seed(mix(seed, 0))
            learner = self.begin(data, model, seed).to(run.pick_device())
            parents = self.parents(learner, model)

            def learned(steps: int, seconds: float, planned: Planned | None = None, caution: str = "") -> Learned:
                made, used = self.make_model(learner), self.rows_reached(learner, data, steps)
                made = replace(made, network=copy.deepcopy(made.network).requires_grad_(True).cpu())
                facts = self.facts(learner, steps) | ({"caution": caution} if caution else {})
                return Learned(made, used, parents, steps, seconds, facts, planned)

            identity = self.identity(data, model, budget, seed)
            done = train(
                self,
                learner,
                budget,
                seed,
                run,
                identity,
                lambda: self.as_model(learned(0, 0), data, budget, seed),
            )
            return learned(done.step, done.seconds, run.planned or done.planned, done.caution)
