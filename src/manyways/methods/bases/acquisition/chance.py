"""Acquisition by chance, which the others must beat."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.methods.bases.acquisition import Acquisition
from manyways.models.model import Model


class Random(Acquisition):
    """Every row is as good as any other."""

    name: ClassVar = "random"

    def scores(self, model: Model, data: Data, rng: np.random.Generator) -> NDArray[np.float64]:
        return rng.random(len(data))
