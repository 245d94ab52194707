"""Components of variance of scores: of test rows, of seeds, and of both together (a crossed design)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
PRIOR = 1.0
"""Degrees of freedom of the variance over seeds that entries share, beside those of the own one of each pair."""
NO_SPREAD = 1e-12


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Scores of several entries.

    Attributes:
        scores: A score for each entry and seed, float [entries, seeds]; NaN where a seed has none.
        rows: The contribution of every test row to each score, whose mean is the score, float [entries, seeds, rows];
            NaN where a seed has no score. None where they are not known.
        groups: The number of the group of each row, int [rows]; rows of a group are drawn together. None: each alone.
        fraction: True if scores lie in [0, 1].
        overlap: Test rows by training rows, where scores of an entry are of splits whose training rows overlap; else 0.
    """

    scores: Floats
    rows: Floats | None = None
    groups: NDArray[np.int64] | None = None
    fraction: bool = False
    overlap: float = 0.0

    def only(self, entry: int) -> "ScoreTable":
        """The table of one entry, the seeds that it has no score of left out."""
        seeds = ~np.isnan(self.scores[entry])
        rows = None if self.rows is None else self.rows[[entry]][:, seeds]
        return ScoreTable(self.scores[[entry]][:, seeds], rows, self.groups, self.fraction, self.overlap)


@dataclass(frozen=True, eq=False)
class Components:
    """Components of the covariance of entries' mean scores.

    Attributes:
        means: Mean scores, float [entries].
        units: What each independent unit of the test part, a row or a group, adds to the deviation of a mean, float
            [entries, units]; None where rows are not known.
        rows: Covariance of the means by the draw of test rows, float [entries, entries]; zero where not known.
        seeds: Covariance of the scores of one seed, on the rows at hand, over seeds.
        interaction: The part of `seeds` that only comes from how rows and seeds meet, which `rows` has already.
        count: Number of seeds that `seeds` is estimated from.
        share: The share of `seeds` in the variance of a mean: 1 / seeds, and more for splits that overlap.
        smallest: The variance that is added to `rows` for differences of fractions (Agresti & Min 2005).
    """

    means: Floats
    units: Floats | None
    rows: Floats
    seeds: Floats
    interaction: Floats
    count: int
    share: float
    smallest: float


def components(table: ScoreTable) -> Components:
    """The components of variance of `table`, by the moments of the crossed design of rows and seeds."""
    entries = len(table.scores)
    means = np.nanmean(table.scores, axis=1)
    whole = ~np.isnan(table.scores).any(axis=0)
    scores = table.scores[:, whole]
    count = scores.shape[1]
    deviations = scores - scores.mean(axis=1, keepdims=True) if count else scores
    deviations[np.abs(deviations) < NO_SPREAD] = 0.0
    nothing = np.zeros((entries, entries))
    seeds = deviations @ deviations.T / (count - 1) if count > 1 else nothing
    given = max(1, int((~np.isnan(table.scores)).sum(axis=1).min(initial=table.scores.shape[1])))
    share = 1 / given + table.overlap
    if table.rows is None:
        return Components(means, None, nothing, seeds, nothing, count, share, 0.0)
    average = np.nanmean(table.rows, axis=1)
    units = _by_unit(average - average.mean(axis=1, keepdims=True), table.groups)
    interaction = nothing
    if count > 1:
        rest = table.rows[:, whole] - table.rows[:, whole].mean(axis=1, keepdims=True) - deviations[:, :, None]
        by_unit = _by_unit(rest, table.groups)
        interaction = np.einsum("ksu,jsu->kj", by_unit, by_unit) / (count - 1) * _unbiased(units)
    smallest = 1 / table.rows.shape[2] ** 2 if table.fraction else 0.0
    rows = units @ units.T * _unbiased(units)
    return Components(means, units, rows, seeds, interaction, count, share, smallest)


def _by_unit(deviations: Floats, groups: NDArray[np.int64] | None) -> Floats:
    """Sums of the deviations [..., rows] in each unit, by the number of rows [..., units]."""
    rows = deviations.shape[-1]
    if groups is None:
        return np.asarray(deviations / rows)
    flat = deviations.reshape(-1, rows)
    count = int(groups.max()) + 1
    sums = np.stack([np.bincount(groups, values, count) for values in flat])
    return np.asarray(sums.reshape(*deviations.shape[:-1], count) / rows)


def _unbiased(units: Floats) -> float:
    count = units.shape[1]
    return count / (count - 1) if count > 1 else float("nan")


def pair_variances(covariance: Floats) -> Floats:
    """Variances of the differences of all pairs [..., pairs], of a covariance [..., entries, entries]."""
    first, second = np.triu_indices(covariance.shape[-1], 1)
    diagonal = np.diagonal(covariance, axis1=-2, axis2=-1)
    return np.maximum(diagonal[..., first] + diagonal[..., second] - 2 * covariance[..., first, second], 0.0)


def varying(parts: Components) -> Floats:
    """1 for each entry whose scores differ from seed to seed, else 0, float [entries]."""
    return (np.diagonal(parts.seeds) > 0).astype(float)


def shared_variance(pairs: Floats, varying_pairs: Floats) -> Floats:
    """The variance over seeds that a varying entry has on average [...], by those of pairs [..., pairs]."""
    return np.asarray(pairs.sum(axis=-1) / max(1.0, float(varying_pairs.sum())))


def moderated(pairs: Floats, varying_pairs: Floats, count: int) -> Floats:
    """Variances of pairs [..., pairs], drawn towards the one that all share (Smyth 2004).

    Of `count` seeds a variance has count - 1 degrees of freedom, too few of three to be judged by alone. A pair of
    which none varies keeps its zero; `varying_pairs` is how many of each pair vary.
    """
    shared = shared_variance(pairs, varying_pairs)[..., None] * varying_pairs
    return np.asarray((PRIOR * shared + (count - 1) * pairs) / (PRIOR + count - 1))


def moderated_covariance(parts: Components) -> Floats:
    """The covariance over seeds of which `pair_variances` are the moderated ones."""
    vary = varying(parts)
    first, second = np.triu_indices(len(vary), 1)
    shared = float(shared_variance(pair_variances(parts.seeds), vary[first] + vary[second]))
    own = max(0, parts.count - 1)
    return np.asarray((PRIOR * shared * np.diag(vary) + own * parts.seeds) / (PRIOR + own))


def excess(seeds: Floats, interaction: Floats) -> Floats:
    """The part of variances over seeds that the rows at hand do not explain, at least 0."""
    return np.maximum(seeds - interaction, 0.0)
