"""Models that have learned rows by heart, and the same trained without them."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.read import read
from manyways.methods.method import Method
from manyways.methods.supervised.supervised import Supervised
from manyways.models.model import Model

PETS = ("cat", "dog", "bird", "fish", "frog", "bear", "duck", "horse")
PLACES = ("house", "park", "garden", "forest", "school", "shop")
NAMES = ("Tom", "Lily", "Ben", "Mia", "Sam", "Anna", "Tim", "Sue")
FAMILIES = ("Green", "Brown", "White", "Black", "Rose", "Hill")


@dataclass(frozen=True, eq=False)
class Case:
    """A model, the data it learned from, and which rows it is to forget."""

    data: Data
    rows: NDArray[np.bool_]
    model: Model
    without: Model

    @property
    def gone(self) -> Data:
        """The rows to be forgotten."""
        return self.data.select(self.rows)

    @property
    def kept(self) -> Data:
        """The other training rows."""
        return self.data.select(~self.rows & (self.data.part[self.data.rows] == 0))

    def scores(self, model: Model, name: str) -> tuple[float, float, float]:
        """The score `name` on the rows to be forgotten, on the others, and on those test rows that are like these."""
        test = self.data.test
        if self.data.has("label"):
            test = test.select(np.isin(test.take("label"), self.kept.take("label")))
        return tuple(model.evaluate(part)[name] for part in (self.gone, self.kept, test))  # type: ignore[return-value]


def case_of(data: Data, rows: NDArray[np.bool_], method: Method, steps: int) -> Case:
    """Both models, by `method`."""
    return Case(data, rows, method.fit(data, budget=steps), method.fit(data.select(~rows), budget=steps))


@pytest.fixture(scope="module")
def one_class() -> Case:
    """Digits; all threes are to be forgotten."""
    data = read("digits").with_test(0.25)
    rows = (data.part[data.rows] == 0) & (data.take("label") == 3)
    return case_of(data, rows, Supervised(augment=False, size=0.5), 120)


def pets() -> Data:
    """48 made-up people, each with a pet and a place that nothing tells but the row itself."""
    rng = np.random.default_rng(0)
    people = [f"{name} {family}" for name in NAMES for family in FAMILIES]
    said = [f" {rng.choice(PETS)} and plays in the {rng.choice(PLACES)}." for _ in people]
    return read({"prompt": [f"{person} has a" for person in people], "completion": said})
