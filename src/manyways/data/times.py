"""Times: when rows came, as numbers that can be put in order."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import Column
from manyways.data.notation import is_missing
from manyways.data.storage import RowNumbers
from manyways.errors import DataError


def moments(column: Column, rows: RowNumbers) -> NDArray[Any]:
    """The times of `rows` as numbers that can be compared: as they are, or microseconds where they are dates.

    Dates are ISO 8601, in UTC unless they name another zone. Raises DataError for anything else.
    """
    values = column.take(rows)
    if values.ndim != 1:
        raise DataError(f"The time {column.name!r} has {values.shape[1]} numbers a row; one is needed.")
    missing = is_missing(values)
    if missing.any():
        raise DataError(
            f"The time {column.name!r} is missing in {int(missing.sum())} labelled rows, the first is row "
            f'{rows[missing][0]}. Leave them out: bad_rows="skip", or hide their labels.'
        )
    if values.dtype.kind in "iuf":
        return values
    return _dates(column.name, values, rows)


def is_dates(column: Column) -> bool:
    """True if `moments` reads the column's values as dates."""
    return column.values.dtype.kind not in "iuf"


def _dates(name: str, values: NDArray[Any], rows: RowNumbers) -> NDArray[np.int64]:
    try:
        return _microseconds(values)
    except (ValueError, TypeError):
        for row, value in zip(rows, values, strict=True):
            try:
                _microseconds(np.array([value], object))
            except (ValueError, TypeError) as error:
                raise DataError(
                    f"The time {name!r} must hold numbers, or dates as ISO 8601 writes them (2024-05-31, or "
                    f'2024-05-31T12:30:00); row {row} holds {value!r}. Rewrite it, or name another column: time="…".'
                ) from error
        raise


def _microseconds(values: NDArray[Any]) -> NDArray[np.int64]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy warns that a named zone is turned into UTC, which is what is wanted
        return np.asarray([str(value) for value in values], "datetime64[us]").astype(np.int64)


def written(moment: Any, date: bool) -> str:
    """A time as it is written."""
    return str(np.datetime64(int(moment), "us")) if date else str(moment)
