"""Nearest centroid: a class is the mean of its rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.data.specs import Spec
from manyways.data.targets import Target
from manyways.methods.bases.closed_form import OUTLIERS, ClosedForm, ClosedFormHead
from manyways.methods.needs import Classes, Input
from manyways.methods.recommendations import Recommendation
from manyways.models.moments import Moments


class NearestCentroidHead(ClosedFormHead):
    """Minus the mean squared difference from each class's prototype, and the sums that the prototypes are the means of.

    centres [outputs, width], scale [width]: prototypes and the deviations that features are divided by, float64.
    """

    name = "nearest-centroid"
    centres: Tensor
    scale: Tensor

    def __init__(self, width: int, outputs: int, standardise: bool) -> None:
        super().__init__()
        self.config = {"width": width, "outputs": outputs, "standardise": standardise}
        self.width, self.outputs, self.standardise = width, outputs, standardise
        self.moments = Moments(outputs, width)
        self.register_buffer("centres", torch.zeros(outputs, width, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(width, dtype=torch.float64))

    def forward(self, features: Tensor) -> Tensor:
        rows, centres = features.double() / self.scale, self.centres / self.scale
        apart = torch.cdist(rows, centres, compute_mode="donot_use_mm_for_euclid_dist")  # products would cancel
        near = -apart.square() / max(1, self.width)
        seen = self.moments.count > 0
        return torch.where(seen, near, near[:, seen].amin(1, keepdim=True) - 1e3)

    def add(self, features: Tensor, labels: Tensor) -> None:
        self.moments.move(features, labels, 1)

    def remove(self, features: Tensor, labels: Tensor, left: NDArray[np.int64]) -> "NearestCentroidHead":
        self.moments.move(features, labels, -1)
        return self

    def select(self, kept: Tensor) -> "NearestCentroidHead":
        head = NearestCentroidHead(len(kept), self.outputs, self.standardise)
        head.moments = self.moments.select(kept)
        return head

    def doubt(self) -> str | None:
        return OUTLIERS if self.moments.lost else None

    def solve(self, target: Target) -> None:
        self.centres.copy_(self.moments.mean())
        if self.standardise:
            spread = self.moments.together().variance()[0].sqrt()
            self.scale.copy_(torch.where(spread > 0, spread, 1.0))


@dataclass(frozen=True, kw_only=True)
class NearestCentroid(ClosedForm):
    """Give a row the class whose prototype, the mean of its labelled rows, is nearest.

    Over the features of a model it is a few-shot classifier without episodes. Probabilities are the softmax of minus
    the mean squared difference over the features. A class without labels is never predicted.
    """

    standardise: bool = True
    """True to divide features by their standard deviation over all labelled rows."""

    needs: ClassVar = (Input, Classes)
    gives: ClassVar = frozenset({"classify", "embed"})
    recommends: ClassVar = {
        "any": Recommendation("one mean for each class, in a moment: sound with a few labels a class", 45),
    }
    paper: ClassVar = (
        "Rocchio (1971); Tibshirani et al., Diagnosis of multiple cancer types by shrunken centroids, PNAS 2002"
    )

    def make_head(self, specs: Mapping[str, Spec] | None, width: int, target: Target) -> NearestCentroidHead:
        return NearestCentroidHead(width, target.width, self.standardise)
