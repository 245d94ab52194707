"""Time steps: the distance between the rows of a series, the season that follows from it, and the calendar."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.times import written
from manyways.data.window_reading import Unit
from manyways.errors import DataError

SECOND = 1_000_000
HOUR, DAY = 3600 * SECOND, 86_400 * SECOND
SHORTEST_MONTH = 28 * DAY
YEAR = 12
"""Months."""


@dataclass(frozen=True)
class TimeStep:
    """The distance between two neighbouring times: `size` of a `unit`."""

    unit: Unit
    size: float

    @property
    def name(self) -> str:
        """The step in words: "hour", "7 days", "month"."""
        if self.unit == "numbers":
            return f"step of {self.size:g}"
        words = {"business days": "business day", "months": "month"}
        if self.unit in words:
            return _counted(self.size, words[self.unit])
        for unit, length in (("day", DAY), ("hour", HOUR), ("minute", 60 * SECOND), ("second", SECOND)):
            if self.size % length == 0:
                return _counted(self.size / length, unit)
        return f"{self.size:g} µs"

    @property
    def season(self) -> int:
        """The steps of the usual season: 24 of hours, 7 of days, 52 of weeks, 12 of months; 1 where there is none."""
        if self.unit == "numbers":
            return 1
        if self.unit == "business days":
            return 5 if self.size == 1 else 1
        if self.unit == "months":
            return max(1, round(YEAR / self.size))
        for length, repeats in ((7 * DAY, 52 * 7 * DAY), (DAY, 7 * DAY), (60 * SECOND, DAY), (0, 60 * SECOND)):
            if self.size >= length:
                return max(1, round(repeats / self.size))
        return 1

    def places(self, times: NDArray[Any]) -> NDArray[np.int64] | None:
        """The number of each of `times` on the grid of steps from the first, int64; None where one lies beside it."""
        if self.unit == "business days":
            return _whole(_business(times // DAY), self.size) if _is_business(times) else None
        if self.unit == "months":
            months = _months(times)
            return None if months is None else _whole(months - months[0], self.size)
        return _whole(times - times[0], self.size)

    def after(self, times: NDArray[Any], steps: int) -> NDArray[Any]:
        """The times `steps` steps after `times`."""
        if self.unit == "business days":
            days = np.asarray(times // DAY).astype("datetime64[D]")
            moved = np.busday_offset(days, int(steps * self.size), roll="forward").astype(np.int64)
            return np.asarray(moved * DAY + times % DAY)
        if self.unit == "months":
            stamps = np.asarray(times).astype("datetime64[us]")
            first = stamps.astype("datetime64[M]")
            moved = first + int(steps * self.size)
            lengths = ((moved + 1).astype("datetime64[D]") - moved.astype("datetime64[D]")).astype(np.int64)
            inside = (stamps - first.astype("datetime64[us]")).astype(np.int64)
            day = np.where(_at_ends(stamps), lengths - 1, np.minimum(inside // DAY, lengths - 1))
            return np.asarray(moved.astype("datetime64[us]").astype(np.int64) + day * DAY + inside % DAY)
        return np.asarray(times + steps * np.asarray(self.size, times.dtype if times.dtype.kind == "f" else np.int64))

    def calendar(self, times: NDArray[Any]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        """Names and values [rows, numbers] of what the calendar says of dates: cycles as sine and cosine.

        Only cycles that are longer than a step and may be seen again are told: hours of the day, days of the week,
        months of the year. Times that are numbers have none.
        """
        if self.unit == "numbers":
            return (), np.zeros((len(times), 0))
        stamps = np.asarray(times).astype("datetime64[us]")
        month = stamps.astype("datetime64[M]").astype(np.int64) % YEAR
        length = {"months": SHORTEST_MONTH * self.size, "business days": DAY * self.size}.get(self.unit, self.size)
        cycles = {
            "hour": (DAY, (times % DAY) / DAY),
            # 1970-01-01 was a Thursday.
            "weekday": (7 * DAY, ((times // DAY + 3) % 7) / 7),
            "month": (12 * SHORTEST_MONTH, month / YEAR),
        }
        names: list[str] = []
        values: list[NDArray[Any]] = []
        for name, (cycle, phase) in cycles.items():
            if length < cycle:
                names += [f"{name} sine", f"{name} cosine"]
                values += [np.sin(2 * np.pi * phase), np.cos(2 * np.pi * phase)]
        return tuple(names), np.stack(values, axis=1) if values else np.zeros((len(times), 0))


def step_of(times: NDArray[Any], dates: bool) -> TimeStep:
    """The most frequent distance between neighbours of increasing `times`, at least two of them.

    Dates that are a month or more apart are counted in months, and days without a weekend in business days.
    """
    distances = np.diff(times)
    sizes, counts = np.unique(distances, return_counts=True)
    usual = sizes[counts.argmax()]
    if not dates:
        return TimeStep("numbers", float(usual))
    if usual >= SHORTEST_MONTH and len(sizes) > 1 and (months := _months(times)) is not None:
        apart, often = np.unique(np.diff(months), return_counts=True)
        return TimeStep("months", float(apart[often.argmax()]))
    if usual == DAY and 3 * DAY in sizes and _is_business(times):
        return TimeStep("business days", 1.0)
    return TimeStep("microseconds", float(usual))


def check_regular(times: NDArray[Any], rows: NDArray[np.int64], step: TimeStep, dates: bool, of: str) -> None:
    """Raise DataError where the `times` of a series do not follow each other step by step.

    Args:
        times: The times in the order of the rows.
        rows: The number of each row in its source.
        step: The step.
        dates: True if times are microseconds of dates.
        of: The series in words, for messages.
    """
    distances = np.diff(times)
    if len(back := np.flatnonzero(distances < 0)):
        at = back[0]
        raise DataError(
            f"The times of {of} must increase: row {rows[at + 1]} is of {written(times[at + 1], dates)}, and the row "
            f"before it of {written(times[at], dates)} (rows count from 0). Sort the rows by their time; "
            'of several series name the column that tells them apart: group="…".'
        )
    if len(twice := np.flatnonzero(distances == 0)):
        at = twice[0]
        raise DataError(
            f"{of} has the time {written(times[at], dates)} more than once, in rows {rows[at]} and {rows[at + 1]} "
            "(rows count from 0). Keep one of them; of several series name the column that tells them apart: "
            'group="…".'
        )
    places = step.places(times)
    if places is None:
        at = _first_odd(distances, step)
        raise DataError(
            f"The times of {of} are irregular: most are a {step.name} apart, and row {rows[at + 1]} at "
            f"{written(times[at + 1], dates)} does not lie on that grid (rows count from 0). Bring the series to equal "
            "steps, such as pandas' resample does, or give the rows numbers in place of times."
        )
    if len(gaps := np.flatnonzero(np.diff(places) != 1)):
        at = gaps[0]
        lacking = int(places[at + 1] - places[at]) - 1
        raise DataError(
            f"{of} has a gap: after {written(times[at], dates)} {lacking:,} step{'s are' if lacking > 1 else ' is'} "
            f"missing until {written(times[at + 1], dates)} in row {rows[at + 1]} (rows count from 0; a step is a "
            f"{step.name}). Add rows for them with the values interpolated, or read the stretches as series of their "
            "own by a column of the role group."
        )


def _first_odd(distances: NDArray[Any], step: TimeStep) -> int:
    if step.unit in ("microseconds", "numbers"):
        odd = np.flatnonzero(~np.isclose(distances % step.size, 0) & ~np.isclose(distances % step.size, step.size))
        return int(odd[0]) if len(odd) else 0
    return 0


def _counted(count: float, unit: str) -> str:
    return unit if count == 1 else f"{count:g} {unit}s"


def _whole(distances: NDArray[Any], size: float) -> NDArray[np.int64] | None:
    places = distances / size
    near = np.round(places)
    return near.astype(np.int64) if bool((np.abs(places - near) < 1e-6).all()) else None


def _is_business(times: NDArray[Any]) -> bool:
    """True if no time lies on a weekend, and all have the same time of day."""
    return bool(((times // DAY + 3) % 7 < 5).all() and (times % DAY == times[0] % DAY).all())


def _business(days: NDArray[np.int64]) -> NDArray[np.int64]:
    stamps = days.astype("datetime64[D]")
    return np.asarray(np.busday_count(stamps[0], stamps), np.int64)


def _months(times: NDArray[Any]) -> NDArray[np.int64] | None:
    """The month of each of `times`; None where they are neither at one moment of their months nor all at their ends."""
    stamps = np.asarray(times).astype("datetime64[us]")
    inside = (stamps - stamps.astype("datetime64[M]").astype("datetime64[us]")).astype(np.int64)
    if (inside == inside[0]).all() or (_at_ends(stamps).all() and (inside % DAY == inside[0] % DAY).all()):
        return stamps.astype("datetime64[M]").astype(np.int64)
    return None


def _at_ends(stamps: NDArray[Any]) -> NDArray[np.bool_]:
    """True for each of the dates that is the last day of its month."""
    days = stamps.astype("datetime64[D]")
    return np.asarray((days + 1).astype("datetime64[M]") != days.astype("datetime64[M]"))
