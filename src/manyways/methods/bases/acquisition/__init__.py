"""Acquisition strategies: which rows a method asks the labels of, found by name in the files of this folder."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.models.model import Model
from manyways.registry import Classes


class Acquisition(ABC):
    """A strategy that ranks rows by how much their labels would help; one that weighs a batch overrides `choose`."""

    name: ClassVar[str]

    @abstractmethod
    def scores(self, model: Model, data: Data, rng: np.random.Generator) -> NDArray[np.float64]:
        """The value of the label of each row of `data` to `model`, higher is better, float64 [rows]."""

    def choose(self, model: Model, data: Data, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """The positions of `count` rows of `data` to ask about: those of the highest scores, the first among equals."""
        return np.argsort(-self.scores(model, data, rng), kind="stable")[:count]


ACQUISITIONS: Classes[Acquisition] = Classes("acquisitions", Acquisition, __name__)
"""Every strategy by its name: those of this folder, and of the entry-point group `manyways.acquisitions`."""
