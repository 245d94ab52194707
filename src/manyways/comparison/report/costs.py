"""The costs of entries: score against training time."""

import math
from dataclasses import replace
from typing import Literal

from manyways.comparison import wording
from manyways.comparison.report.colours import colours
from manyways.comparison.report.placing import beside
from manyways.comparison.report.plots import LETTER, Name, Plot, Series, Tip, drawn, marker
from manyways.comparison.report.scales import score_scale, time_scale
from manyways.comparison.results import Comparison, Entry

NARROWEST = (560.0, 350.0)
"""Pixels of a plot on a page that is just wide enough for names in it."""
ROOM = 1.25
"""Times that the axis goes beyond the quickest and the slowest entry."""
ANCHORS: dict[str, Literal["start", "middle", "end"]] = {"right": "start", "left": "end", "center": "middle"}


def costs(comparison: Comparison) -> Plot | None:
    """Score against training time; the area of a marker grows with the number of parameters.

    A name stands beside its marker where it covers nothing; the others are read by a pointer.
    """
    entries = [(entry, score) for entry, score in drawn(comparison) if entry.seconds and not entry.reference]
    if len(entries) < 2:
        return None
    times = [entry.seconds or 1.0 for entry, _ in entries]
    label = (
        "Score against the time to train one model, a marker for each entry. The table of all entries has the numbers."
    )
    x = time_scale((min(times) / ROOM, max(times) * ROOM), "training time, logarithmic")
    plot = Plot("costs", label, x, score_scale(comparison, [score for _, score in entries]), ())
    largest = max((entry.parameters or 0 for entry, _ in entries), default=0)
    looks = colours(comparison)
    series = []
    for (entry, score), seconds in zip(entries, times, strict=True):
        look, place = looks[entry.name], (x.place(seconds), plot.down(score))
        facts = [wording.seconds(seconds)]
        if entry.parameters is not None:
            facts.append(f"{wording.quantity(entry.parameters)} parameters")
        tip = Tip(*place, f"{wording.reached(comparison, entry)}\n{', '.join(facts)}")
        series.append(Series(look, entry.title, marks=(marker(*place, look, _size(entry, largest)),), tips=(tip,)))
    return replace(plot, series=_named(series))


def _named(series: list[Series]) -> tuple[Series, ...]:
    """`series` of one marker each, with names where there is room."""
    width, height = NARROWEST
    places = [(each.marks[0].x * width / 100, (100 - each.marks[0].y) * height / 100) for each in series]
    spots = beside(places, [LETTER * len(each.short) for each in series], NARROWEST)
    return tuple(
        each if spot is None else replace(each, name=_name(each, spot))
        for each, spot in zip(series, spots, strict=True)
    )


def _name(series: Series, spot: str) -> Name:
    vertical, horizontal = spot.split()
    mark = series.marks[0]
    away = 6 + 5 * mark.size
    right = {"right": away, "left": -away, "center": 0.0}[horizontal]
    down = {"middle": 0.0, "top": -away - 4, "bottom": away + 5}[vertical]
    return Name(mark.x, mark.y, round(right, 1), round(down, 1), ANCHORS[horizontal])


def _size(entry: Entry, largest: int) -> float:
    return 0.9 + 1.3 * math.sqrt((entry.parameters or 0) / largest) if largest else 1.1
