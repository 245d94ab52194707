"""Nearest neighbours among sparse rows."""

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.errors import ModelError
from manyways.models.estimators.base import Array, EstimatorHead, Matrix, put

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

AT_ONCE = 1 << 22
"""Distances that are voters at a time."""
LEAST = 1e-6
"""Added to every class's share of the votes where its logarithm is taken."""


class SparseNeighboursHead(EstimatorHead):
    """The votes of the nearest rows, all of which it holds: by the cosine, or by the Euclidean distance.

    Of rows that are equally near those come first that stand first; in a vote that is tied the first class wins.

    Attributes:
        values: The numbers of the rows that are not 0, float64.
        columns: Where each of these stands in its row, int32.
        starts: Where each row begins, and where the last one ends, int64.
        labels: The places of their classes in `codes`, or their numbers in the label's own unit, float64 [rows].
    """

    name = "sparse-neighbours"
    values: Tensor
    columns: Tensor
    starts: Tensor
    labels: Tensor

    def __init__(
        self, outputs: int, learned: int, rows: int, features: int, stored: int, neighbours: int,
        weights: Literal["uniform", "distance"], cosine: bool,
    ) -> None:  # fmt: skip
        super().__init__(
            outputs, learned, rows=rows, features=features, stored=stored, neighbours=neighbours, weights=weights,
            cosine=cosine,
        )  # fmt: skip
        self.features, self.neighbours, self.weights, self.cosine = features, neighbours, weights, cosine
        self.register_buffer("values", torch.zeros(stored, dtype=torch.float64))
        self.register_buffer("columns", torch.zeros(stored, dtype=torch.int32))
        self.register_buffer("starts", torch.zeros(rows + 1, dtype=torch.int64))
        self.register_buffer("labels", torch.zeros(rows, dtype=torch.float64))

    def hold(self, rows: "csr_matrix", labels: NDArray[np.float64]) -> None:
        """Take `rows` as those that vote."""
        known = self._normalised(rows)
        put(self, values=known.data, columns=known.indices, starts=known.indptr, labels=labels)

    def decide(self, features: Matrix) -> Array:
        votes = self._votes(features)
        return np.asarray(np.log(votes + LEAST)) if len(self.codes) else votes

    def probabilities(self, features: Matrix) -> Array:
        return self.spread(self._votes(features), 0.0)

    def _votes(self, features: Matrix) -> Array:
        """The share of each learned class, or the mean of the numbers [rows, 1]."""
        from scipy.sparse import csr_matrix

        given = self._normalised(csr_matrix(features))
        count = len(self.labels)
        voters = csr_matrix(
            (self.values.numpy(), self.columns.numpy(), self.starts.numpy()), shape=(count, self.features)
        )
        if voters.indices.size and (voters.indices.min() < 0 or voters.indices.max() >= self.features):
            raise ModelError("A row that votes has a feature that there is not; the model is damaged.")
        columns, size, squares = voters.T.tocsr(), max(1, AT_ONCE // max(1, count)), _squares(voters)
        out = np.empty((given.shape[0], max(1, len(self.codes))))
        for start in range(0, given.shape[0], size):
            some = given[start : start + size]
            products = (some @ columns).toarray()
            distances = 1 - products if self.cosine else _squares(some)[:, None] + squares - 2 * products
            out[start : start + size] = self._count(np.maximum(distances, 0))
        return out

    def _count(self, distances: Array) -> Array:
        nearest = first_nearest(distances, min(self.neighbours, distances.shape[1]))
        near = np.take_along_axis(distances, nearest, axis=1)
        if self.weights == "uniform":
            weights = np.ones_like(near)
        else:
            same = near <= 0
            with np.errstate(divide="ignore"):
                inverse = 1 / near if self.cosine else 1 / np.sqrt(near)
            weights = np.where(same.any(axis=1, keepdims=True), same, inverse)
        weights /= weights.sum(axis=1, keepdims=True)
        labels = self.labels.numpy()[nearest]
        if not len(self.codes):
            return np.asarray((weights * labels).sum(axis=1, keepdims=True))
        return np.stack([(weights * (labels == place)).sum(axis=1) for place in range(len(self.codes))], axis=1)

    def _normalised(self, rows: "csr_matrix") -> "csr_matrix":
        from sklearn.preprocessing import normalize

        return normalize(rows) if self.cosine else rows


def first_nearest(distances: Array, count: int) -> NDArray[np.int64]:
    """The places of the `count` least of each row, in their order; of equal ones those that stand first."""
    last = np.partition(distances, count - 1, axis=1)[:, count - 1 : count]
    nearer, tied = distances < last, distances == last
    room = count - nearer.sum(axis=1, keepdims=True)
    chosen = nearer | (tied & (np.cumsum(tied, axis=1) <= room))
    return np.nonzero(chosen)[1].reshape(len(distances), count)


def _squares(rows: "csr_matrix") -> Array:
    return np.asarray(rows.multiply(rows).sum(axis=1), np.float64).ravel()
