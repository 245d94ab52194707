"""Support vector machines with a radial kernel as arrays."""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from manyways.errors import ModelError
from manyways.models.estimators.base import Array, EstimatorHead, Matrix

AT_ONCE = 1 << 24
"""Pairs of a row and a support vector whose kernel is held at a time."""


class KernelHead(EstimatorHead):
    """Sums of exp(-γ |x - v|²) over support vectors v: the margins of pairs of classes, or a number.

    Attributes:
        vectors: Support vectors, those of one class after those of another, float64 [vectors, width].
        weights: float64 [products, vectors]; of classes, of each vector against each other class.
        bias: Of each pair of classes, or of the number, float64 [pairs].
        starts: Where the vectors of each class begin, and where the last ones end, int64.
        unit: The mean and the scale of the number.
    """

    name = "radial-kernel"
    vectors: Tensor
    weights: Tensor
    bias: Tensor
    starts: Tensor
    unit: Tensor

    def __init__(self, outputs: int, learned: int, vectors: int, features: int, gamma: float) -> None:
        super().__init__(outputs, learned, vectors=vectors, features=features, gamma=gamma)
        self.gamma = gamma
        pairs = max(1, learned * (learned - 1) // 2)
        for name, shape in {
            "vectors": (vectors, features), "weights": (max(1, learned - 1), vectors), "bias": (pairs,), "unit": (2,),
        }.items():  # fmt: skip
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("starts", torch.zeros(learned + 1 if learned else 0, dtype=torch.int64))

    def decide(self, features: Matrix) -> Array:
        size = max(1, AT_ONCE // max(1, len(self.vectors)))
        rows = np.asarray(features)
        parts = [self._margins(rows[start : start + size]) for start in range(0, len(rows), size)]
        margins = np.concatenate([np.empty((0, len(self.bias))), *parts])
        learned = len(self.codes)
        if not learned:
            return np.asarray(margins * self.unit.numpy()[1] + self.unit.numpy()[0])
        return np.hstack([-margins, margins]) if learned == 2 else one_against_rest(margins, learned)

    def _margins(self, rows: Array) -> Array:
        """The margin of each pair of classes, positive for the first, or of two classes for the second; or a number."""
        from sklearn.metrics.pairwise import rbf_kernel

        kernel = rbf_kernel(rows, self.vectors.numpy(), gamma=self.gamma)
        weights, bias, starts, learned = self.weights.numpy(), self.bias.numpy(), self.starts.numpy(), len(self.codes)
        if learned <= 2:
            return np.asarray(kernel @ weights.T + bias)
        if (np.diff(starts) < 0).any() or starts[-1] != len(self.vectors):
            raise ModelError("The support vectors belong to no classes; the model is damaged.")
        of_class = [slice(start, stop) for start, stop in pairwise(starts.tolist())]
        sums = [kernel[:, part] @ weights[:, part].T for part in of_class]
        pairs = [(i, j) for i in range(learned) for j in range(i + 1, learned)]
        return np.asarray(np.stack([sums[i][:, j - 1] + sums[j][:, i] for i, j in pairs], axis=1) + bias)


def one_against_rest(margins: Array, classes: int) -> Array:
    """Votes of pairs of classes, and between equal ones the sum of margins, below a third: [rows, classes]."""
    votes = np.zeros((len(margins), classes))
    sums = np.zeros((len(margins), classes))
    pairs = [(i, j) for i in range(classes) for j in range(i + 1, classes)]
    for at, (i, j) in enumerate(pairs):
        first = margins[:, at] >= 0
        votes[:, i] += first
        votes[:, j] += ~first
        sums[:, i] += margins[:, at]
        sums[:, j] -= margins[:, at]
    return np.asarray(votes + sums / (3 * (np.abs(sums) + 1)))
