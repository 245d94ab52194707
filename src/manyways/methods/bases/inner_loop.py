"""Inner loops: weights from which a few steps of gradient descent on an episode's shots lead to a good classifier."""

import copy
from abc import abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Literal, Self

import numpy as np
from torch.nn.functional import cross_entropy

from manyways.data.data import Data
from manyways.errors import ParameterError
from manyways.methods.bases.episodes import EpisodeMethod, EpisodeT
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.fields import Count, Positive
from manyways.methods.method import Ablations, Method
from manyways.models.few_shot.adapting import Adaptation, GradientSteps, settle
from manyways.models.few_shot.inner_loop import descend
from manyways.models.few_shot_model import FewShotModel
from manyways.models.heads import Head, LinearHead
from manyways.models.meta_batch import Call, MetaBatch
from manyways.models.model import Model
from manyways.models.network import Network
from manyways.models.population import Weights

STATISTICS_ROWS = 256
"""Labelled rows whose statistics batch normalisation keeps for features of single rows."""


@dataclass(frozen=True, kw_only=True)
class InnerLoopMethod(EpisodeMethod[EpisodeT], Generic[EpisodeT]):
    """Learn weights from which a few steps of gradient descent on a few examples lead to a good classifier.

    In every episode θ′ = `adapt`(θ; shots), and θ follows the gradient of the mean of `outer_loss` over the episodes.
    Batch normalisation uses the statistics of the rows it is given in training. `evaluate` tells each query alone, by
    the statistics of the examples, unless it is asked for transductive scores.
    """

    batch_size: Count = 8
    """Episodes in a batch; 32 in the paper."""
    inner_rate: Positive = 0.4
    """Size of the steps of gradient descent on an episode's shots (α)."""
    inner_steps: Count = 1
    """Steps on an episode's shots in training."""
    test_steps: Count = 3
    """Steps on the examples of new classes."""
    how: Literal["auto", "vectorised", "one by one"] = "auto"
    """Run the episodes of a batch in one program or in turns, which differ by rounding; auto times both."""
    precision: Literal["float32"] = "float32"
    """Arithmetic of the loss: of less, little is left in a second derivative."""

    def ablations(self, data: Data) -> Ablations:
        return {**super().ablations(data), "its inner steps": (replace(self, inner_rate=1e-12), data)}

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        # A model of fewer classes than the data has could not be adapted to it.
        return cls(ways=len(data.classes), batch_size=4) if data.classification else cls(batch_size=4)

    @abstractmethod
    def outer_loss(self, call: Call, weights: Weights, adapted: Weights, queries: Any) -> Loss:
        """The loss that the `weights` descend in an episode whose steps led to the `adapted` ones, and its parts."""

    def adapt(self, call: Call, weights: Weights, shots: Any) -> Weights:
        """The weights after the inner steps: plain descent of all of them, through which gradients flow."""
        return self.descended(call, weights, shots, first_order=False)

    def descended(self, call: Call, weights: Weights, shots: Any, *, first_order: bool, only: str = "") -> Weights:
        """The weights after `inner_steps` on the shots.

        Args:
            call: The network, of weights and inputs.
            weights: The weights in which the episode begins.
            shots: The inputs and labels that are learned from.
            first_order: True if the gradients of the steps count as constants.
            only: The beginning of the names of the weights that move; empty: all.
        """
        moved = descend(
            {name: weight for name, weight in weights.items() if name.startswith(only)},
            lambda now: cross_entropy(call(weights | now, shots["inputs"]).float(), shots["labels"]),
            rate=self.inner_rate,
            steps=self.inner_steps,
            first_order=first_order,
        )
        return weights | moved

    def inner_head(self, width: int, ways: int) -> Head:
        """The head that features of `width` go through to the outputs of an episode."""
        return LinearHead(width, ways)

    def adaptation(self) -> Adaptation:
        """The way in which the model turns to new classes."""
        return GradientSteps(self.inner_rate, self.test_steps)

    def begin(self, data: Data, model: Model | None, seed: int) -> EpisodeT:
        learner = super().begin(data, model, seed)
        learner.network.head = self.inner_head(learner.network.width, learner.ways)
        return learner

    def loss(self, learner: EpisodeT, batch: Batch) -> Loss:
        return MetaBatch(learner.network, how=self.how).mean(self.of_an_episode, batch)

    def of_an_episode(self, call: Call, weights: Weights, given: Any) -> Loss:
        """The outer loss after the steps on the shots."""
        return self.outer_loss(call, weights, self.adapt(call, weights, given["support"]), given["queries"])

    def make_model(self, learner: EpisodeT) -> Model:
        network = copy.deepcopy(learner.network)
        sample = np.linspace(0, len(learner.labelled) - 1, min(len(learner.labelled), STATISTICS_ROWS)).astype(np.int64)
        settle(network, learner.take(learner.labelled[sample]))
        return FewShotModel(
            network=network,
            inputs=learner.encoding,
            adaptation=self.adaptation(),
            ways=self.scored_ways(learner),
            shots=self.shots,
        )


def check_differentiable_twice(method: Method, network: Network, instead: str) -> None:
    """Raise ParameterError, with what to take `instead`, where a backbone lacks the second derivatives of `method`."""
    once = [part.name for part in network.parts if not part.differentiable_twice]
    if once:
        raise ParameterError(
            f"{type(method).__name__} takes second derivatives, and the backbone {once[0]!r} has none. Take {instead}."
        )
