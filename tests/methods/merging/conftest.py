"""Models that were fine-tuned from one start, and the folders they are saved in."""

from pathlib import Path

import numpy as np
import pytest

from manyways.data.data import Data
from manyways.methods.supervised.supervised import Supervised
from manyways.methods.transfer.fine_tune import FineTune
from manyways.models.model import Model

LOW = 5
"""One model is fine-tuned on the digits below, the other on the rest."""


def only(data: Data, low: bool) -> Data:
    """`data` with the labels of all other digits hidden."""
    return data.hide(np.flatnonzero((data.take("label") < LOW) != low))


@pytest.fixture(scope="session")
def few(digits: Data) -> Data:
    """Digits with 300 labels, the others hidden."""
    return digits.with_labels(300, draw="stratified")


@pytest.fixture(scope="session")
def models(few: Data) -> dict[str, Model]:
    """A base of a few labels, and two models fine-tuned from it on one half of the digits each."""
    base = Supervised(size=0.5).fit(few.with_labels(60, draw="stratified"), budget=60)
    tuned = {
        name: FineTune(learning_rate=5e-4).fit(only(few, low), base, budget=40, seed=seed)
        for name, low, seed in (("low", True, 1), ("high", False, 2))
    }
    return {"base": base, **tuned}


@pytest.fixture(scope="session")
def folders(models: dict[str, Model], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Their folders by name."""
    place = tmp_path_factory.mktemp("models")
    return {name: str(model.save(place / name)) for name, model in models.items()}


@pytest.fixture(scope="session")
def halves(digits: Data) -> dict[str, Data]:
    """The test rows of each half of the digits, and all."""
    low = digits.test.take("label") < LOW
    return {"low": digits.test.select(low), "high": digits.test.select(~low), "all": digits.test}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder that is not there yet."""
    return tmp_path / "merged"
