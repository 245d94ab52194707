"""The order of a stream: by the time column where there is one, otherwise that of the rows."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import Column, is_missing
from manyways.data.data import TRAINING, Data
from manyways.data.storage import RowNumbers
from manyways.errors import DataError
from manyways.models.stream import StreamPredictor


def in_order(data: Data, before: StreamPredictor | None) -> tuple[RowNumbers, NDArray[Any] | None]:
    """The positions in `data` of its labelled training rows in the order in which they came, and their times.

    Rows of one time keep the table's order. before: the stream so far. Raises DataError where a row has no time, a
    time cannot be read, a row came before the end of the stream so far, or rows had times that have none now.
    """
    positions = np.flatnonzero((data.part[data.rows] == TRAINING) & data.labelled)
    if not data.has("time"):
        if before is not None and before.time is not None:
            raise DataError(
                f"The model learned its rows in the order of {before.time!r}, and no column of {data.name} has the "
                f'role time. Name it: time="{before.time}".'
            )
        return positions, None
    column = data.columns[data.roles["time"][0]]
    times = moments(column, data.rows[positions])
    order = np.argsort(times, kind="stable")
    positions, times = positions[order], times[order]
    if before is not None and before.last_time is not None:
        _check_later(data, column.name, times, before)
    return positions, times


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
    """Whether `moments` reads the column's values as dates."""
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


def _check_later(data: Data, name: str, times: NDArray[Any], before: StreamPredictor) -> None:
    last = before.last_time
    assert last is not None
    if is_dates(data.columns[name]) != before.dates:
        kinds = ("numbers", "dates")
        raise DataError(
            f"The times of the model's rows are {kinds[before.dates]}, and {name!r} of {data.name} holds "
            f"{kinds[not before.dates]}. Write them alike."
        )
    if len(times) and times[0] < last:
        count = int((times < last).sum())
        raise DataError(
            f"{count:,} of {len(times):,} rows of {data.name} came before the last row that the model learned: its "
            f"{name!r} begins at {shown(times[0], before.dates)} and must not be below {shown(last, before.dates)}. "
            "Leave those rows out, or learn the whole stream anew."
        )


def shown(moment: Any, date: bool) -> str:
    """A time as it is written."""
    return str(np.datetime64(int(moment), "us")) if date else str(moment)
