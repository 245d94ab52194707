"""Forecasting: a table in time as rows that are forecast origins, each with the history before it and what follows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.categories import as_objects
from manyways.data.columns import Column
from manyways.data.panel import Panel, panels_of
from manyways.data.parts import PARTS
from manyways.data.phrases import count_of
from manyways.data.storage import loaded
from manyways.data.time_steps import TimeStep
from manyways.data.times import written
from manyways.data.window_reading import WindowReading
from manyways.data.windows import WindowRows
from manyways.errors import DataError

HISTORY, CALENDAR, SERIES = "history", "calendar", "series"
"""The columns that are added: what came before, what the calendar says, and which of several series it is."""
SHARE = 3
"""A history that nobody chose takes at most one in so many steps of the shortest series, but for its season."""


@dataclass(frozen=True)
class Forecasting:
    """The settings of rows that are forecast origins.

    Attributes:
        horizon: Values ahead.
        history: Values before, which are what a model sees; None: two seasons or four horizons, what is more.
        season: Steps of the season; None: as the time step says, 24 of hours, 7 of days.
        open: True to have besides the last origin of every series, whose future is not known.
    """

    horizon: int
    history: int | None = None
    season: int | None = None
    open: bool = False


@dataclass(frozen=True, eq=False)
class Origins:
    """Forecast origins as a table: columns, roles, the part and the number in the source of each row, and notes."""

    columns: list[Column]
    roles: dict[str, tuple[str, ...]]
    part: NDArray[np.uint8]
    numbers: NDArray[np.int64]
    notes: dict[str, str]


def origins_of(
    columns: Mapping[str, Column],
    roles: Mapping[str, Sequence[str]],
    part: NDArray[np.uint8],
    numbers: NDArray[np.int64],
    settings: Forecasting,
    *,
    dates: bool,
) -> Origins:
    """The forecast origins of a table, a row for each time of each series that has enough before and behind it.

    A row's future is in one part as a whole; origins whose future lies in two are left out.

    Args:
        columns: The columns of the table.
        roles: Their roles: a time, labels, which are each a series of its own where there are several, inputs, and a
            group, whose values tell series apart.
        part: The part of each row.
        numbers: The number of each row in its source, for messages.
        settings: Horizon and history.
        dates: True if times that are numbers are seconds of dates.

    Raises:
        DataError: A column lacks, is no number or has gaps, or a series is irregular or too short.
    """
    panels = panels_of(columns, roles, numbers, dates=dates)
    step, season = panels[0].step, settings.season or panels[0].step.season
    history, season, notes = _lengths(panels, settings, season)
    _refuse_short(panels, history, settings)
    reading = WindowReading(
        channels=panels[0].channels,
        label=tuple(roles["label"]),
        time=roles["time"][0],
        group=next(iter(roles.get("group", ())), None),
        history=history,
        horizon=settings.horizon,
        season=season,
        unit=step.unit,
        step=step.size,
    )
    pieces = [_piece(panel, part, reading, settings.open) for panel in panels]
    starts = np.cumsum([0, *(len(panel) for panel in panels)])
    ahead = np.cumsum([0, *(len(panel) + reading.horizon for panel in panels)])
    last = np.concatenate([piece.last for piece in pieces])
    which = np.repeat(np.arange(len(panels)), [len(piece.last) for piece in pieces])
    own = np.concatenate([piece.part for piece in pieces])
    _check_parts(part, own, reading)
    rows = np.concatenate([panel.rows[piece.last] for panel, piece in zip(panels, pieces, strict=True)])
    values = np.concatenate([panel.values for panel in panels])
    padding = np.full(reading.horizon, np.nan)
    labels = np.concatenate([part for panel in panels for part in (panel.values[:, 0], padding)])
    history_column = Column(HISTORY, "series", WindowRows(values, starts[which] + last - history + 1, history))
    label = Column(_label_name(reading), "forecast", WindowRows(labels, ahead[which] + last + 1, reading.horizon))
    new_columns = [replace(history_column, windows=reading), replace(label, windows=reading)]
    new_roles: dict[str, tuple[str, ...]] = {"label": (label.name,), "input": (HISTORY,)}
    moments = np.concatenate([panel.times[piece.last] for panel, piece in zip(panels, pieces, strict=True)])
    names, calendar = step.calendar(moments)
    if names:
        new_columns.append(Column(CALENDAR, "number", calendar))
        new_roles["input"] += (CALENDAR,)
    time = columns[reading.time]
    new_columns += [Column(time.name, time.kind, time.take(rows)), _until(panels, pieces, reading, step, time)]
    new_roles |= {"time": (time.name,), "until": (new_columns[-1].name,)}
    if len(panels) > 1 or reading.group or len(reading.label) > 1:
        names_of = as_objects([panel.name for panel in panels])
        new_columns.append(Column(reading.group or SERIES, "category", names_of[which]))
        new_roles["series"] = (new_columns[-1].name,)
    for role, name in _carried(columns, roles, reading):
        new_columns.append(columns[name].select(rows))
        new_roles[role] = (*new_roles.get(role, ()), name)
    _refuse_taken(new_columns)
    return Origins(new_columns, new_roles, own, numbers[rows], notes)


@dataclass(frozen=True, eq=False)
class _Piece:
    """The origins of one series: the step that each is at, and its part."""

    last: NDArray[np.int64]
    part: NDArray[np.uint8]


def _piece(panel: Panel, part: NDArray[np.uint8], reading: WindowReading, open_end: bool) -> _Piece:
    last = np.arange(reading.history - 1, len(panel) - reading.horizon)
    own = part[panel.rows]
    ahead = own[last[:, None] + 1 + np.arange(reading.horizon)] if len(last) else np.zeros((0, 1), np.uint8)
    whole = (ahead == ahead[:, :1]).all(axis=1)
    last, parts = last[whole], ahead[whole, 0]
    if open_end:
        last, parts = np.append(last, len(panel) - 1), np.append(parts, own[-1])
    return _Piece(last, parts.astype(np.uint8))


def _lengths(panels: list[Panel], settings: Forecasting, season: int) -> tuple[int, int, dict[str, str]]:
    """The history and the season, and notes on them where nobody chose them."""
    shortest = min(len(panel) for panel in panels)
    notes: dict[str, str] = {}
    if settings.season is None and settings.history is None and season + 2 * settings.horizon > shortest:
        notes["season"] = (
            f"the shortest series has {shortest} steps, too few for a season of {season}, so that none is seen; if "
            "there is one: season=…"
        )
        season = 1
    if settings.season is None and settings.history is not None and settings.history < season:
        season = 1
    history = settings.history or max(
        season, min(max(2 * season, 4 * settings.horizon), max(2, shortest // SHARE))
    )  # fmt: skip
    if settings.history is None:
        chosen = f"{count_of(history, 'step')} before a forecast are what a model sees"
        notes[HISTORY] = f"{chosen}, of a season of {season}; to choose otherwise: history=…, season=…"
    if history < season:
        raise DataError(
            f"A season of {season} steps cannot be told from a history of {history}; pass history={season} or more, or "
            "season=1."
        )
    return history, season, notes


def _refuse_short(panels: list[Panel], history: int, settings: Forecasting) -> None:
    need = history if settings.open else history + settings.horizon
    short = [panel for panel in panels if len(panel) < need]
    if not short:
        return
    others = f", and {count_of(len(short) - 1, 'other')} too few either" if len(short) > 1 else ""
    ahead = "" if settings.open else f" and horizon={settings.horizon}"
    raise DataError(
        f"{short[0].title} has {count_of(len(short[0]), 'row')}{others}; history={history}{ahead} need {need}. Shorten "
        f"them, or leave such series out."
    )


def _check_parts(part: NDArray[np.uint8], own: NDArray[np.uint8], reading: WindowReading) -> None:
    for code in np.unique(part):
        if not (own == code).any():
            raise DataError(
                f"The {PARTS[code]} rows are too few, or too scattered in time, for one forecast of {reading.horizon} "
                "values: give longer stretches, or pass a smaller horizon."
            )


def _label_name(reading: WindowReading) -> str:
    return reading.label[0] if len(reading.label) == 1 else "value"


def _until(panels: list[Panel], pieces: list[_Piece], reading: WindowReading, step: TimeStep, time: Column) -> Column:
    """The time of the last value of each row's future, as the time column has it, also beyond its end."""
    ends = []
    for panel, piece in zip(panels, pieces, strict=True):
        last = piece.last + reading.horizon
        inside = last < len(panel)
        values = loaded(time.values)[panel.rows[np.minimum(last, len(panel) - 1)]]
        if not inside.all():
            after = step.after(panel.times[piece.last[~inside]], reading.horizon)
            values = values.copy()
            values[~inside] = _as_written(after, panel, values)
        ends.append(values)
    return Column(f"{time.name} until", time.kind, np.concatenate(ends))


def _as_written(moments: NDArray[Any], panel: Panel, like: NDArray[Any]) -> NDArray[Any]:
    if like.dtype.kind == "O":
        return as_objects([written(moment, panel.dates) for moment in moments])
    return np.asarray(moments / panel.unit if panel.dates else moments)


def _carried(
    columns: Mapping[str, Column], roles: Mapping[str, Sequence[str]], reading: WindowReading
) -> list[tuple[str, str]]:
    """The columns whose value at the origin is a row's own: categories that are inputs, and those of other roles."""
    own = {"label", "time", "group"}
    named = [(role, name) for role, names in roles.items() if role not in own for name in names]
    return [(role, name) for role, name in named if role != "input" or columns[name].kind == "category"]


def _refuse_taken(new_columns: list[Column]) -> None:
    names = [column.name for column in new_columns]
    if twice := [name for name in names if names.count(name) > 1]:
        raise DataError(f"The column {twice[0]!r} has the name of one that a forecast makes; call it otherwise.")
