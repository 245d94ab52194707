"""Core-set: rows such that each other row is near to a labelled one."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.methods.bases.acquisition import Acquisition
from manyways.methods.bases.acquisition.pool import Pool

BLOCK = 1 << 22
"""Distances that are computed at once."""


class CoreSet(Acquisition):
    """k-centre greedy over features, with the labelled rows as first centres (Sener & Savarese, ICLR 2018)."""

    name: ClassVar = "core-set"
    starts: ClassVar = True

    def choose(self, pool: Pool, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        return far_apart(pool.features, pool.labelled_features, count)


def far_apart(features: NDArray[np.float32], centres: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """`count` rows of `features`, each that which is farthest from all `centres` and those before it.

    Without any centre the first is the row nearest to the mean.
    """
    mean = features.mean(axis=0)
    rows = np.ascontiguousarray(features - mean, np.float32)  # about the mean little is lost to rounding
    squares = np.einsum("id,id->i", rows, rows)
    nearest = squared_distances_to_nearest(rows, squares, np.asarray(centres - mean, np.float32))
    chosen = np.empty(min(count, len(rows)), np.int64)
    for place in range(len(chosen)):
        row = int(squares.argmin()) if place == 0 and not len(centres) else int(nearest.argmax())
        chosen[place] = row
        apart = rows @ (-2 * rows[row])
        apart += squares
        apart += squares[row]
        np.minimum(nearest, apart, out=nearest)
        nearest[row] = -np.inf
    return chosen


def squared_distances_to_nearest(
    rows: NDArray[np.float32], squares: NDArray[np.float32], centres: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The squared distance of each row from the nearest of `centres`, infinity without any: [rows]."""
    nearest = np.full(len(rows), np.inf, np.float32)
    for first in range(0, len(centres), max(1, BLOCK // max(1, len(rows)))):
        some = centres[first : first + max(1, BLOCK // max(1, len(rows)))]
        apart = rows @ (-2 * some.T)
        apart += np.einsum("id,id->i", some, some)
        np.minimum(nearest, apart.min(axis=1) + squares, out=nearest)
    return nearest
