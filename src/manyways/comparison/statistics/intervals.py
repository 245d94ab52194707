"""The interval of one entry's mean score, over seeds and test rows."""

import math
from collections.abc import Sequence

import numpy as np

from manyways.comparison.statistics.components import ScoreTable, components, excess

Interval = tuple[float | None, float | None]


def t_quantile(confidence: float, freedom: float) -> float:
    """The number of standard errors that an interval of level `confidence` in (0, 1) reaches; `freedom` may be inf."""
    from scipy.special import ndtri, stdtrit

    upper = (1 + confidence) / 2
    return float(ndtri(upper) if math.isinf(freedom) else stdtrit(freedom, upper))


def mean_interval(table: ScoreTable, confidence: float) -> Interval:
    """The interval of the mean of the first entry of `table`; None, None where neither seeds nor rows tell its error.

    The squares of the intervals of seeds and of test rows are added, each by its own quantile of Student's t: seeds are
    few, and their variance is less sure. Of a fraction it is Wilson's interval (1927), with as many rows as would have
    this variance if each were right or wrong.
    """
    table = table.only(0)
    parts = components(table)
    rows = float(parts.rows[0, 0])
    beyond = float(excess(parts.seeds, parts.interaction)[0, 0]) * parts.share
    if parts.units is None and parts.count < 2:
        return None, None
    score, variance = float(parts.means[0]), rows + beyond
    square = 0.0
    if parts.units is not None:
        square += rows * t_quantile(confidence, parts.units.shape[1] - 1) ** 2
    if parts.count > 1:
        square += beyond * t_quantile(confidence, parts.count - 1) ** 2
    reach = math.sqrt(square / variance) if variance > 0 else t_quantile(confidence, math.inf)
    if not (table.fraction and 0 <= score <= 1):
        half = reach * math.sqrt(variance)
        return score - half, score + half
    if table.rows is None or parts.units is None:
        half = reach * math.sqrt(variance)
        return max(0.0, score - half), min(1.0, score + half)
    count = float(parts.units.shape[1])
    if variance > 0 and 0 < score < 1:
        count = min(score * (1 - score) / variance, table.rows.shape[1] * table.rows.shape[2])
    return wilson(score, max(1.0, count), reach)


def wilson(share: float, count: float, reach: float) -> tuple[float, float]:
    """Wilson's interval (1927) of a `share` in [0, 1] of `count` rows, `reach` standard errors to either side."""
    square = reach * reach / count
    middle = (share + square / 2) / (1 + square)
    half = reach / (1 + square) * math.sqrt(share * (1 - share) / count + square / (4 * count))
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def seed_interval(scores: Sequence[float], confidence: float, fraction: bool = False) -> Interval:
    """The interval of the mean of `scores` over seeds alone; None, None for fewer than two."""
    return mean_interval(ScoreTable(np.asarray(scores, float).reshape(1, -1), fraction=fraction), confidence)
