"""Parts that several charts share."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from manyways.comparison import wording
from manyways.comparison.report.colours import Look, colours
from manyways.comparison.report.placing import spread
from manyways.comparison.results import Comparison, Entry

MARGIN = {"l": 12, "r": 24, "t": 12, "b": 48}
LINE = 17.0
MOST_TICKS = 10


@dataclass(frozen=True)
class Chart:
    """A plotly figure (`data` and `layout`) and the key that the page shows it under."""

    key: str
    figure: dict[str, Any]


@dataclass(frozen=True)
class Drawn:
    """An entry with what every chart needs of it."""

    entry: Entry
    score: float
    look: Look
    title: str

    @property
    def meta(self) -> dict[str, str]:
        """The key by which the page finds the traces of an entry."""
        return {"entry": self.entry.name}


def drawn_entries(comparison: Comparison) -> list[Drawn]:
    """The entries that have a score, best first, each with its look; titles are safe in plotly's texts."""
    looks = colours(comparison)
    return [
        Drawn(entry, entry.score, looks[entry.name], escape(entry.title, quote=False))
        for entry in comparison.ranked()
        if entry.score is not None
    ]


def score_axis(comparison: Comparison, *ranges: tuple[float, float]) -> dict[str, Any]:
    """An axis of the metric that holds all `ranges` with some room; the better end is up or right.

    Scores that hardly differ get an axis of two points or two per cent, so that they are seen to hardly differ.
    """
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    room = max(0.06 * (high - low), 0.01 if comparison.percent else 0.01 * abs(high)) or 1.0
    low, high = low - room, high + room
    if comparison.percent:
        low, high = max(low, -0.01), min(high, 1.01)
    decimals = 0 if high - low > 0.035 else 1
    return {
        "title": {"text": wording.metric_words(comparison.metric)},
        "range": [low, high] if comparison.higher_is_better else [high, low],
        "automargin": True,
        "nticks": 8,
        **({"tickformat": f".{decimals}%"} if comparison.percent else {}),
    }


def log_ticks(ends: Sequence[float]) -> dict[str, Any]:
    """Ticks of a logarithmic axis of counts between `ends`: 1, 2 and 5 times the powers of ten."""
    return _ticks(ends, _steps(-3, 12), wording.count)


def time_ticks(ends: Sequence[float]) -> dict[str, Any]:
    """Ticks of a logarithmic axis of seconds between `ends`, at round seconds, minutes and hours."""
    short = [step for step in _steps(-4, 2) if step < 50]
    minutes = [60.0 * step for step in (1, 2, 5, 10, 20)]
    return _ticks(ends, [*short, *minutes, *(3600 * step for step in _steps(0, 4))], _round_time)


def _steps(first: int, last: int) -> list[float]:
    return [step * 10.0**power for power in range(first, last) for step in (1, 2, 5)]


def _round_time(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def _ticks(ends: Sequence[float], ticks: Sequence[float], text: Callable[[float], str]) -> dict[str, Any]:
    kept = [tick for tick in ticks if 0.97 * min(ends) <= tick <= 1.03 * max(ends)]
    kept = kept[:: math.ceil(len(kept) / MOST_TICKS)] if kept else [float(f"{end:.2g}") for end in ends]
    return {"tickvals": kept, "ticktext": [text(tick) for tick in kept], "showgrid": False}


def side_margin(titles: Sequence[str]) -> dict[str, int]:
    """Margins with room on the right for `titles` beside the plot, in pixels."""
    return {**MARGIN, "r": min(24 + round(7.2 * max(map(len, titles), default=0)), 280)}


def side_labels(labelled: Sequence[tuple[str, str, float]], ends: Sequence[float], height: int) -> list[dict[str, Any]]:
    """(title, colour, value) as labels right of a plot whose axis runs over `ends`, kept apart."""
    inner = height - MARGIN["t"] - MARGIN["b"]
    span = ends[1] - ends[0]
    wanted = [(value - ends[0]) / span * inner for _, _, value in labelled]
    placed = spread(wanted, LINE, 0.0, float(inner))
    return [
        {
            "name": "wide",
            "xref": "paper",
            "x": 1,
            "xanchor": "left",
            "xshift": 10,
            "yanchor": "middle",
            "yref": "paper",
            "y": position / inner,
            "text": title,
            "font": {"color": colour, "size": 12},
            "showarrow": False,
        }
        for (title, colour, _), position in zip(labelled, placed, strict=True)
    ]
