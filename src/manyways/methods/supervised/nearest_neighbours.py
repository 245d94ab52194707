"""k nearest neighbours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.specs import Spec, TextSpec
from manyways.data.targets import Target
from manyways.data.targets.number import unit_of
from manyways.methods.bases.closed_form import ClosedFormHead
from manyways.methods.bases.estimator import Fitting
from manyways.methods.bases.texts_in_closed_form import TextsInClosedForm
from manyways.methods.fields import Count
from manyways.methods.needs import Input, Label
from manyways.methods.recommendations import Recommendation
from manyways.models.estimators.base import Matrix
from manyways.models.estimators.design import DesignFeatures
from manyways.models.estimators.features import RowFeatures
from manyways.models.estimators.neighbours import SparseNeighboursHead
from manyways.models.moments import Moments

Weights = Literal["uniform", "distance"]
MORE = 16
"""Neighbours beyond those wanted that are looked at again without rounding: among them are the nearest."""
NUMBERS_AT_ONCE = 1 << 24
ANSWERED_AT_ONCE = 32
LEAST = 1e-6
"""Added to every class's share of the votes."""


class NearestNeighboursHead(ClosedFormHead):
    """The votes of the nearest rows, all of which it holds: `rows` float32 [count, width] and their `labels` [count].

    Attributes:
        labels: Class codes int64, or numbers float64 in their own unit.
        mean: Mean that is taken from features, [width].
        scale: Scale that features are divided by, [width].
        unit: The mean and deviation of the label by which numbers are standardised; float64.
    """

    name = "nearest-neighbours"
    rows: Tensor
    labels: Tensor
    mean: Tensor
    scale: Tensor
    unit: Tensor

    def __init__(
        self, count: int, width: int, outputs: int, neighbours: int, weights: Weights, standardise: bool, classes: bool
    ) -> None:
        super().__init__()
        self.config = {
            "count": count, "width": width, "outputs": outputs, "neighbours": neighbours, "weights": weights,
            "standardise": standardise, "classes": classes,
        }  # fmt: skip
        self.outputs, self.neighbours, self.weights = outputs, neighbours, weights
        self.standardise, self.classes = standardise, classes
        self.register_buffer("rows", torch.zeros(count, width))
        self.register_buffer("labels", torch.zeros(count, dtype=torch.int64 if classes else torch.float64))
        self.register_buffer("mean", torch.zeros(width, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(width, dtype=torch.float64))
        self.register_buffer("unit", torch.tensor([0.0, 1.0], dtype=torch.float64))

    def forward(self, features: Tensor) -> Tensor:
        squared, nearest = self.nearest(features)
        neighbour_labels = self.labels[nearest]
        weights = _weights(squared, self.weights)
        if not self.classes:
            mean = (weights * neighbour_labels).sum(1) / weights.sum(1)
            return ((mean - self.unit[0]) / self.unit[1])[:, None]
        votes = weights.new_zeros(len(neighbour_labels), self.outputs).scatter_add_(1, neighbour_labels, weights)
        return (votes / votes.sum(1, keepdim=True) + LEAST).log()

    def nearest(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Squared distances to the nearest rows and their places, both [rows, neighbours].

        Products pick candidates, differences order them: a row's answer does not depend on those asked with it. Of rows
        that are equally near those come first that stand first.
        """
        wanted = min(self.neighbours, len(self.rows))
        features, size = self._scaled(features), max(1, NUMBERS_AT_ONCE // max(1, self.rows.shape[1]))
        near, places = features.new_empty(len(features), 0), self.labels.new_empty(len(features), 0).long()
        for start in range(0, len(self.rows), size):
            some = self._scaled(self.rows[start : start + size])
            squared = some.square().sum(1) - 2 * features @ some.T  # but for what a row has in common with all of them
            here = torch.arange(start, start + len(some), device=features.device).expand(len(features), -1)
            near, places = torch.cat([near, squared], 1), torch.cat([places, here], 1)
            near, chosen = near.topk(min(wanted + MORE, near.shape[1]), largest=False)
            places = places.gather(1, chosen)
        places = places.sort(1).values
        exact = torch.cat(
            [
                (self._scaled(self.rows[places[at]]) - features[at][:, None]).square().sum(2)
                for at in torch.arange(len(features)).tensor_split(1 + len(features) // ANSWERED_AT_ONCE)
            ]
        )
        distances, order = torch.sort(exact, dim=1, stable=True)
        return distances[:, :wanted], places.gather(1, order)[:, :wanted]

    def _scaled(self, features: Tensor) -> Tensor:
        return ((features.double() - self.mean) / self.scale).float()

    def add(self, features: Tensor, labels: Tensor) -> None:
        self.config["count"] = len(features)
        self.rows, self.labels = features.clone(), labels.clone()

    def remove(self, features: Tensor, labels: Tensor, left: NDArray[np.int64]) -> "NearestNeighboursHead":
        self.add(self.rows[torch.from_numpy(left)], self.labels[torch.from_numpy(left)])
        return self

    def select(self, kept: Tensor) -> "NearestNeighboursHead":
        head = NearestNeighboursHead(**{**self.config, "width": len(kept)})
        head.add(self.rows[:, kept], self.labels)
        return head

    def solve(self, target: Target) -> None:
        self.unit.copy_(torch.tensor(unit_of(target), dtype=torch.float64))
        moments = Moments(1, self.rows.shape[1])
        moments.move(self.rows, torch.zeros(len(self.rows), dtype=torch.int64), 1)
        self.mean.copy_(moments.mean()[0])
        if self.standardise:
            spread = moments.variance()[0].sqrt()
            self.scale.copy_(torch.where(spread > 0, spread, 1.0))


def _weights(squared: Tensor, how: Weights) -> Tensor:
    if how == "uniform":
        return torch.ones_like(squared)
    same = squared == 0
    return torch.where(same.any(1, keepdim=True), same.to(squared.dtype), squared.rsqrt())


@dataclass(frozen=True, kw_only=True)
class NearestNeighbours(TextsInClosedForm):
    """Let the nearest labelled rows vote: their classes, or the mean of their numbers.

    Texts are near by the cosine of their sparse TF-IDF (words and characters, as `Linear` has it), all else by the
    Euclidean distance. The model holds the features of all its rows; forgotten ones are in it no more. In a vote that
    is tied the first class wins.
    """

    neighbours: Count = 5
    """Rows that vote (k); where there are fewer, all."""
    weights: Weights = "uniform"
    """Weights of the neighbours: the same for all, or each one over its distance."""
    standardise: bool = True
    """True to divide features by their standard deviation first."""

    needs: ClassVar = (Input, Label)
    forgets: ClassVar = "bitwise"
    recommends: ClassVar = {
        "text": Recommendation("the labels of the most similar texts, without any training", 18),
        "any": Recommendation("the labels of the most similar rows, without any training", 21),
    }
    paper: ClassVar = "Fix & Hodges (1951); Cover & Hart, Nearest neighbor pattern classification, IEEE IT 1967"

    def make_head(self, specs: Mapping[str, Spec] | None, width: int, target: Target) -> NearestNeighboursHead:
        return NearestNeighboursHead(
            0, width, target.width, self.neighbours, self.weights, self.standardise, target.classification
        )

    def features_of(self, data: Data, encoding: InputEncoding) -> tuple[RowFeatures, Matrix]:
        return DesignFeatures.fit(data, encoding, standardise=self.standardise)

    def head_of(self, fitting: Fitting) -> SparseNeighboursHead:
        from scipy.sparse import csr_matrix

        rows = csr_matrix(fitting.features)
        seen, places = np.unique(fitting.labels, return_inverse=True)
        cosine = all(isinstance(spec, TextSpec) for spec in fitting.encoding.specs.values())
        head = SparseNeighboursHead(
            fitting.outputs, len(seen) if fitting.classification else 0, rows.shape[0], rows.shape[1],
            rows.nnz, self.neighbours, self.weights, cosine,
        )  # fmt: skip
        head.hold(rows, np.asarray(places if fitting.classification else fitting.labels, np.float64))
        return head
