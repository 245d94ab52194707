"""Acquisition by chance, which the others must beat."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.methods.bases.acquisition import Ranking
from manyways.methods.bases.acquisition.pool import Pool


class Random(Ranking):
    """Every row is as good as any other."""

    name: ClassVar = "random"
    starts: ClassVar = True

    def scores(self, pool: Pool, rng: np.random.Generator) -> NDArray[np.float64]:
        return rng.random(len(pool.data))
