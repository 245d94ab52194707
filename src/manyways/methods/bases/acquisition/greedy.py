"""Greedy sampling in the space of inputs and outputs, for labels that are numbers."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.targets import Target
from manyways.methods.bases.acquisition import Acquisition
from manyways.methods.bases.acquisition.committee import NUMBER
from manyways.methods.bases.acquisition.pool import Pool


class Greedy(Acquisition):
    """Rows that are far from every labelled row in their features and in their predicted number (Wu et al. 2019): iGS.

    The distance to a labelled row is the product of both; that of a row the least of all. Rows that were chosen before
    in the same batch count as labelled by their prediction.
    """

    name: ClassVar = "greedy"

    def suits(self, kind: type[Target]) -> bool:
        return kind.gives == NUMBER

    def choose(self, pool: Pool, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        numbers = np.asarray(pool.labelled.take(pool.labelled.label.name), np.float64)
        return greedy_rows(pool.features, pool.predictions, pool.labelled_features, numbers, count)


def greedy_rows(
    features: NDArray[np.float32],
    predictions: NDArray[np.float64],
    labelled: NDArray[np.float32],
    labels: NDArray[np.float64],
    count: int,
) -> NDArray[np.int64]:
    """`count` rows, each with the greatest least product of its distances to the labelled and those before it."""
    rows = features.astype(np.float64)
    nearest = np.full(len(rows), np.inf)
    for place, number in zip(labelled.astype(np.float64), labels, strict=True):
        np.minimum(nearest, np.linalg.norm(rows - place, axis=1) * np.abs(predictions - number), out=nearest)
    chosen = np.empty(min(count, len(rows)), np.int64)
    for at in range(len(chosen)):
        row = int(nearest.argmax())
        chosen[at] = row
        apart = np.linalg.norm(rows - rows[row], axis=1) * np.abs(predictions - predictions[row])
        np.minimum(nearest, apart, out=nearest)
        nearest[row] = -np.inf
    return chosen
