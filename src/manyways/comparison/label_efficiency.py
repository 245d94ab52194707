"""Label efficiency: how many labels plain supervision would need for the same score."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, isinf, log

import numpy as np

from manyways.comparison.statistics.components import Floats

MOST_POINTS = 5
SAME = 1e-9
FAR_FEWER = 0.5
"""Points of the curve whose steps a second are fewer than this share of the most of any are starved."""


def label_counts(visible: int, known: int, fewest: int) -> list[int]:
    """At how many labels plain supervision is tried: from `visible` up to all `known`, evenly in the logarithm.

    Where no more are known than are shown they go down from there, to an eighth but at least `fewest`.
    """
    if known > 1.2 * visible:
        points = min(MOST_POINTS, 1 + int(np.ceil(np.log2(known / visible))))
        counts = {round(exp(t)) for t in np.linspace(log(visible), log(known), points)}
    else:
        counts = {max(fewest, round(visible / part)) for part in (8, 4, 2, 1)}
    return sorted(counts)


@dataclass(frozen=True)
class Worth:
    """The number of labels that plain supervision needs for a score, with its interval, or the reason of none.

    `high` is None where the interval goes on beyond the largest number that was tried.
    """

    labels: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass(frozen=True, eq=False)
class LabelCurve:
    """Plain supervision at growing numbers of labels.

    Attributes:
        counts: Numbers of labels, growing.
        scores: Mean scores there, of which more is better, float [points].
        errors: Draws of their errors, of those of `Worth` together, float [draws, points]; None where nothing is known
            of them.
        confidence: Level of the intervals.
        starved: Reason why the trainings of the curve cannot be compared; empty for none.
    """

    counts: Sequence[int]
    scores: Floats
    errors: Floats | None = None
    confidence: float = 0.95
    starved: str = ""

    @property
    def useless(self) -> str:
        """The reason why no number can be read from the curve; empty where one can."""
        if len(self.counts) < 2:
            return "not measurable: plain supervision was tried at fewer than two numbers of labels"
        if self.starved:
            return f"not measurable: {self.starved}"
        rise = isotonic(self.scores[None])[0]
        gain = float(rise[-1] - rise[0])
        noise = 0.0
        if self.errors is not None:
            noise = float(np.quantile(self.errors[:, -1] - self.errors[:, 0], self.confidence))
        if gain <= max(noise, SAME):
            first, last = self.counts[0], self.counts[-1]
            return (
                f"not measurable: plain supervision is not better with {last:,} labels than with {first:,} by more "
                "than its noise"
            )
        return ""

    def worth(self, score: float, used: int, errors: Floats | None = None) -> Worth:
        """The number of labels at which the curve has `score`, of which more is better.

        The curve is made monotone first (isotonic regression, Barlow et al. 1972), as more labels do not harm on
        average, and read in the logarithm of the labels. It is never below the labels that were `used`.

        Args:
            score: A mean score.
            used: Labels that it took.
            errors: Draws of its error, together with those of the curve, float [draws].
        """
        if reason := self.useless:
            return Worth(note=reason)
        reading = float(read_curve(self.counts, self.scores[None], np.array([score]))[0])
        low: float | None = None
        high: float | None = None
        if self.errors is not None and errors is not None:
            readings = read_curve(self.counts, self.scores + self.errors, score + errors)
            ends = np.quantile(readings, [(1 - self.confidence) / 2, (1 + self.confidence) / 2], method="nearest")
            low, high = (max(float(end), float(used)) for end in (min(ends[0], reading), max(ends[1], reading)))
            low, high = min(low, float(self.counts[-1])), None if isinf(high) else high
        if isinf(reading):
            return Worth(None, low, None, f"about {self.counts[-1]:,} or more")
        if reading <= used * (1 + SAME):
            return Worth(float(used), low, high, f"no more than the {used:,} used")
        return Worth(reading, low, high)


def read_curve(counts: Sequence[int], curves: Floats, scores: Floats) -> Floats:
    """The labels at which each of `curves` [draws, points] has each of `scores` [draws].

    That of the first point where a score is below the curve, infinity where it is above it.
    """
    logs, rising = np.log(np.asarray(counts, float)), isotonic(curves)
    above = rising >= scores[:, None] - SAME
    place = above.argmax(axis=1)
    draws = np.arange(len(scores))
    before = np.maximum(place - 1, 0)
    low, high = rising[draws, before], rising[draws, place]
    share = np.divide(scores - low, high - low, out=np.ones(len(scores)), where=high > low).clip(0, 1)
    readings = np.exp(logs[before] + share * (logs[place] - logs[before]))
    return np.asarray(np.where(above.any(axis=1), readings, np.inf))


def isotonic(curves: Floats) -> Floats:
    """The nearest curves [draws, points] that never fall, by the min-max formula of isotonic regression.

    At each point it is the largest, over all points before it, of the least mean from there on.
    """
    points = curves.shape[1]
    sums = np.concatenate([np.zeros((len(curves), 1)), np.cumsum(curves, axis=1)], axis=1)
    rising = np.empty_like(curves)
    for at in range(points):
        means = [
            np.min([(sums[:, end + 1] - sums[:, first]) / (end + 1 - first) for end in range(at, points)], axis=0)
            for first in range(at + 1)
        ]
        rising[:, at] = np.max(means, axis=0)
    return rising


def starved(counts: Sequence[int], paces: Sequence[float]) -> str:
    """The reason why points whose trainings took so many steps a second say little of labels; empty for none.

    All train the same network, so that a slower one had less of the machine.
    """
    most = max(paces, default=0.0)
    for count, pace in zip(counts, paces, strict=True):
        if pace < FAR_FEWER * most:
            return (
                f"plain supervision with {count:,} labels took {pace:.3g} steps a second, and {most:.3g} with others; "
                "repeat on a quiet machine, or give the budget in steps"
            )
    return ""
