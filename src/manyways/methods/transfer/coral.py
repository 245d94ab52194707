"""Deep CORAL: features that vary in the same way in every domain."""

from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import ClassVar, Self

import torch
from torch import Tensor

from manyways.data.data import Data
from manyways.methods.bases.domains import DomainLearner, DomainMethod
from manyways.methods.bases.gradient import Loss
from manyways.methods.fields import NotNegative
from manyways.methods.method import Ablations
from manyways.methods.recommendations import Recommendation


def covariance(features: Tensor) -> Tensor:
    """The covariance [width, width] of features [rows, width] (Sun & Saenko 2016, equations 2 and 3)."""
    centred = features - features.mean(0)
    return centred.T @ centred / (len(features) - 1)


def coral_loss(first: Tensor, second: Tensor) -> Tensor:
    """‖C₁ − C₂‖² / 4d² of features [rows, d] of two domains (Sun & Saenko 2016, equation 1)."""
    apart: Tensor = (covariance(first) - covariance(second)).square().sum()
    return apart / (4 * first.shape[1] ** 2)


@dataclass(frozen=True, kw_only=True)
class CORAL(DomainMethod[DomainLearner]):
    """Learn labels from features whose covariances are the same in all domains.

    Of more than two domains the loss is the mean over pairs.
    """

    weight: NotNegative = 1000.0
    """Weight of the distance between covariances. Features behind a normalisation vary little, so that it is large; the
    paper, which aligns class scores, takes one with which this loss and that of the labels end up alike."""

    recommends: ClassVar = {
        "any": Recommendation("features are learned that vary alike in domains with labels and in those without", 15),
    }
    paper: ClassVar = "Sun & Saenko, Deep CORAL: correlation alignment for deep domain adaptation, ECCV workshops 2016"

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(batch_size=16)

    def ablations(self, data: Data) -> Ablations:
        return {**super().ablations(data), "the distance of covariances": (replace(self, weight=0.0), data)}

    def between(self, learner: DomainLearner, features: Tensor, domains: Tensor, progress: float) -> Loss:
        own = [features[domains == place].float() for place in range(len(learner.by_domain))]
        apart = torch.stack([coral_loss(first, second) for first, second in combinations(own, 2)]).mean()
        return self.weight * apart, {"coral": apart}
