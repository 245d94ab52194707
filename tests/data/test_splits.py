"""Draws: exact, stratified, nested, and by the rows themselves."""

import numpy as np
import pytest
from numpy.typing import NDArray

from manyways.data.splits import shuffle_keys, stratified
from manyways.errors import DataError

pytestmark = pytest.mark.quick


def ids(count: int, seed: int = 0) -> NDArray[np.uint64]:
    return np.random.default_rng(seed).integers(0, 2**64, (count, 2), np.uint64)


def draw(strata: NDArray[np.int64], count: int, seed: int = 0, each: int = 1) -> NDArray[np.int64]:
    return stratified(strata, count, seed, ids=ids(len(strata)), what=f"{count} labels", fewest=each)


def test_every_draw_is_exact_nested_and_covers_each_stratum() -> None:
    """Over many sizes: largest remainders would lose rows again (the Alabama paradox)."""
    rng = np.random.default_rng(0)
    for _ in range(30):
        sizes = rng.integers(1, 40, rng.integers(2, 7))
        strata = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
        before: set[int] = set()
        for count in range(len(sizes), len(strata) + 1):
            chosen = draw(strata, count)
            assert len(chosen) == count
            assert (np.diff(chosen) > 0).all()
            assert set(strata[chosen].tolist()) == set(range(len(sizes)))
            assert before <= set(chosen.tolist())
            before = set(chosen.tolist())


def test_strata_get_their_share() -> None:
    strata = np.repeat([0, 1, 2], [600, 300, 100])
    for count in (10, 50, 333, 1000):
        got = np.bincount(strata[draw(strata, count)])
        np.testing.assert_allclose(got, count * np.array([0.6, 0.3, 0.1]), atol=1)


def test_without_a_least_number_small_strata_may_get_none() -> None:
    strata = np.repeat([0, 1], [99, 1])
    assert strata[draw(strata, 10, each=0)].sum() == 0
    assert strata[draw(strata, 10, each=1)].sum() == 1


def test_the_same_rows_are_drawn_whatever_their_order() -> None:
    strata, marks = np.repeat([0, 1, 2], [50, 30, 20]), ids(100)
    order = np.random.default_rng(3).permutation(100)
    straight = stratified(strata, 17, 4, ids=marks, what="x")
    shuffled = stratified(strata[order], 17, 4, ids=marks[order], what="x")
    assert sorted(order[shuffled].tolist()) == straight.tolist()


def test_too_few_are_refused_with_the_number_to_ask_for() -> None:
    with pytest.raises(DataError, match="4 labels cannot cover 5 classes with one row each; ask for at least 5"):
        draw(np.arange(5), 4)


def test_keys_are_a_function_of_id_and_seed_and_spread_evenly() -> None:
    marks = ids(4000)
    keys = shuffle_keys(marks, 0)
    assert np.array_equal(keys, shuffle_keys(marks, 0))
    assert not np.array_equal(keys, shuffle_keys(marks, 1))
    assert len(np.unique(keys)) == 4000
    counts = np.bincount((keys >> np.uint64(60)).astype(int), minlength=16)
    assert ((counts - 250) ** 2 / 250).sum() < 40, "a chi-square of 15 degrees of freedom: 37.7 once in a thousand"


def test_keys_are_the_same_in_every_version() -> None:
    """A comparison is repeated years later: the literal guards its draws."""
    marks = np.array([[1, 2], [2**64 - 1, 0]], np.uint64)
    assert shuffle_keys(marks, 7).tolist() == [18062957258774212153, 10078564121556696136]
