"""The charts of a report as plotly figures: plain dicts, coloured by entry, themed later by the page."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any, TypeVar

from manyways.comparison import wording
from manyways.comparison.conclusion import BASELINE
from manyways.comparison.report.colours import GREY, Look
from manyways.comparison.report.matrices import confusion_chart, scatter_chart
from manyways.comparison.report.parts import (
    MARGIN,
    Chart,
    drawn_entries,
    log_ticks,
    score_axis,
    side_labels,
    side_margin,
    time_ticks,
)
from manyways.comparison.report.placing import beside
from manyways.comparison.results import Comparison, CurvePoint, Entry, LabelPoint

HEIGHT = 440
PAGE_WIDTH = 890.0
Point = TypeVar("Point", CurvePoint, LabelPoint)


def all_charts(comparison: Comparison) -> list[Chart]:
    """The charts that the results have numbers for."""
    makers = (forest, label_efficiency, learning_curves, costs, confusion_chart, scatter_chart)
    return [chart for make in makers if (chart := make(comparison)) is not None]


def forest(comparison: Comparison) -> Chart | None:
    """Score of every entry with its interval; small dots are single seeds."""
    drawn = drawn_entries(comparison)
    if not drawn:
        return None
    traces: list[dict[str, Any]] = []
    for row, mark in enumerate(drawn):
        entry = mark.entry
        seeds = [value for value in entry.scores if value is not None]
        if len(seeds) > 1:
            traces.append(
                {
                    "x": seeds,
                    "y": [row + 0.26] * len(seeds),
                    "mode": "markers",
                    "marker": {"size": 5, "color": mark.look.faint(0.55)},
                    "hovertemplate": f"{mark.title}, one seed: %{{x}}<extra></extra>",
                    "meta": mark.meta,
                }
            )
        mean: dict[str, Any] = {
            "x": [mark.score],
            "y": [row],
            "mode": "markers",
            "marker": {"size": 11, "color": mark.look.colour, "symbol": mark.look.symbol},
            "hovertemplate": f"{mark.title}<br>{_score_text(comparison, entry)}<extra></extra>",
            "meta": mark.meta,
        }
        if entry.low is not None and entry.high is not None:
            mean["error_x"] = {
                "type": "data",
                "symmetric": False,
                "array": [entry.high - mark.score],
                "arrayminus": [mark.score - entry.low],
                "thickness": 2.5,
                "width": 0,
                "color": mark.look.colour,
            }
        traces.append(mean)
    values = [
        {
            "xref": "paper",
            "x": 1,
            "xanchor": "left",
            "xshift": 10,
            "y": row,
            "text": wording.score(comparison, mark.score),
            "showarrow": False,
        }
        for row, mark in enumerate(drawn)
    ]
    layout = {
        "height": 74 + 36 * len(drawn),
        "margin": {**MARGIN, "r": 62, "t": 8},
        "xaxis": score_axis(comparison, wording.score_range(comparison)),
        "yaxis": {
            "tickvals": list(range(len(drawn))),
            "ticktext": [mark.title for mark in drawn],
            "range": [len(drawn) - 0.4, -0.6],
            "showgrid": False,
            "automargin": True,
        },
        "annotations": values,
    }
    return Chart("forest", {"data": traces, "layout": layout})


def label_efficiency(comparison: Comparison) -> Chart | None:
    """The score of plain supervision against the number of labels, and where each entry meets that line."""
    points = _measured(comparison.label_curve)
    if len(points) < 2:
        return None
    drawn = [mark for mark in drawn_entries(comparison) if mark.entry.name != BASELINE]
    reference = Look(GREY, "circle", "solid")
    band = _band(comparison, points, [point.labels for point in points], reference)
    traces = [{**band, "meta": {"entry": BASELINE}}]
    traces.append(
        {
            "x": [point.labels for point in points],
            "y": [point.score for point in points],
            "mode": "lines+markers",
            "line": {"color": reference.colour, "width": 2.5},
            "marker": {"size": 6},
            "customdata": [wording.score(comparison, point.score) for point in points],
            "hovertemplate": "Plain supervision<br>%{x:,} labels: %{customdata}<extra></extra>",
            "meta": {"entry": BASELINE},
        }
    )
    first, last = points[0].labels, points[-1].labels
    for mark in drawn:
        end, symbol, worth = _landing(comparison, mark.entry, (first, last))
        traces.append(
            {
                "x": [comparison.data.labels_shown, end],
                "y": [mark.score, mark.score],
                "mode": "lines+markers",
                "line": {"color": mark.look.colour, "width": 1.5, "dash": mark.look.dash},
                "marker": {"size": [7, 9], "symbol": ["circle-open", symbol], "color": mark.look.colour},
                "hovertemplate": f"{mark.title}<br>{_score_text(comparison, mark.entry)}{worth}<extra></extra>",
                "meta": mark.meta,
            }
        )
    scores = [point.score for point in points if point.score is not None]
    scores += [mark.score for mark in drawn]
    axis = score_axis(comparison, (min(scores), max(scores)))
    labelled = [(mark.title, mark.look.colour, mark.score) for mark in drawn]
    labelled.append(("Plain supervision", reference.colour, points[-1].score or 0.0))
    return Chart(
        "labels",
        {
            "data": traces,
            "layout": {
                "height": HEIGHT,
                "margin": side_margin([title for title, _, _ in labelled]),
                "xaxis": {"type": "log", "title": {"text": "labels"}, **log_ticks([first, last])},
                "yaxis": axis,
                "annotations": side_labels(labelled, axis["range"], HEIGHT),
            },
        },
    )


def _landing(comparison: Comparison, entry: Entry, ends: tuple[int, int]) -> tuple[float, str, str]:
    """The end of the line of `entry`: the number of labels, the marker there, what to say of it."""
    worth = f"<br>worth {escape(wording.labels(entry), quote=False)} labels"
    if entry.labels_equivalent is not None:
        return entry.labels_equivalent, "circle", worth
    if entry.labels_note.startswith("more than"):
        return ends[1], "triangle-right", worth
    if entry.labels_note.startswith("fewer than"):
        return ends[0], "triangle-left", worth
    return comparison.data.labels_shown, "circle-open", ""


def learning_curves(comparison: Comparison) -> Chart | None:
    """The test score of every entry while it trained."""
    drawn = [mark for mark in drawn_entries(comparison) if len(_measured(mark.entry.curve)) > 1]
    if not drawn:
        return None
    traces, ends = [], []
    for mark in drawn:
        points = _measured(mark.entry.curve)
        steps = [point.step for point in points]
        traces.append({**_band(comparison, points, steps, mark.look), "meta": mark.meta})
        traces.append(
            {
                "x": steps,
                "y": [point.score for point in points],
                "mode": "lines",
                "line": {"color": mark.look.colour, "width": 2, "dash": mark.look.dash},
                "customdata": [wording.score(comparison, point.score) for point in points],
                "hovertemplate": f"{mark.title}<br>%{{x:,}} steps: %{{customdata}}<extra></extra>",
                "meta": mark.meta,
            }
        )
        ends.append((mark.title, mark.look.colour, points[-1].score or 0.0))
    scores = [point.score for mark in drawn for point in mark.entry.curve if point.score is not None]
    axis = score_axis(comparison, (min(scores), max(scores)))
    return Chart(
        "curves",
        {
            "data": traces,
            "layout": {
                "height": HEIGHT,
                "margin": side_margin([title for title, _, _ in ends]),
                "xaxis": {"title": {"text": "steps"}, "tickformat": ",d", "showgrid": False},
                "yaxis": axis,
                "annotations": side_labels(ends, axis["range"], HEIGHT),
            },
        },
    )


def costs(comparison: Comparison) -> Chart | None:
    """Score against training time; the area of a marker grows with the number of parameters.

    Markers too close together to be named in place are named at the side, in their colours.
    """
    drawn = [mark for mark in drawn_entries(comparison) if mark.entry.seconds]
    if len(drawn) < 2:
        return None
    times = [mark.entry.seconds or 1.0 for mark in drawn]
    scores = [mark.score for mark in drawn]
    axis = score_axis(comparison, (min(scores), max(scores)))
    low, high = math.log10(min(times)) - 0.15, math.log10(max(times)) + 0.15
    bottom, top = sorted(axis["range"])
    margin = side_margin([mark.title for mark in drawn])
    area = (PAGE_WIDTH - margin["r"], HEIGHT - MARGIN["t"] - MARGIN["b"])
    pixels = [
        ((math.log10(time) - low) / (high - low) * area[0], (mark.score - bottom) / (top - bottom) * area[1])
        for time, mark in zip(times, drawn, strict=True)
    ]
    places = beside(pixels, [7.0 * len(mark.entry.title) for mark in drawn], area)
    largest = max((mark.entry.parameters or 0 for mark in drawn), default=0)
    traces = []
    for mark, time, place in zip(drawn, times, places, strict=True):
        entry = mark.entry
        size = 10 + 18 * math.sqrt((entry.parameters or 0) / largest) if largest else 12
        traces.append(
            {
                "x": [time],
                "y": [mark.score],
                "mode": "markers+text" if place else "markers",
                "text": [mark.title],
                "textposition": place or "middle right",
                "marker": {
                    "size": size,
                    "color": mark.look.faint(0.8),
                    "symbol": mark.look.symbol,
                    "line": {"width": 1, "color": mark.look.colour},
                },
                "hovertemplate": f"{mark.title}<br>{_score_text(comparison, entry)}<br>{wording.seconds(time)}, "
                f"{wording.quantity(entry.parameters)} parameters<extra></extra>",
                "meta": mark.meta,
                "cliponaxis": False,
            }
        )
    ticks = time_ticks([10**low, 10**high])
    xaxis = {"type": "log", "range": [low, high], "title": {"text": "training time"}, **ticks}
    crowded = [mark for mark, place in zip(drawn, places, strict=True) if not place]
    aside = side_labels([(mark.title, mark.look.colour, mark.score) for mark in crowded], axis["range"], HEIGHT)
    layout = {"height": HEIGHT, "margin": margin if crowded else MARGIN, "xaxis": xaxis, "yaxis": axis}
    return Chart("costs", {"data": traces, "layout": {**layout, "annotations": aside}})


def _measured(points: Sequence[Point]) -> list[Point]:
    return [point for point in points if point.score is not None]


def _band(
    comparison: Comparison, points: Sequence[LabelPoint | CurvePoint], x: list[int], look: Look
) -> dict[str, Any]:
    """The interval along a line as one filled outline; points without an interval are left out."""
    along = [
        (steps, point.low, point.high)
        for steps, point in zip(x, points, strict=True)
        if point.low is not None and point.high is not None
    ]
    least, most = (0.0, 1.0) if comparison.percent else (-math.inf, math.inf)
    places = [steps for steps, _, _ in along]
    lows = [max(low, least) for _, low, _ in along]
    highs = [min(high, most) for _, _, high in along]
    return {
        "x": places + places[::-1],
        "y": highs + lows[::-1],
        "mode": "lines",
        "line": {"width": 0},
        "fill": "toself",
        "fillcolor": look.faint(0.11),
        "hoverinfo": "skip",
    }


def _score_text(comparison: Comparison, entry: Entry) -> str:
    return f"{wording.score(comparison, entry.score)} {wording.margin(comparison, entry)}".strip()
