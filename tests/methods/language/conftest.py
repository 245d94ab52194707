"""Small tables of text, and models of them."""

import pytest

from manyways.data.data import Data
from manyways.data.read import read
from manyways.methods.language.pretrain import Pretrain
from manyways.models.model import Model


@pytest.fixture(scope="session")
def sums() -> Data:
    return read("arithmetic").with_test(0.1)


@pytest.fixture(scope="session")
def reader_of_sums(sums: Data) -> Model:
    """A model that has read sums for a while."""
    return Pretrain(tokenizer="characters", context=32, size=0.35, batch_size=16).fit(sums, budget=150)


@pytest.fixture(scope="session")
def texts() -> Data:
    """The sums as running text only."""
    return read("arithmetic", text="text").with_test(0.1)
