"""Plots as places in per cent: plot.html.jinja draws them as SVG that stretches with the page, without a script."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from manyways.comparison.report.colours import SYMBOLS, Look
from manyways.comparison.report.placing import spread
from manyways.comparison.report.scales import Scale
from manyways.comparison.results import Comparison, CurvePoint, Entry, LabelPoint

SIDE = 1000
"""Of the square that lines are drawn in, and which is stretched over the plot."""
LETTER = 7.0
"""Mean width of a letter in pixels."""
LINE, HEIGHT = 17, 380
"""Pixels of a line of text, and of a plot; style.css and script.js have the same."""
LONGEST_NAME = 30
Point = TypeVar("Point", CurvePoint, LabelPoint)


@dataclass(frozen=True)
class Mark:
    """A marker at (x, y) in per cent, y downwards; `size` multiplies its diameter of 10 pixels."""

    x: float
    y: float
    path: str
    size: float = 1.0
    hollow: bool = False
    faint: bool = False


@dataclass(frozen=True)
class Tip:
    """A point at (x, y) in per cent, y downwards, and what a pointer near it reads."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Name:
    """The name of a series in the plot: at (x, y) in per cent, moved by `right` and `down` pixels."""

    x: float
    y: float
    right: float = 0.0
    down: float = 0.0
    anchor: Literal["start", "middle", "end"] = "start"


@dataclass(frozen=True)
class Series:
    """An entry in a plot: lines, the area of an interval, markers and tips, in its look."""

    look: Look
    title: str
    lines: tuple[str, ...] = ()
    band: str = ""
    whiskers: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()
    tips: tuple[Tip, ...] = ()
    name: Name | None = None
    visible: bool = True
    """False where the legend must be pressed to see it."""

    @property
    def short(self) -> str:
        """The title, cut where it is too long to stand beside a plot."""
        return self.title if len(self.title) <= LONGEST_NAME else self.title[: LONGEST_NAME - 1].rstrip() + "…"


@dataclass(frozen=True)
class Plot:
    """A plot: `key` finds it in the page, `label` says in words what is to be seen.

    Names of series stand at their own place, or, where `aside`, right of the plot, kept apart.
    """

    key: str
    label: str
    x: Scale
    y: Scale
    series: tuple[Series, ...]
    aside: bool = False
    square: bool = False

    @property
    def left(self) -> int:
        """Room for the ticks at the left, in pixels."""
        return 14 + round(LETTER * max((len(tick.text) for tick in self.y.ticks), default=0))

    @property
    def right(self) -> int:
        """Room for the names at the right, in pixels."""
        return 36 + round(LETTER * max(len(each.short) for each in self.series)) if self.aside else 18

    def down(self, value: float) -> float:
        """The place of `value` of the vertical axis, from the top."""
        return round(100 - self.y.place(value), 2)


def path(points: Sequence[tuple[float, float]], close: bool = False) -> str:
    """The path through `points`, which are in per cent."""
    scale = SIDE / 100
    places = (f"{round(x * scale, 1):g} {round(y * scale, 1):g}" for x, y in points)
    return f"M{'L'.join(places)}{'Z' if close else ''}"


def marker(x: float, y: float, look: Look, size: float = 1.0, hollow: bool = False) -> Mark:
    """The marker of `look` at a place in per cent."""
    return Mark(x, y, SYMBOLS[look.symbol], size, hollow)


def names_apart(series: Sequence[Series]) -> tuple[Series, ...]:
    """`series` with the names of those that are seen moved as little as keeps them apart at the side of a plot."""
    places = [each.name.y for each in series if each.visible and each.name]
    moved = iter(spread(places, 100 * LINE / HEIGHT, 0.0, 100.0))
    return tuple(
        replace(each, name=replace(each.name, y=round(next(moved), 2))) if each.visible and each.name else each
        for each in series
    )


def drawn(comparison: Comparison) -> list[tuple[Entry, float]]:
    """The entries that have a score, best first, with it."""
    return [(entry, entry.score) for entry in comparison.ranked() if entry.score is not None]


def measured(points: Sequence[Point]) -> list[tuple[Point, float]]:
    """Those of `points` that have a score, with it."""
    return [(point, point.score) for point in points if point.score is not None]


def band(points: Sequence[CurvePoint | LabelPoint], x: Sequence[float], plot: Plot) -> str:
    """The outline of the interval along a line; points without an interval are left out."""
    along = [
        (place, plot.down(point.low), plot.down(point.high))
        for place, point in zip(x, points, strict=True)
        if point.low is not None and point.high is not None
    ]
    if len(along) < 2:
        return ""
    return path(
        [(place, high) for place, _, high in along] + [(place, low) for place, low, _ in along[::-1]], close=True
    )
