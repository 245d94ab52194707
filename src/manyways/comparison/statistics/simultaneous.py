"""Simultaneous comparison of all entries with the best of them."""

from dataclasses import dataclass

import numpy as np

from manyways.comparison.statistics.components import Floats, ScoreTable, components
from manyways.comparison.statistics.draws import DRAWS, SEED, joint_draws, pair_variance


@dataclass(frozen=True)
class Gap:
    """The distance of an entry from the best.

    Attributes:
        mean: The difference of the means, positive where the best is better.
        error: Its standard error; None where the numbers give none.
        half: Half the width of its interval, simultaneous over all pairs of entries; None likewise.
    """

    mean: float
    error: float | None
    half: float | None

    @property
    def distinguishable(self) -> bool:
        """True if the interval of the difference leaves out zero."""
        return self.half is not None and self.mean > self.half


def gaps_to_best(table: ScoreTable, best: int, higher_is_better: bool, confidence: float) -> list[Gap]:
    """The distance of every entry from `best`, that with the best mean, whose own is 0.

    The best of K entries is best in part by luck, so that each is not compared with it as if it had been named before.
    All differences of pairs are estimated at once: their intervals reach as many standard errors as the largest of all
    errors has with probability `confidence` (Tukey 1953; the distribution is drawn, see `joint_draws`). Whatever the
    true scores are, some entry is called worse than one that is no better in at most a share of 1 - `confidence`.
    """
    parts = components(table)
    sign = 1.0 if higher_is_better else -1.0
    distances = sign * (parts.means[best] - parts.means)
    if len(parts.means) < 2 or (parts.count < 2 and parts.units is None):
        return [Gap(float(distance), None, None) for distance in distances]
    errors = _square(np.sqrt(pair_variance(parts)), len(distances))[best]
    reach = critical_value(table, confidence)
    return [Gap(float(mean), float(error), float(reach * error)) for mean, error in zip(distances, errors, strict=True)]


def critical_value(table: ScoreTable, confidence: float, draws: int = DRAWS, seed: int = SEED) -> float:
    """The number of standard errors that simultaneous intervals of all differences reach.

    The quantile at `confidence` of the largest studentised error of all pairs (max-T; Westfall & Young 1993).
    """
    parts = components(table)
    first, second = np.triu_indices(len(parts.means), 1)
    largest = []
    for draw in joint_draws(parts, draws, seed):
        errors, spread = np.abs(draw.errors[:, first] - draw.errors[:, second]), np.sqrt(draw.variances)
        ratios = np.divide(errors, spread, out=np.zeros_like(errors), where=spread > 0)
        largest.append(ratios.max(axis=1))
    return float(np.quantile(np.concatenate(largest), confidence))


def _square(pairs: Floats, entries: int) -> Floats:
    square = np.zeros((entries, entries))
    square[np.triu_indices(entries, 1)] = pairs
    return square + square.T
