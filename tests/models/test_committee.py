"""Committee: votes of several models, saved in one folder with a lineage for each."""

from pathlib import Path

import numpy as np
import pytest

from manyways.data.data import Data
from manyways.data.read import read
from manyways.errors import ModelError
from manyways.methods.supervised.ridge import Ridge
from manyways.models.committee import Committee, Seat
from manyways.models.model import Model


@pytest.fixture(scope="module")
def digits() -> Data:
    return read("digits").with_test(0.25)


@pytest.fixture(scope="module")
def members(digits: Data) -> list[Model]:
    """Three models of forty labels each."""
    return [Ridge().fit(digits.with_labels(40, seed, draw="stratified")) for seed in range(3)]


def _committee(members: list[Model], vote: str = "mean") -> Committee:
    seats = [Seat(at, (model,)) for at, model in enumerate(members)]
    return Committee.of([*seats, Seat(7, (None,))], vote, None)  # type: ignore[arg-type]


def test_probabilities_are_the_mean_of_the_members(digits: Data, members: list[Model]) -> None:
    committee = _committee(members)
    mean = np.mean([member.probabilities(digits.test) for member in members], axis=0)
    np.testing.assert_allclose(committee.probabilities(digits.test), mean, rtol=1e-6)
    assert np.array_equal(committee.predict(digits.test), np.arange(10)[mean.argmax(1)])
    single = [member.evaluate(digits.test)["accuracy"] for member in members]
    assert committee.evaluate(digits.test)["accuracy"] > max(single)


def test_majority_counts_heads(digits: Data, members: list[Model]) -> None:
    committee = _committee(members, "majority")
    heads = np.stack([member.predict(digits.test) for member in members])
    shares = np.stack([(heads == code).mean(0) for code in range(10)], 1)
    np.testing.assert_allclose(committee.probabilities(digits.test), shares, rtol=1e-6)


def test_numbers_are_averaged_in_their_own_unit() -> None:
    data = read("diabetes").with_test(0.25)
    members = [Ridge().fit(data.with_labels(60, seed, draw="stratified")) for seed in range(3)]
    committee = _committee(members)
    mean = np.mean([member.predict(data.test) for member in members], axis=0)
    np.testing.assert_allclose(committee.predict(data.test), mean, rtol=1e-6)
    assert committee.evaluate(data.test)["r2"] > 0.3
    with pytest.raises(ModelError, match="predicts the number 'label', which has no probabilities"):
        committee.probabilities(data.test)


def test_saved_and_loaded_whole_with_empty_seats_and_slices(digits: Data, members: list[Model], tmp_path: Path) -> None:
    seats = [Seat(0, (members[0], members[1])), Seat(1, (None, None)), Seat(2, (None, members[2]))]
    committee = Committee.of(seats, "mean", members[0])
    loaded = Committee.read(tmp_path, committee.write(tmp_path), frozenset({"classify"}), committee.lineage)
    assert [[model is not None for model in seat.models] for seat in loaded.seats] == [
        [True, True], [False, False], [False, True]
    ]  # fmt: skip
    assert np.array_equal(loaded.outputs(digits.test), committee.outputs(digits.test))
    assert loaded.start is not None
    assert np.array_equal(loaded.start.outputs(digits.test), members[0].outputs(digits.test))


def test_it_has_no_features(digits: Data, members: list[Model]) -> None:
    with pytest.raises(ModelError, match="it cannot embed"):
        _committee(members).embed(digits.test)
