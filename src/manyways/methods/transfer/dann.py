"""DANN: features of which nobody can tell the domain."""

from dataclasses import dataclass, replace
from math import exp
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.functional import cross_entropy

from manyways.data.data import Data
from manyways.methods.bases.domains import DomainLearner, DomainMethod
from manyways.methods.bases.gradient import Loss
from manyways.methods.fields import Count, NotNegative, Positive
from manyways.methods.method import Ablations
from manyways.methods.recommendations import Recommendation
from manyways.models.model import Model


class GradientReversal(Function):
    """The identity, whose gradient is turned round and multiplied by a factor."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        (gradient,) = outer
        return -ctx.factor * gradient, None


def reversed_gradient(x: Tensor, factor: float) -> Tensor:
    """`x`, of which what is below ascends what is above descends, `factor` times as fast."""
    turned: Tensor = GradientReversal.apply(x, factor)  # type: ignore[no-untyped-call]
    return turned


def adaptation_factor(progress: float, gamma: float) -> float:
    """The rise 2 / (1 + exp(−γp)) − 1 from 0 towards 1 for p in [0, 1] (Ganin et al. 2016, section 5.2.2)."""
    return 2 / (1 + exp(-gamma * progress)) - 1


class DANNLearner(DomainLearner):
    """A learner of rows of several domains, and the classifier that tells them apart, which is dropped afterwards."""

    discriminator: nn.Sequential


@dataclass(frozen=True, kw_only=True)
class DANN(DomainMethod[DANNLearner]):
    """Learn labels from features of which a classifier cannot tell the domain: its gradient is turned round.

    The classifier learns to tell the domains apart, the network to have it fail. The factor of its gradient rises from
    0 to `weight`, so that noise of the start does not lead.
    """

    weight: NotNegative = 0.3
    """The highest factor of the reversed gradient; 1 in the paper, where the network learns more slowly."""
    gamma: Positive = 10.0
    """Steepness of the factor's rise."""
    hidden: Count = 100
    """Units in each of the two hidden layers of the classifier of domains."""

    recommends: ClassVar = {
        "any": Recommendation("features are learned that are alike in domains with labels and in those without", 14),
    }
    paper: ClassVar = "Ganin et al., Domain-adversarial training of neural networks, JMLR 2016"

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(batch_size=16)

    def ablations(self, data: Data) -> Ablations:
        return {**super().ablations(data), "the reversed gradient": (replace(self, weight=0.0), data)}

    def begin(self, data: Data, model: Model | None, seed: int) -> DANNLearner:
        learner = super().begin(data, model, seed)
        learner.discriminator = nn.Sequential(
            nn.Linear(learner.network.width, self.hidden), nn.ReLU(), nn.Linear(self.hidden, self.hidden), nn.ReLU(),
            nn.Linear(self.hidden, len(learner.by_domain)),
        )  # fmt: skip
        return learner

    def between(self, learner: DANNLearner, features: Tensor, domains: Tensor, progress: float) -> Loss:
        turned = reversed_gradient(features, self.weight * adaptation_factor(progress, self.gamma))
        logits = learner.discriminator(turned)
        accuracy = (logits.argmax(1) == domains).float().mean()
        loss = cross_entropy(logits.float(), domains)
        return loss, {"domain": loss, "domain_accuracy": accuracy.to(torch.float32)}
