"""Simulated clients: unequal, of few classes, and a function of the row, its class and the seed."""

import numpy as np
import pytest

import manyways as mw
from manyways.data.data import Data
from manyways.data.splits import dirichlet_clients
from manyways.errors import DataError
from manyways.methods.supervised.supervised import Supervised


@pytest.fixture(scope="module")
def digits() -> Data:
    return mw.read("digits").with_test(0.25)


def entropies(data: Data) -> list[float]:
    """For each client the entropy of its classes, in nats."""
    found = []
    for client in np.unique(data.take("client")):
        counts = np.unique(data.take("label")[data.take("client") == client], return_counts=True)[1]
        shares = counts / counts.sum()
        found.append(float(-(shares * np.log(shares)).sum()))
    return found


def test_a_small_alpha_leaves_few_classes_and_unequal_clients() -> None:
    data = mw.read("digits")
    even, skewed, alone = (data.with_clients(10, alpha=alpha) for alpha in (1000.0, 0.5, 0.01))
    assert min(entropies(even)) > 2.2, "ln 10 is 2.303"
    assert 0.8 < np.mean(entropies(skewed)) < 2.0
    assert np.mean(entropies(alone)) < 0.5
    sizes = np.bincount(skewed.take("client"))
    assert sizes.max() > 2 * sizes.min()
    assert np.bincount(even.take("client")).min() > 120


def test_shares_of_a_class_are_as_drawn() -> None:
    """Of a class with very many rows the clients hold what the distribution gave them: variance α₁(1-α₁)/(Kα + 1)."""
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 2**64, (200_000, 2), np.uint64)
    strata = np.repeat(np.arange(50), 4000)
    held = dirichlet_clients(strata, 8, 0.5, 3, ids=ids)
    shares = np.stack([np.bincount(held[strata == name], minlength=8) / 4000 for name in range(50)])
    assert shares.mean(0) == pytest.approx(np.full(8, 1 / 8), abs=0.08)
    assert shares.var() == pytest.approx(1 / 8 * 7 / 8 / (8 * 0.5 + 1), rel=0.2)


def test_a_row_keeps_its_client(digits: Data) -> None:
    """In a part of the data, with fewer labels and after another split; another seed gives another."""
    whole = digits.with_clients(7, seed=1)
    some = np.arange(0, len(digits), 3)
    assert np.array_equal(whole.take("client")[some], digits.select(some).with_clients(7, seed=1).take("client"))
    assert np.array_equal(whole.take("client"), digits.with_labels(40).with_clients(7, seed=1).take("client"))
    assert not np.array_equal(whole.take("client"), digits.with_clients(7, seed=2).take("client"))
    assert np.array_equal(whole.ids, digits.ids), "who holds a row does not change what it is"


def test_clients_and_a_split_by_one_seed_are_independent(digits: Data) -> None:
    """Of each client about as many rows are for testing as of all."""
    data = mw.read("digits").with_clients(4, alpha=100.0, seed=0).with_test(0.25, seed=0)
    shares = [(data.test.take("client") == client).sum() / (data.take("client") == client).sum() for client in range(4)]
    assert shares == pytest.approx([0.25] * 4, abs=0.06)


def test_who_holds_a_row_is_part_of_the_fingerprint_but_no_input(digits: Data) -> None:
    first, second = digits.with_clients(7, seed=1), digits.with_clients(7, seed=2)
    assert len({digits.fingerprint, first.fingerprint, second.fingerprint}) == 3
    assert [column.name for column in first.inputs] == ["image"]
    assert "client=client" in repr(first)
    plain = Supervised().fit(digits, budget=2).outputs(digits.test)
    assert np.array_equal(plain, Supervised().fit(first, budget=2).outputs(digits.test))


def test_without_classes_only_the_numbers_differ() -> None:
    data = mw.read("diabetes").with_clients(5, alpha=0.5)
    sizes = np.bincount(data.take("client"), minlength=5)
    assert sizes.max() > 2 * sizes.min()
    means = [
        data.take(data.label.name)[data.take("client") == client].mean() for client in range(5) if sizes[client] > 40
    ]
    assert np.ptp(means) < 45, "of a standard deviation of 77"


def test_bad_splits_are_refused(digits: Data) -> None:
    with pytest.raises(DataError, match="at least 1 and alpha above 0; got 0 and 0.5"):
        digits.with_clients(0)
    with pytest.raises(DataError, match="got 3 and nan"):
        digits.with_clients(3, alpha=float("nan"))
    with pytest.raises(DataError, match="has a column 'client' for clients already"):
        digits.with_clients(3).with_clients(3)
