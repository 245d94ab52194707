"""Panels: the series of a table in time, each regular and without gaps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import Column
from manyways.data.notation import is_missing
from manyways.data.phrases import count_of
from manyways.data.time_steps import SECOND, TimeStep, check_regular, step_of
from manyways.data.times import is_dates, moments
from manyways.errors import DataError

FEWEST = 3
"""Rows of a series: fewer have no step that could be checked."""


@dataclass(frozen=True, eq=False)
class Panel:
    """One series and what runs beside it.

    Attributes:
        name: Its name among several; empty where it is the only one.
        rows: Its rows in the table, in time, int64 [steps].
        times: Their times, microseconds of dates or numbers, [steps].
        values: float64 [steps, channels], the series itself first.
        channels: The columns of these.
        step: The distance in time of two steps.
        dates: True if times are dates.
        unit: Microseconds in a unit of the time column, where it holds numbers that are dates.
    """

    name: str
    rows: NDArray[np.int64]
    times: NDArray[Any]
    values: NDArray[np.float64]
    channels: tuple[str, ...]
    step: TimeStep
    dates: bool
    unit: float = 1.0

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def title(self) -> str:
        """The series in words."""
        return f"The series {self.name!r}" if self.name else f"The series {self.channels[0]!r}"


def panels_of(
    columns: Mapping[str, Column], roles: Mapping[str, Sequence[str]], numbers: NDArray[np.int64], *, dates: bool
) -> list[Panel]:
    """The series of a table: one for each label and each value of the group.

    A label alone has the numbers among the inputs beside it, several labels only those that they share.

    Args:
        columns: The columns of the table.
        roles: Their roles.
        numbers: The number of each row in its source, for messages.
        dates: True if times that are numbers are seconds of dates.

    Raises:
        DataError: A column lacks, is no number or has gaps, or a series is irregular.
    """
    labels, beside = _series_columns(columns, roles)
    time = columns[roles["time"][0]]
    everything = np.arange(len(time))
    times = moments(time, everything)
    unit = 1.0
    if dates and not is_dates(time):
        times, unit = np.round(np.asarray(times, np.float64) * SECOND).astype(np.int64), float(SECOND)
    dated = dates or is_dates(time)
    members = _members(columns, roles, everything)
    step = step_of(*_usual(times, members, dated))
    for name, rows in members.items():
        of = f"the series {name!r}" if name else "the series"
        check_regular(times[rows], numbers[rows], step, dated, of)
    panels = []
    for label in labels:
        channels = (label, *beside)
        table = np.stack([_numbers(columns[name], numbers) for name in channels], axis=1)
        for name, rows in members.items():
            title = " ".join(part for part in (name, label if len(labels) > 1 else "") if part)
            panels.append(Panel(title, rows, times[rows], table[rows], channels, step, dated, unit))
    return panels


def _series_columns(
    columns: Mapping[str, Column], roles: Mapping[str, Sequence[str]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The labels, and the inputs that are other numbers."""
    if not roles.get("label"):
        raise DataError(
            f'A forecast is of a column of numbers: name it, label="…", one of {", ".join(columns)}; several are as '
            "many series."
        )
    if not roles.get("time"):
        raise DataError(
            f'A forecast needs the time of each row: name its column, time="…", one of {", ".join(columns)}.'
        )
    inputs = [columns[name] for name in roles.get("input", ())]
    if odd := [column for column in inputs if column.kind not in ("number", "category")]:
        others = tuple(column.name for column in inputs if column.kind in ("number", "category"))
        raise DataError(
            f"Forecasts are made from numbers and categories, and {odd[0].name!r} is {odd[0].of.words[0]}. Name the "
            f"other inputs: input={others!r}."
        )
    beside = (column.name for column in inputs if column.kind == "number" and column.name not in roles["label"])
    return tuple(roles["label"]), tuple(beside)


def _members(
    columns: Mapping[str, Column], roles: Mapping[str, Sequence[str]], everything: NDArray[np.int64]
) -> dict[str, NDArray[np.int64]]:
    """The rows of each value of the group, in their order."""
    if not roles.get("group"):
        return {"": everything}
    column = columns[roles["group"][0]]
    values = column.take(everything)
    if (lost := is_missing(values)).any():
        raise DataError(
            f"{count_of(int(lost.sum()), 'row')} have no value in {column.name!r}, which tells the series apart; the "
            f"first is row {int(np.flatnonzero(lost)[0])}. Name their series, or leave them out."
        )
    names, codes = np.unique(values.astype(str), return_inverse=True)
    order = np.argsort(codes, kind="stable")
    return dict(zip(names.tolist(), np.split(order, np.cumsum(np.bincount(codes))[:-1]), strict=True))


def _usual(times: NDArray[Any], members: Mapping[str, NDArray[np.int64]], dates: bool) -> tuple[NDArray[Any], bool]:
    """The times of the longest series, in order, by which the step of all is told."""
    name, rows = max(members.items(), key=lambda item: len(item[1]))
    distinct = np.unique(times[rows])
    if len(distinct) < FEWEST:
        of = f"The series {name!r}" if name else "The series"
        raise DataError(f"{of} has {count_of(len(distinct), 'time')}; a series is of {FEWEST} steps or more.")
    return distinct, dates


def _numbers(column: Column, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    if column.kind != "number" or len(column.values.shape) != 1:
        what = column.of.detail(column.values.shape, None)
        raise DataError(f"A forecast is of numbers, one a row, and {column.name!r} is of the kind {what}.")
    values = np.asarray(column.take(np.arange(len(column))), np.float64)
    if len(odd := np.flatnonzero(~np.isfinite(values))):
        raise DataError(
            f"The series {column.name!r} is NaN or infinite in {count_of(len(odd), 'row')}, the first is row "
            f"{numbers[odd[0]]} (rows count from 0). Interpolate what is missing, or leave the column out: input=…."
        )
    return values
