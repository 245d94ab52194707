"""Reptile."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from manyways.data.data import Data
from manyways.methods.bases.episodes import SCORED_WAYS, EpisodeLearner
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.inner_loop import InnerLoopMethod
from manyways.methods.fields import Count, Interval, NotNegative, Positive
from manyways.models.few_shot.adapting import AdamSteps, Adaptation, GradientSteps
from manyways.models.few_shot.episodes import minibatches_of
from manyways.models.few_shot.inner_loop import descend_by_adam, descend_in_turn
from manyways.models.heads import Head, LinearHead, NormalisedHead
from manyways.models.meta_batch import Call
from manyways.models.population import Weights


@dataclass(frozen=True, kw_only=True)
class Reptile(InnerLoopMethod[EpisodeLearner]):
    """Move weights towards where some steps on each small task lead, φ, without a second derivative.

    In every episode φ are the weights after `inner_steps` minibatches of its rows, and θ follows θ − φ as if it were a
    gradient, the mean over the episodes. With outer_optimizer='sgd' that is the paper's θ ← θ + ε(φ − θ), of which ε
    is the learning rate. By default it is AdamW, inner steps are plain descent, and episodes have up to 20 classes, by
    which Omniglot is learned many times sooner. The paper's settings are ways=5, batch_size=5, inner_optimizer='adam',
    inner_rate=1e-3, inner_batch=10, head='linear', test_steps=50, outer_optimizer='sgd', learning_rate=1.0.

    A class that was never trained needs a few examples: `model.adapt(support)`.
    """

    batch_size: Count = 1
    """Episodes in a batch; 5 in the paper."""
    learning_rate: Positive = 2e-3
    """The highest learning rate of the outer optimiser; of sgd the ε in θ + ε(φ − θ), at most 1 as a rule."""
    weight_decay: NotNegative = 0.0
    """Decoupled weight decay of the matrices, by the outer optimiser."""
    beta2: Annotated[float, Interval("[0, 1)")] = 0.99
    """Decay of the second moment in the outer AdamW and the inner Adam."""
    clip: Positive | None = None
    """Largest norm of θ − φ; None does not clip."""
    outer_optimizer: Literal["adamw", "sgd"] = "adamw"
    """Optimiser that follows θ − φ."""
    inner_optimizer: Literal["sgd", "adam"] = "sgd"
    """Steps on an episode: plain descent, or Adam without momentum (β₁ = 0), as in the paper."""
    inner_steps: Count = 5
    """Minibatches of an episode, a step each."""
    inner_batch: Count = 40
    """Rows in such a minibatch, of any of the episode's classes."""
    queries: Count | None = None
    """Rows of each class that are learned from in training besides the `shots`; None: as many as every class has, up to
    9."""
    head: Literal["normalised", "linear"] = "normalised"
    """The head between features and outputs: the paper's linear map, or one, zero at first, of layer-normalised
    features, for which a few steps suffice."""

    most_ways: ClassVar[int] = 20
    most_queries: ClassVar[int] = 9
    suggests: ClassVar = ()
    field_trials: ClassVar = {
        "beta2": {"beta2": 0.5},
        "inner_batch": {"inner_batch": 3},
    }
    paper: ClassVar = "Nichol, Achiam & Schulman, On first-order meta-learning algorithms, arXiv:1803.02999, 2018"

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(ways=len(data.classes), inner_steps=2, inner_batch=20) if data.classification else cls()

    def draw(self, learner: EpisodeLearner, step: int, rng: torch.Generator) -> Batch:
        drawn = learner.episodes.draw(self.batch_size, learner.ways, self.shots + learner.queries, rng)
        return minibatches_of(learner.rows, drawn, self.inner_steps, self.inner_batch, rng, learner.device)

    def of_an_episode(self, call: Call, weights: Weights, given: Any) -> Loss:
        """Half the squared distance to the weights after the steps, whose gradient is θ − φ."""

        def loss(step: int, now: Weights) -> Tensor:
            inputs = {name: tensor[step] for name, tensor in given["inputs"].items()}
            return cross_entropy(call(now, inputs).float(), given["labels"][step])

        losses = [partial(loss, step) for step in range(self.inner_steps)]
        if self.inner_optimizer == "adam":
            adapted = descend_by_adam(weights, losses, rate=self.inner_rate, beta2=self.beta2)
        else:
            adapted = descend_in_turn(weights, losses, rate=self.inner_rate)
        return self.outer_loss(call, weights, adapted, None)

    def outer_loss(self, call: Call, weights: Weights, adapted: Weights, queries: Any) -> Loss:
        apart = [(weight - adapted[name].detach()).square().sum() for name, weight in weights.items()]
        return torch.stack(apart).sum() / 2, {}

    def inner_head(self, width: int, ways: int) -> Head:
        return NormalisedHead(width, ways) if self.head == "normalised" else LinearHead(width, ways)

    def adaptation(self) -> Adaptation:
        if self.inner_optimizer == "adam":
            return AdamSteps(self.inner_rate, self.test_steps, self.beta2)
        return GradientSteps(self.inner_rate, self.test_steps)

    def scored_ways(self, learner: EpisodeLearner) -> int:
        return min(learner.ways, SCORED_WAYS)

    def make_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.SGD(groups) if self.outer_optimizer == "sgd" else super().make_optimizer(groups)

    def examples_per_step(self, learner: EpisodeLearner) -> int:
        rows = learner.ways * (self.shots + learner.queries)
        return self.batch_size * self.inner_steps * min(self.inner_batch, rows)
