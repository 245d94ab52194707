"""Learning curves: the test score of every entry while it trained, over seconds and over steps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from manyways.comparison import wording
from manyways.comparison.report.colours import Look, colours
from manyways.comparison.report.legend import legend
from manyways.comparison.report.plots import Name, Plot, Series, Tip, band, drawn, marker, measured, names_apart, path
from manyways.comparison.report.scales import Scale, count_scale, linear_scale, score_scale, time_scale
from manyways.comparison.results import Comparison, CurvePoint

MUCH = 2.0
"""Times that one entry's steps take another's, from which curves are first seen over seconds."""
LOGARITHMIC = 12.0
"""Times that the longest of several curves is the shortest, from which their axis is logarithmic."""
Curves = Mapping[str, Sequence[CurvePoint]]


def learning_curves(comparison: Comparison) -> list[Plot]:
    """The curves over seconds and over steps, the one to be seen first before the other; none where nothing has one.

    Over seconds, an entry without steps stands as a marker at the end of its training.
    """
    curves = {entry.name: [point for point, _ in measured(entry.curve)] for entry, _ in drawn(comparison)}
    curves = {name: points for name, points in curves.items() if len(points) > 1}
    if not curves:
        return []
    over_steps = _plot(comparison, curves, "steps")
    timed = {name: [point for point in points if point.seconds] for name, points in curves.items()}
    if any(len(points) < 2 for points in timed.values()):
        return [over_steps]
    at_once = {
        entry.name: [CurvePoint(entry.steps or 0, entry.seconds, score, entry.low, entry.high)]
        for entry, score in drawn(comparison)
        if entry.seconds and entry.name not in curves
    }
    over_seconds = _plot(comparison, {**timed, **at_once}, "seconds")
    step_costs = [(points[-1].seconds or 0.0) / max(points[-1].step, 1) for points in timed.values()]
    differ = max(step_costs) > MUCH * min(step_costs)
    return [over_seconds, over_steps] if differ else [over_steps, over_seconds]


def _plot(comparison: Comparison, curves: Curves, unit: str) -> Plot:
    looks = colours(comparison)
    along: Callable[[CurvePoint], float] = _seconds if unit == "seconds" else _steps
    x = _scale(curves, along, unit)
    y = score_scale(comparison, [score for points in curves.values() for _, score in measured(points)])
    label = f"Learning curves over {'training time' if unit == 'seconds' else 'steps'}, a line for each entry."
    plot = Plot(f"curves-{unit}", label, x, y, (), aside=True)
    series = tuple(
        _curve(comparison, plot, curves[entry.name], along, looks[entry.name], entry.title, visible)
        for entry, visible in legend(comparison)
        if entry.name in curves
    )
    return replace(plot, series=names_apart(series))


def _curve(
    comparison: Comparison,
    plot: Plot,
    points: Sequence[CurvePoint],
    along: Callable[[CurvePoint], float],
    look: Look,
    title: str,
    visible: bool,
) -> Series:
    places = [(plot.x.place(along(point)), plot.down(score)) for point, score in measured(points)]
    tips = (
        Tip(*place, f"{_when(point)}: {wording.reached(comparison, point)}")
        for place, point in zip(places, points, strict=True)
    )
    return Series(
        look,
        title,
        lines=(path(places),) if len(places) > 1 else (),
        band=band(points, [across for across, _ in places], plot),
        marks=(marker(*places[-1], look, 0.9),),
        tips=tuple(tips),
        name=Name(100, places[-1][1]),
        visible=visible,
    )


def _scale(curves: Curves, along: Callable[[CurvePoint], float], unit: str) -> Scale:
    """The axis of all points; logarithmic where some curves end long before others."""
    ends = [along(points[-1]) for points in curves.values() if len(points) > 1]
    starts = [value for points in curves.values() for value in map(along, points) if value > 0]
    log = max(ends) > LOGARITHMIC * min(ends)
    reach = (min(starts) if log else 0.0, max(starts))
    if unit == "seconds":
        return time_scale(reach, "training time, logarithmic" if log else "training time", log)
    return count_scale(reach, "steps, logarithmic") if log else linear_scale(reach, "steps", wording.count)


def _seconds(point: CurvePoint) -> float:
    return point.seconds or 0.0


def _steps(point: CurvePoint) -> float:
    return float(point.step)


def _when(point: CurvePoint) -> str:
    steps = f"{wording.count(point.step)} step{'' if point.step == 1 else 's'}"
    return steps if point.seconds is None else f"{steps}, {wording.seconds(point.seconds)}"
