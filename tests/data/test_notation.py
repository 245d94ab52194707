"""Numbers as text writes them: decimal marks, thousands, per cent, minus signs."""

import numpy as np
import polars as pl
import pytest

from manyways.data.notation import Written, as_numbers, number_of

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("cells", "decimals", "numbers"),
    [
        (["1.5", "-2", "+.5", "3.", "1e3", "1E-2"], (".",), [1.5, -2, 0.5, 3, 1000, 0.01]),
        (["0,942", "-1,397"], (",",), [0.942, -1.397]),
        (["1.234,5", "1.234.567", "7"], (",",), [1234.5, 1234567, 7]),
        (["1,234.5", "1,234,567", "7"], (".",), [1234.5, 1234567, 7]),
        (["24,708", "16,601"], (".", ","), [24708, 16601]),
        (["12.345", "1.000"], (".", ","), [12.345, 1]),
        (["1 234,5", "1\u00a0234,5", "1\u202f234,5"], (",",), [1234.5] * 3),
        (["1'234.5", "1\u2019234.5"], (".",), [1234.5] * 2),
        (["12,34,567"], (".",), [1234567]),
        (["59%", "4.5 %", "-1%"], (".",), [0.59, 0.045, -0.01]),
        (["\u22121.4", "0.4"], (".",), [-1.4, 0.4]),
        (["inf", "-Infinity", "1"], (".", ","), [np.inf, -np.inf, 1]),
        (["NA", " 3 ", None, "?", "-"], (".", ","), [np.nan, 3, np.nan, np.nan, np.nan]),
    ],
)
def test_numbers_are_read_as_they_are_written(
    cells: list[str | None], decimals: tuple[str, ...], numbers: list[float]
) -> None:
    written = Written.of(pl.Series(cells, dtype=pl.String))
    assert written.decimals == decimals
    found = written.numbers(written.decimal).cast(pl.Float64).to_numpy()
    np.testing.assert_allclose(found, numbers, rtol=1e-12)


@pytest.mark.parametrize(
    "cells", [["1", "one"], ["1,23", "1.23"], ["59%", "59"], ["1,2,3"], ["12,34"], ["0,123.5"], ["--1"], ["1 2"], ["."]]
)
def test_what_is_no_number_with_one_mark_is_none(cells: list[str]) -> None:
    assert Written.of(pl.Series(cells)).decimals == ((",",) if cells == ["12,34"] else ())


def test_one_number() -> None:
    found = [number_of(text) for text in ("1.5", "\u22121,5", "1,234.5", "1.234,5", "50 %", "inf", "x", "", "1-2")]
    assert found == [1.5, -1.5, 1234.5, 1234.5, 0.5, None, None, None, None]


def test_what_is_odd_is_named() -> None:
    values = np.array(["1,5", None, True, 2, float("nan"), "x", "7%"], object)
    numbers, odd = as_numbers(values)
    np.testing.assert_array_equal(numbers, [1.5, np.nan, 1, 2, np.nan, np.nan, np.nan])
    assert odd.tolist() == [5, 6]
    assert as_numbers(["1,234"], ",")[0].tolist() == [1.234]
    assert as_numbers(["1,234"], ".")[0].tolist() == [1234]
    assert as_numbers(np.array([True, False]))[0].tolist() == [1, 0]
    assert as_numbers(["True", " false ", "0"])[0].tolist() == [1, 0, 0]
