"""Python values as a column: numbers, strings, truth values, vectors, nested values."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.categories import as_objects
from manyways.data.inference.table import TypedColumn
from manyways.data.phrases import count_of
from manyways.errors import DataError


def column_from_objects(name: str, values: Sequence[Any], where: str) -> TypedColumn:
    """A column from Python values; None is missing, and so is an empty string among numbers.

    Lists of numbers of one length become rows of a matrix, lists of lists of one shape images; other lists and mappings
    become JSON text. Numbers and words in one column are kept as words, with the problem noted for whoever wants
    numbers. Raises DataError for values of any other type.
    """
    sorts = {_sort_of(each) for each in set(map(type, values))} - {"none"}
    if "other" in sorts:
        odd = next(value for value in values if _sort_of(type(value)) == "other")
        raise DataError(
            f"{where}: the column {name!r} holds values of type {type(odd).__qualname__}; allowed are numbers, "
            "strings, truth values, dates, lists and mappings. Leave the column out, or turn it into one of those."
        )
    if sorts & {"list", "mapping"}:
        matrix = _matrix(values) if sorts == {"list"} else None
        nested = TypedColumn(name, as_objects([_as_json(value) for value in values]), "text")
        return nested if matrix is None else _vectors_or_images(name, matrix, where)
    if sorts & {"integer", "real"}:
        return _numbers_and_words(name, values, where)
    if sorts == {"boolean"} and all(value is not None for value in values):
        return TypedColumn(name, np.array(values, bool))
    if sorts <= {"string"} or sorts == {"boolean"}:
        return TypedColumn(name, as_objects(values))
    return TypedColumn(name, as_objects([None if value is None else str(value) for value in values]))


def _numbers_and_words(name: str, values: Sequence[Any], where: str) -> TypedColumn:
    values = [None if isinstance(value, str) and not value else value for value in values]
    odd = [row for row, value in enumerate(values) if _sort_of(type(value)) not in ("integer", "real", "none")]
    if not odd:
        try:
            numbers = numbers_of(values)
        except OverflowError:
            row = next(
                row
                for row, value in enumerate(values)
                if isinstance(value, Integral) and not -MOST <= int(value) <= MOST
            )
            raise DataError(
                f"{where}: the column {name!r} holds a whole number of more than 308 digits in row {row} (rows count "
                "from 0), which no number of 64 bits is. Correct it, or write it as a string."
            ) from None
        whole = numbers.dtype.kind == "f" and all(value is None or isinstance(value, Integral) for value in values)
        return TypedColumn(name, numbers, exact=exact_of(values, numbers) if whole else None)
    words = as_objects([None if value is None else str(value) for value in values])
    known = sum(value is not None for value in values) - len(odd)
    return TypedColumn(name, words, problem=mixed(name, where, known, {row: values[row] for row in odd}))


def mixed(name: str, where: str, numbers: int, words: Mapping[int, Any]) -> str:
    """The message where a column holds `numbers` numbers and, by row, `words`."""
    row, value = next(iter(words.items()))
    return (
        f"{where}: the column {name!r} holds numbers in {count_of(numbers, 'row')} and something else in "
        f"{len(words):,}, first {value!r} in row {row} (rows count from 0). Correct the cell, leave it empty and pass "
        f'bad_rows="skip" or bad_rows="fill", or pass kinds={{{name!r}: "category"}}.'
    )


MOST = int(np.finfo(np.float64).max)
"""The largest number that a float can be."""
DEEPEST = 4
"""Axes that an array of a column has at most."""
EXACT = 2**53
"""Whole numbers up to this one are told apart as floats."""


def exact_of(values: Iterable[Any], numbers: NDArray[np.float64]) -> NDArray[Any] | None:
    """`values` as objects, whole numbers of any size or None, where floats would take some for the same; else None.

    Args:
        values: Numbers, or text that writes them.
        numbers: The same as floats.
    """
    if not (np.abs(numbers) > EXACT).any():
        return None
    try:
        return as_objects([None if value is None else int(value) for value in values])
    except (ValueError, OverflowError):  # some have a fraction, or are infinite
        return None


def numbers_of(values: Sequence[Any]) -> NDArray[Any]:
    """int64 where all values are whole and there, else float64 with NaN for None."""
    try:
        return np.array(values, np.int64) if all(isinstance(v, Integral) for v in values) else _floats(values)
    except OverflowError:  # whole numbers beyond 64 bits
        return _floats(values)


def _floats(values: Sequence[Any]) -> NDArray[Any]:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _sort_of(kind: type) -> str:
    if kind is type(None):
        return "none"
    names: tuple[tuple[str, type | tuple[type, ...]], ...] = (
        ("string", str),
        ("boolean", (bool, np.bool_)),
        ("integer", Integral),
        ("real", (Real, Decimal)),
        ("list", (list, tuple, np.ndarray)),
        ("mapping", dict),
        ("time", (date, time)),
    )
    return next((name for name, types in names if issubclass(kind, types)), "other")


def _vectors_or_images(name: str, matrix: NDArray[Any], where: str) -> TypedColumn:
    from manyways.data.inference.arrays import as_images

    return (
        TypedColumn(name, matrix)
        if matrix.ndim == 2
        else TypedColumn(name, as_images(matrix, name, where, ""), "image")
    )


def _matrix(values: Sequence[Any]) -> NDArray[Any] | None:
    """`values` as an array of two to four axes, where all are lists of numbers of one shape."""
    if any(value is None for value in values) or len({len(value) for value in values}) != 1:
        return None
    matrix = array_of(values)
    return matrix if matrix is not None and 2 <= matrix.ndim <= 4 and matrix.size else None


def array_of(values: Any) -> NDArray[Any] | None:
    """Nested lists of numbers, or arrays, as one array; None for ragged ones, and where anything is no number."""
    if not _are_arrays(values):
        # NumPy would make text as wide as the longest of it, for each element.
        try:
            nested = np.array(values, object)
        except ValueError:
            return None
        if nested.ndim > DEEPEST:
            return None
        if not all(issubclass(kind, bool | int | float | np.number | np.bool_) for kind in set(map(type, nested.flat))):
            return None
    try:
        matrix = np.array(values)
    except (ValueError, OverflowError):
        return None
    return matrix if matrix.dtype.kind in "iufb" else None


def _are_arrays(values: Any) -> bool:
    return isinstance(values, np.ndarray) or all(isinstance(value, np.ndarray) for value in values)


def _as_json(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return json.dumps(value, ensure_ascii=False, default=str)
