"""Scales of axes: values as per cent of a plot's side, and round ticks."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from manyways.comparison import wording
from manyways.comparison.results import Comparison

MOST_TICKS = 8
LEAST_SPAN = 0.02
"""Of a fraction, or relative to other scores: scores that hardly differ are seen to hardly differ."""


@dataclass(frozen=True)
class Tick:
    """A tick: its place in per cent, its text, and True for `minor` where a narrow page leaves it out."""

    place: float
    text: str
    minor: bool = False


@dataclass(frozen=True)
class Scale:
    """An axis from `start` to `stop`, which is lower where less is better; logarithmic where `log`."""

    start: float
    stop: float
    title: str
    log: bool = False
    ticks: tuple[Tick, ...] = ()

    def place(self, value: float) -> float:
        """The place of `value` in per cent of the way from `start` to `stop`, within 0 and 100."""
        start, stop = self.start, self.stop
        if self.log:
            value, start, stop = (math.log(max(each, 1e-12)) for each in (value, start, stop))
        share = (value - start) / (stop - start) if stop != start else 0.5
        return round(100 * min(max(share, 0.0), 1.0), 2)

    def holds(self, value: float) -> bool:
        """True if `value` lies on the axis."""
        low, high = sorted((self.start, self.stop))
        return low <= value <= high


def score_scale(comparison: Comparison, values: Sequence[float], most: int = MOST_TICKS) -> Scale:
    """The axis of the metric that holds all `values` with some room; the better end is up or right."""
    low, high = min(values), max(values)
    least = LEAST_SPAN if comparison.percent else LEAST_SPAN * abs(high)
    room = max(0.06 * (high - low), (least - (high - low)) / 2) or 1.0
    low, high = low - room, high + room
    if comparison.bounded:
        low, high = max(low, 0.0), min(high, 1.0)
    step = _round_step((high - low) / most)
    ends = (low, high) if comparison.higher_is_better else (high, low)
    scale = Scale(*ends, wording.metric_words(comparison.metric))
    return _with_ticks(scale, _multiples(low, high, step), _score_text(comparison, step))


def linear_scale(ends: tuple[float, float], title: str, text: Callable[[float], str] | None = None) -> Scale:
    """An axis over `ends` with round ticks."""
    step = _round_step((ends[1] - ends[0]) / MOST_TICKS)
    return _with_ticks(Scale(*ends, title), _multiples(*ends, step), text or _decimals(step))


def count_scale(ends: tuple[float, float], title: str) -> Scale:
    """A logarithmic axis of counts over `ends`: 1, 2 and 5 times the powers of ten."""
    return _with_ticks(Scale(*ends, title, log=True), _round_values(ends, _steps), wording.count)


def time_scale(ends: tuple[float, float], title: str, log: bool = True) -> Scale:
    """An axis of seconds over `ends` with ticks at round seconds, minutes and hours."""
    if log:
        return _with_ticks(Scale(*ends, title, log=True), _round_values(ends, _times), _round_time)
    unit = next((size for size in (3600.0, 60.0) if ends[1] >= 2 * size), 1.0)
    step = unit * _round_step((ends[1] - ends[0]) / unit / MOST_TICKS)
    return _with_ticks(Scale(*ends, title), _multiples(*ends, step), _round_time)


def _with_ticks(scale: Scale, values: Sequence[float], text: Callable[[float], str]) -> Scale:
    ticks = (Tick(scale.place(value), text(value), at % 2 == 1) for at, value in enumerate(values))
    return Scale(scale.start, scale.stop, scale.title, scale.log, tuple(ticks))


def _round_values(ends: tuple[float, float], values: Callable[[tuple[int, ...]], list[float]]) -> list[float]:
    """Round values on a logarithmic axis, at most `MOST_TICKS`; the ends, rounded, where there are fewer than two."""
    within: list[float] = []
    for digits in ((1, 2, 5), (1, 3), (1,)):
        within = [value for value in values(digits) if ends[0] <= value <= ends[1]]
        if len(within) <= MOST_TICKS:
            break
    return within if len(within) > 1 else sorted({float(f"{end:.2g}") for end in ends})


def _times(digits: tuple[int, ...]) -> list[float]:
    """Seconds that are round in the unit that they are read in."""
    seconds = [step for step in _steps(digits) if step < 50]
    minutes = [60 * step for step in _steps(digits) if 1 <= step < 50]
    return [*seconds, *minutes, *(3600 * step for step in _steps(digits) if step >= 1)]


def _multiples(low: float, high: float, step: float) -> list[float]:
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is at least `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least * (1 - 1e-9))


def _steps(digits: tuple[int, ...]) -> list[float]:
    return [digit * 10.0**power for power in range(-4, 15) for digit in digits]


def _score_text(comparison: Comparison, step: float) -> Callable[[float], str]:
    if not comparison.percent:
        return _decimals(step)
    decimals = max(0, -math.floor(math.log10(100 * step) + 1e-9))
    return lambda value: f"{100 * value:.{decimals}f}%"


def _decimals(step: float) -> Callable[[float], str]:
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return lambda value: f"{value:,.{decimals}f}"


def _round_time(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
