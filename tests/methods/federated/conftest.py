"""Numbers that clients hold, and how a federation is begun and moves."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

import manyways as mw
from manyways.data.data import Data
from manyways.methods.federated.fed_avg import FedAvg
from manyways.randomness import mix


@pytest.fixture(scope="session")
def table() -> Callable[[int], Data]:
    """Makes a table of so many digits as 64 numbers each."""

    def made(rows: int) -> Data:
        from sklearn.datasets import load_digits

        values, labels = load_digits(return_X_y=True)
        return mw.read((values[:rows], labels[:rows]))

    return made


@pytest.fixture(scope="session")
def numbers(table: Callable[[int], Data]) -> Data:
    """400 rows of 64 numbers in ten classes, unequally held by nine clients, a fifth for testing."""
    return table(400).with_clients(9, alpha=0.5, seed=1).with_test(0.2)


def begin(method: FedAvg, data: Data, seed: int = 0) -> Any:
    """The learner as `fit` begins with it."""
    with torch.random.fork_rng():
        torch.manual_seed(mix(seed, 0))
        return method.begin(data, None, seed)


@pytest.fixture(scope="session")
def begun() -> Callable[..., Any]:
    """Gives the learner as `fit` begins with it."""
    return begin


@pytest.fixture(scope="session")
def movement() -> Callable[..., torch.Tensor]:
    """Gives how far all weights have moved in some steps [parameters]."""

    def moved(method: FedAvg, data: Data, steps: int, seed: int = 0) -> torch.Tensor:
        before, after = begin(method, data, seed).network, method.fit(data, budget=steps, seed=seed).network
        pairs = zip(after.parameters(), before.parameters(), strict=True)
        return torch.cat([(now - then).detach().flatten() for now, then in pairs])

    return moved
