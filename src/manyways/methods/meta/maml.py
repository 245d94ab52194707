"""Model-agnostic meta-learning."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch.nn.functional import cross_entropy

from manyways.data.data import Data
from manyways.methods.bases.episodes import EpisodeLearner
from manyways.methods.bases.gradient import Loss
from manyways.methods.bases.inner_loop import InnerLoopMethod, check_differentiable_twice
from manyways.models.few_shot.adapting import accuracy
from manyways.models.heads import Head, LinearHead, NormalisedHead
from manyways.models.meta_batch import Call
from manyways.models.model import Model
from manyways.models.population import Weights


@dataclass(frozen=True, kw_only=True)
class MAML(InnerLoopMethod[EpisodeLearner]):
    """Learn weights from which a few steps of gradient descent on a few examples lead to a good classifier.

    In every episode θ′ = θ − α∇L(θ; shots), `inner_steps` times, and θ follows the gradient of the mean of
    L(θ′; queries) over the episodes, through the inner steps (second order) or with their gradients as constants. In
    training batch normalisation uses the statistics of the rows it is given, as in the authors' code. `evaluate` tells
    each query alone, by the statistics of the examples; `evaluate(transductive=True)` normalises the queries of an
    episode together, as the authors do. A class that was never trained needs a few examples: `model.adapt(support)`.
    """

    head: Literal["auto", "normalised", "linear"] = "auto"
    """The head between features and outputs: linear is the authors' affine map; normalised one, zero at first, of
    layer-normalised features, for which a step suffices many times sooner; auto takes that for the second order, and
    linear for the first, which leaves out that the map follows from the features."""
    first_order: bool = False
    """True if the gradients of the inner steps count as constants (FOMAML), which costs a third of the time."""

    paper: ClassVar = "Finn, Abbeel & Levine, Model-agnostic meta-learning, ICML 2017"

    def begin(self, data: Data, model: Model | None, seed: int) -> EpisodeLearner:
        learner = super().begin(data, model, seed)
        if not self.first_order:
            check_differentiable_twice(self, learner.network, "first_order=true, or another backbone")
        return learner

    def adapt(self, call: Call, weights: Weights, shots: Any) -> Weights:
        return self.descended(call, weights, shots, first_order=self.first_order)

    def outer_loss(self, call: Call, weights: Weights, adapted: Weights, queries: Any) -> Loss:
        outputs = call(adapted, queries["inputs"]).float()
        return cross_entropy(outputs, queries["labels"]), {"accuracy": accuracy(outputs, queries["labels"])}

    def inner_head(self, width: int, ways: int) -> Head:
        normalised = self.head == "normalised" or (self.head == "auto" and not self.first_order)
        return NormalisedHead(width, ways) if normalised else LinearHead(width, ways)
