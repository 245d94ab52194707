"""Joint draws of the errors of all entries' means: other test rows, and other seeds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from manyways.comparison.statistics.components import (
    PRIOR,
    Components,
    Floats,
    excess,
    moderated,
    moderated_covariance,
    pair_variances,
    varying,
)

DRAWS = 2000
SEED = 20_260_101
AT_ONCE = 250
FEW_UNITS = 200
MOST_UNITS = 20_000
"""Units up to which rows are resampled; the means of more are normal to any digit that is shown."""


@dataclass(frozen=True, eq=False)
class Draws:
    """Some draws.

    Attributes:
        errors: Deviations of the entries' means from their expectation, float [draws, entries].
        wide: The same, as far apart as they may be for all that the data tell, whose variances are estimates (as the
            t distribution is wider than the normal), float [draws, entries].
        variances: Variances of the differences of all pairs, as they would be estimated anew in each draw, float
            [draws, pairs].
    """

    errors: Floats
    wide: Floats
    variances: Floats


def pair_variance(parts: Components) -> Floats:
    """The estimated variance of the difference of each pair of means, float [pairs]."""
    rows = pair_variances(parts.rows) + parts.smallest
    if parts.count < 2:
        return rows
    seeds = moderated(pair_variances(parts.seeds), _varying_pairs(parts), parts.count)
    return np.asarray(rows + excess(seeds, pair_variances(parts.interaction)) * parts.share)


def joint_draws(parts: Components, count: int = DRAWS, seed: int = SEED) -> Iterator[Draws]:
    """`count` draws in several portions; the same seed gives the same.

    Rows are resampled with replacement (Efron 1979), the same for all entries; seeds are drawn from the normal
    distribution with the moderated covariance, and their covariance is estimated anew in every draw, so that its few
    degrees of freedom count.
    """
    rng = np.random.default_rng(seed)
    resample = _resampler(parts)
    own, met = _root(moderated_covariance(parts) - parts.interaction), _root(parts.interaction)
    rows, vary = pair_variances(parts.rows) + parts.smallest, _varying_pairs(parts)
    between = pair_variances(parts.interaction)
    for first in range(0, count, AT_ONCE):
        size = min(AT_ONCE, count - first)
        errors = resample(rng, size)
        variances = rows * _spread(rng, size, parts)[:, None]
        wide = errors / np.sqrt(_spread(rng, size, parts))[:, None]
        if parts.count > 1:
            by_seed = rng.standard_normal((parts.count, size, len(own))) @ own.T
            of_seeds = by_seed.mean(axis=0) * np.sqrt(parts.share * parts.count)
            freedom = parts.count - 1 + PRIOR
            errors = errors + of_seeds
            wide = wide + of_seeds / np.sqrt(rng.chisquare(freedom, size) / freedom)[:, None]
            by_seed += rng.standard_normal(by_seed.shape) @ met.T
            estimated = moderated(_pair_variances_of(by_seed), vary, parts.count)
            variances = variances + excess(estimated, between) * parts.share
        yield Draws(errors, wide, variances)


def _resampler(parts: Components) -> Callable[[np.random.Generator, int], Floats]:
    """A function that draws the errors of the means [draws, entries] that come of other test rows."""
    units = parts.units
    if units is None:
        return lambda rng, size: np.zeros((size, len(parts.means)))
    if units.shape[1] > MOST_UNITS:
        root = _root(parts.rows)
        return lambda rng, size: rng.standard_normal((size, len(root))) @ root.T
    count = units.shape[1]
    deviations = np.ascontiguousarray(units.T, np.float32)
    table, scale = _times(), float(np.sqrt(count / (count - 1)))

    def resample(rng: np.random.Generator, size: int) -> Floats:
        if count <= FEW_UNITS:
            times = rng.multinomial(count, np.full(count, 1 / count), size).astype(np.float32)
        else:  # of many units, how often each is drawn is Poisson's, divided by its mean: quicker, and as good
            times = table[rng.integers(0, len(table), (size, count), np.uint16)]
            times /= times.mean(axis=1, keepdims=True)
        return np.asarray(scale * (times @ deviations), np.float64)

    return resample


def _times() -> NDArray[np.float32]:
    """Numbers of which one drawn at random is Poisson's with mean 1, to 1/65,536."""
    from scipy.stats import poisson

    return np.searchsorted(poisson.cdf(np.arange(12), 1.0), (np.arange(1 << 16) + 0.5) / (1 << 16)).astype(np.float32)


def _spread(rng: np.random.Generator, size: int, parts: Components) -> Floats:
    """The variance over units as it would be estimated, by the true one [draws]; 1 without units."""
    if parts.units is None:
        return np.ones(size)
    freedom = parts.units.shape[1] - 1
    return np.asarray(rng.chisquare(freedom, size) / freedom)


def _pair_variances_of(scores: Floats) -> Floats:
    """Variances over seeds of the differences of all pairs [draws, pairs]; scores [seeds, draws, entries]."""
    first, second = np.triu_indices(scores.shape[2], 1)
    deviations = scores - scores.mean(axis=0)
    total = np.zeros((scores.shape[1], len(first)))
    for one in deviations:
        total += (one[:, first] - one[:, second]) ** 2
    return total / (len(scores) - 1)


def _root(covariance: Floats) -> Floats:
    """A matrix whose product with its transpose is `covariance`, or the nearest that is one."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.clip(values, 0.0, None)))


def _varying_pairs(parts: Components) -> Floats:
    vary = varying(parts)
    first, second = np.triu_indices(len(vary), 1)
    return np.asarray(vary[first] + vary[second])
