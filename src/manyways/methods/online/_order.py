"""The order of a stream: by the time column where there is one, otherwise that of the rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.parts import TRAINING
from manyways.data.storage import RowNumbers
from manyways.data.times import is_dates, moments, written
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
            f"{name!r} begins at {written(times[0], before.dates)} and must not be below "
            f"{written(last, before.dates)}. Leave those rows out, or learn the whole stream anew."
        )
