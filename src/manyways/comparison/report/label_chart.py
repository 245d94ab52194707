"""The worth of entries in labels: plain supervision with more and more of them, and where each entry meets it."""

from dataclasses import replace

from manyways.comparison import wording
from manyways.comparison.conclusion import BASELINE
from manyways.comparison.report.colours import ARROWS, SYMBOLS, Look, colours
from manyways.comparison.report.legend import legend
from manyways.comparison.report.plots import Mark, Name, Plot, Series, Tip, band, marker, measured, names_apart, path
from manyways.comparison.report.scales import count_scale, score_scale
from manyways.comparison.results import Comparison, Entry


def label_chart(comparison: Comparison) -> Plot | None:
    """The score of plain supervision against the number of labels, and where each entry meets that line."""
    points = measured(comparison.label_curve)
    if len(points) < 2:
        return None
    looks = colours(comparison)
    others = [(entry, visible) for entry, visible in legend(comparison) if entry.name != BASELINE]
    reach = [point.labels for point, _ in points] + [comparison.data.labels_shown]
    ends = ((entry.labels_equivalent, entry.labels_low, entry.labels_high) for entry, _ in others)
    worth = [end for several in ends for end in several if end is not None]
    x = count_scale((min([*reach, *worth]) / 1.08, max([*reach, *worth]) * 1.08), "labels, logarithmic")
    y = score_scale(comparison, [score for _, score in points] + [entry.score or 0.0 for entry, _ in others])
    (first, least), (last, most) = points[0], points[-1]
    label = (
        f"Plain supervision reaches {wording.score(comparison, least)} with {wording.count(first.labels)} labels and "
        f"{wording.score(comparison, most)} with {wording.count(last.labels)}; other entries are lines across, to the "
        "number of labels that they are worth. The table of all entries has these numbers."
    )
    plot = Plot("labels", label, x, y, (), aside=True)
    series = [_entry(comparison, plot, entry, looks[entry.name], visible) for entry, visible in others]
    return replace(plot, series=names_apart((_supervision(comparison, plot, looks[BASELINE]), *series)))


def _supervision(comparison: Comparison, plot: Plot, look: Look) -> Series:
    points = measured(comparison.label_curve)
    places = [(plot.x.place(point.labels), plot.down(score)) for point, score in points]
    tips = (
        Tip(*place, f"{wording.count(point.labels)} labels: {wording.reached(comparison, point)}")
        for place, (point, _) in zip(places, points, strict=True)
    )
    return Series(
        look,
        "plain supervision",
        lines=(path(places),),
        band=band([point for point, _ in points], [across for across, _ in places], plot),
        marks=tuple(Mark(*place, SYMBOLS["circle"], 0.7) for place in places),
        tips=tuple(tips),
        name=Name(100, places[-1][1]),
    )


def _entry(comparison: Comparison, plot: Plot, entry: Entry, look: Look, visible: bool) -> Series:
    """A line at the score of `entry`, from the labels that it used to those that it is worth."""
    used, down = comparison.data.labels_shown, plot.down(entry.score or 0.0)
    end, arrow = _worth(comparison, entry)
    start, stop = plot.x.place(used), plot.x.place(end)
    marks = [Mark(stop, down, ARROWS[arrow]) if arrow else marker(stop, down, look)]
    if start != stop:
        marks.insert(0, Mark(start, down, SYMBOLS["circle"], 0.8, hollow=True))
    worth = f", worth {wording.labels(entry)} labels" if arrow or end != used else ""
    text = f"{wording.reached(comparison, entry)} with {wording.count(used)}{worth}"
    return Series(
        look,
        entry.title,
        lines=(path([(start, down), (stop, down)]),),
        whiskers=_whiskers(comparison, plot, entry, down),
        marks=tuple(marks),
        tips=tuple(Tip(place, down, text) for place in dict.fromkeys((start, stop))),
        name=Name(100, down),
        visible=visible,
    )


def _whiskers(comparison: Comparison, plot: Plot, entry: Entry, down: float) -> tuple[str, ...]:
    """The interval of the labels that `entry` is worth, along its line; an open end goes to the end of the curve."""
    low, high = entry.labels_low, entry.labels_high
    if low is None or low == high:
        return ()
    most = max(point.labels for point, _ in measured(comparison.label_curve))
    return (path([(plot.x.place(low), down), (plot.x.place(most if high is None else high), down)]),)


def _worth(comparison: Comparison, entry: Entry) -> tuple[float, str]:
    """The number of labels at the end of the line of `entry`, and the arrow there where it goes on."""
    counts = [point.labels for point, _ in measured(comparison.label_curve)]
    if entry.labels_equivalent is not None:
        return entry.labels_equivalent, ""
    if wording.beyond_the_curve(entry):
        return counts[-1], "more"
    if entry.labels_note.startswith("fewer than"):
        return counts[0], "fewer"
    return comparison.data.labels_shown, ""
