"""Model-agnostic meta-learning."""

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from torch import Tensor
from torch.nn.functional import cross_entropy

from manyways.data.data import Data
from manyways.methods.bases.episodes import EpisodeLearner, EpisodeMethod
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.fields import Count, Positive
from manyways.methods.method import Ablations
from manyways.models.few_shot.adapting import GradientSteps, accuracy, settle
from manyways.models.few_shot.inner_loop import descend
from manyways.models.few_shot_model import FewShotModel
from manyways.models.heads import LinearHead, NormalisedHead
from manyways.models.meta_batch import Call, MetaBatch
from manyways.models.model import Model
from manyways.models.population import Weights

STATISTICS_ROWS = 256
"""Labelled rows whose statistics batch normalisation keeps for features of single rows."""


@dataclass(frozen=True, kw_only=True)
class MAML(EpisodeMethod[EpisodeLearner]):
    """Learn weights from which a few steps of gradient descent on a few examples lead to a good classifier.

    In every episode θ′ = θ − α∇L(θ; shots), `inner_steps` times, and θ follows the gradient of the mean of
    L(θ′; queries) over the episodes, through the inner steps (second order) or with their gradients as constants. As in
    the authors' code, batch normalisation uses the statistics of the rows it is given, in training and in `evaluate`:
    the queries of an episode are normalised together (transductive). A class that was never trained needs a few
    examples: `model.adapt(support)`, which answers each row alone.
    """

    batch_size: Count = 8
    """Episodes in a batch; 32 in the paper."""
    inner_rate: Positive = 0.4
    """Size of the steps of gradient descent on an episode's shots (α)."""
    inner_steps: Count = 1
    """Steps on an episode's shots in training."""
    test_steps: Count = 3
    """Steps on the examples of new classes."""
    head: Literal["auto", "normalised", "linear"] = "auto"
    """What the features go through to the outputs: linear is the authors' affine map; normalised one, zero at first, of
    layer-normalised features, for which a step suffices many times sooner; auto takes that for the second order, and
    linear for the first, which leaves out that the map follows from the features."""
    first_order: bool = False
    """Whether the gradients of the inner steps count as constants (FOMAML), which costs a third of the time."""
    how: Literal["auto", "vectorised", "one by one"] = "auto"
    """Whether the episodes of a batch are run in one program or in turns, which differ by rounding; auto times both."""
    precision: Literal["float32"] = "float32"
    """Arithmetic of the loss: of less, little is left in a second derivative."""

    paper: ClassVar = "Finn, Abbeel & Levine, Model-agnostic meta-learning, ICML 2017"

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        # A model of fewer classes than the data has could not be adapted to it.
        return cls(ways=len(data.classes), batch_size=4)

    def ablations(self, data: Data) -> Ablations:
        return {**super().ablations(data), "its inner steps": (replace(self, inner_rate=1e-12), data)}

    def begin(self, data: Data, model: Model | None, seed: int) -> EpisodeLearner:
        learner = super().begin(data, model, seed)
        normalised = self.head == "normalised" or (self.head == "auto" and not self.first_order)
        kind = NormalisedHead if normalised else LinearHead
        learner.network.head = kind(learner.network.width, learner.ways)
        return learner

    def loss(self, learner: EpisodeLearner, batch: Batch) -> Loss:
        return MetaBatch(learner.network, how=self.how).mean(self.of_an_episode, batch)

    def of_an_episode(self, call: Call, weights: Weights, given: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss on the queries after the steps on the shots."""
        shots, queries = given["support"], given["queries"]
        adapted = descend(
            weights,
            lambda now: cross_entropy(call(now, shots["inputs"]).float(), shots["labels"]),
            rate=self.inner_rate,
            steps=self.inner_steps,
            first_order=self.first_order,
        )
        outputs = call(adapted, queries["inputs"]).float()
        return cross_entropy(outputs, queries["labels"]), {"accuracy": accuracy(outputs, queries["labels"])}

    def make_model(self, learner: EpisodeLearner) -> Model:
        network = copy.deepcopy(learner.network)
        sample = np.linspace(0, len(learner.labelled) - 1, min(len(learner.labelled), STATISTICS_ROWS)).astype(np.int64)
        settle(network, learner.take(learner.labelled[sample]))
        return FewShotModel(
            network=network,
            inputs=learner.encoding,
            adaptation=GradientSteps(self.inner_rate, self.test_steps),
            ways=learner.ways,
            shots=self.shots,
        )
