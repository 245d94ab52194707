"""One spelling says when two values are the same category, whatever wrote them."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from manyways.data.categories import counts_of, in_one_spelling, places_in, spelling

pytestmark = pytest.mark.quick


def objects(*values: Any) -> NDArray[Any]:
    out = np.empty(len(values), object)
    out[:] = values
    return out


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1, 1.0, "1", "1.0", "1.", "+1", " 1 ", True, np.True_, np.int8(1), np.float32(1), "True", "true"], "1"),
        ([0, 0.0, "0", "-0", -0.0, False, np.False_, "FALSE"], "0"),
        ([-7, "-7", -7.0, "-7.00"], "-7"),
        ([1.5, "1.5", np.float64(1.5), np.float32(1.5)], "1.5"),
        ([0.1, np.float32(0.1), "0.1"], "0.1"),
        (["01", " 01"], "01"),
        (["1.10"], "1.10"),
        ([2**53 + 1, str(2**53 + 1)], "9007199254740993"),
        ([2**70, str(2**70), f"{2**70}.0"], "1180591620717411303424"),
        (["red", " red"], "red"),
        (["", None, float("nan"), np.float32("nan"), "  "], ""),
    ],
)
def test_what_is_written_in_several_ways_has_one_spelling(values: list[Any], text: str) -> None:
    assert [spelling(value) for value in values] == [text] * len(values)


def test_what_differs_has_another_spelling() -> None:
    apart = ["1", "01", "001", "1.10", "1.1", "1.5", "10", "1e1", "red", "Red", "yes", "١"]
    assert len({spelling(value) for value in apart}) == len(apart)
    assert spelling(2**53) != spelling(2**53 + 1)


@pytest.mark.parametrize(
    "values",
    [np.array([2, 1, 9, 1]), np.array([2.0, 1.0, 9.0, 1.0]), objects("2", "1.0", "9", 1), objects(2, True, 9, 1)],
)
def test_places_are_those_of_the_same_category(values: NDArray[Any]) -> None:
    for known in ((1, 2), ("1", "2"), (1.0, 2.0), (True, "2.0")):
        assert places_in(values, known).tolist() == [1, 0, -1, 0]


def test_what_is_missing_has_no_place_and_what_is_written_alike_has_its_own() -> None:
    assert places_in(objects(None, "", float("nan"), "None"), ("None", "nan", "")).tolist() == [-1, 2, -1, 0]
    assert places_in(objects("1", 1), (1, "1")).tolist() == [1, 0], "where a table has both, each is itself"
    assert places_in(np.array([np.nan, 1.0]), (1, 2)).tolist() == [-1, 0]
    assert places_in(objects(), (1,)).tolist() == []


def test_a_column_is_written_in_one_way() -> None:
    mixed = objects("1", 1, None, True, "x", "1.0", "01")
    assert in_one_spelling(mixed).tolist() == ["1", "1", None, "1", "x", "1", "01"]
    plain = objects("a", None, "b", "")
    assert in_one_spelling(plain) is plain, "nothing is copied where nothing changes, so rows keep their ids"
    assert counts_of(objects("1", 1, "x", "1.0")) == {"1": 3, "x": 1}
