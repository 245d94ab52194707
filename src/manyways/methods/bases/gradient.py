"""Gradient methods: draw, loss and after, trained by the one loop."""

import copy
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Generic, Literal, get_args

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
from manyways.training.steps import Batch, LearnerT, ParameterGroup

__all__ = ["Batch", "GradientMethod", "LearnerT", "Loss", "learner_class"]

Loss = tuple[Tensor, dict[str, Tensor]]


@dataclass(frozen=True, kw_only=True)
class GradientMethod(Method, Generic[LearnerT]):
    """A method that is three functions: `draw` a batch, its `loss`, and what moves `after` the gradient step."""

    batch_size: Count | None = None
    """Rows in a batch. None: 64, or fewer where the kind of label asks for that (8 images with boxes or masks)."""
    learning_rate: Positive = 2e-3
    """The highest learning rate of AdamW, reached after the warm-up."""
    weight_decay: NotNegative = 0.01
    """Decoupled weight decay of the matrices."""
    beta2: Annotated[float, Interval("[0, 1)")] = 0.99
    """Decay of AdamW's second moment; 0.999 for very long runs."""
    warmup: Share = 0.05
    """Share of the steps in which the learning rate rises."""
    clip: Positive | None = 1.0
    """Largest norm of the gradient; None does not clip."""
    patience: Count | None = None
    """Looks at the validation rows without a better score before training stops; there are 20 in a run. None: it goes
    on to the end where the learning rate falls to 0, and stops after 5 where it does not; the best weights are kept."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of the loss; auto takes bfloat16 where the hardware has matrix units for it."""

    field_trials: ClassVar[Mapping[str, Mapping[str, Any] | str]] = {
        "clip": {"clip": 1e-3},
        "patience": "Early stopping looks at labelled validation rows, of which a trial has none.",
    }

    @abstractmethod
    def begin(self, data: Data, model: Model | None, seed: int) -> LearnerT:
        """The learner before the first step, with all that the method holds: a teacher, a projector."""

    def prepare(self, learner: LearnerT) -> None:
        """Compute once, where the run is, before the first step, what steps need: what a reference says of all rows.

        It goes into buffers that `begin` made; a run that is resumed finds them in its checkpoint.
        """

    @abstractmethod
    def draw(self, learner: LearnerT, step: int, rng: torch.Generator) -> Batch:
        """The batch of `step`: a function of (seed, step) alone; all randomness from `rng`."""

    @abstractmethod
    def loss(self, learner: LearnerT, batch: Batch) -> Loss:
        """A scalar, and its named parts for those who watch."""

    def gradients(self, learner: LearnerT, batch: Batch) -> dict[str, Tensor]:
        """Put the gradients of the loss of `batch` into the parameters; return it and its parts by name, detached.

        Here a method may take a batch in pieces, or combine the gradients of several losses.
        """
        with autocast(self.precision, learner.device):
            loss, parts = self.loss(learner, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        return {name: part.detach() for name, part in {"loss": loss, **parts}.items()}

    def after(self, learner: LearnerT, step: int) -> None:
        """Move what moves without a gradient."""

    @abstractmethod
    def make_model(self, learner: LearnerT) -> Model:
        """The model of the network as it is trained so far; a copy of it, what it gives and its lineage come later.

        It is called during training, too, and must not change what is trained.
        """

    def rows_reached(self, learner: LearnerT, steps: int) -> NDArray[np.bool_]:
        """The rows of the learner's data that shaped the network in `steps` (a mask): by default all training rows.

        steps: 0 while it is trained.
        """
        data = learner.data
        training: NDArray[np.bool_] = data.part[data.rows] == TRAINING
        return training

    def facts(self, learner: LearnerT, steps: int) -> dict[str, Any]:
        """The facts on a model after `steps` besides the method's fields, as JSON values for its lineage."""
        return {}

    def besides(self, learner: LearnerT) -> tuple[int, Callable[[], object]] | None:
        """The work besides the steps: how often it is done in a run, and a function that does it once.

        Budgets in seconds and operations pay for it.
        """
        return None

    def fewest_steps(self) -> int:
        return 1

    def parameter_groups(self, learner: LearnerT) -> list[ParameterGroup]:
        """The parameters that are optimised, and their learning rates."""
        return [ParameterGroup(list(learner.parameters()), self.learning_rate)]

    def make_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """The optimiser: AdamW (Loshchilov & Hutter 2019) unless a method is defined with another."""
        return torch.optim.AdamW(groups, betas=(0.9, self.beta2), fused=True)

    def schedule(self, step: int, steps: int) -> float:
        """The multiple of the learning rate at `step`: a warm-up, then half a cosine to zero."""
        return warm_cosine(step, steps, self.warmup)

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
        """The number of rows that `draw` takes, on average, for budgets in examples."""
        return self.rows_in_batch(learner)

    def rows_in_batch(self, learner: LearnerT) -> int:
        """`batch_size`, or where that is left open as many rows as suit the learner."""
        return self.batch_size or learner.batch_size

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        """Train a learner by the one loop; see `Method.fit`."""
        with torch.random.fork_rng():  # the caller's random stream is an argument, too: leave it as it was
            torch.manual_seed(mix(seed, 0))
            learner = self.begin(data, model, seed).to(run.pick_device())
            parents = self.parents(learner, model)

            def learned(steps: int, seconds: float, planned: Planned | None = None, caution: str = "") -> Learned:
                made, used = self.make_model(learner), self.rows_reached(learner, steps)
                made = replace(made, network=copy.deepcopy(made.network).requires_grad_(True).cpu())
                facts = self.facts(learner, steps) | learner.sampler.facts() | ({"caution": caution} if caution else {})
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


def learner_class(method: type, kind: type[Learner]) -> Any:
    """The subclass of `kind` that `method`, or the nearest of its bases, names in brackets; `kind` where none does."""
    bases = (base for each in method.__mro__ for base in vars(each).get("__orig_bases__", ()))
    named = (given for base in bases for given in get_args(base) if isinstance(given, type))
    return next((given for given in named if issubclass(given, kind)), kind)
