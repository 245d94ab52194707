"""Correlations of predictions with what they should be, and what each row contributes to one."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.errors import DataError

Floats = NDArray[np.float64]
CORRELATIONS = ("spearman", "pearson")


def correlations(guess: NDArray[Any], truth: NDArray[Any]) -> dict[str, float]:
    """Spearman's rank correlation and Pearson's of `guess` with `truth`, both [rows]; NaN where one is constant.

    Raises:
        DataError: There are fewer than two rows.
    """
    if len(truth) < 2:
        raise DataError(f"A correlation needs two rows with a known label at least; got {len(truth)}.")
    return {"spearman": _pearson(mid_ranks(guess), mid_ranks(truth)), "pearson": _pearson(guess, truth)}


def correlation_pseudo_values(metric: str, guess: NDArray[Any], truth: NDArray[Any]) -> Floats | None:
    """Pseudo-values [rows] (`manyways.pseudo_values`) of one of `CORRELATIONS`; None for another or a constant."""
    x, y = np.asarray(guess, np.float64), np.asarray(truth, np.float64)
    if metric not in CORRELATIONS or len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return _of_numbers(x, y) if metric == "pearson" else _of_ranks(x, y)


def mid_ranks(values: NDArray[Any]) -> Floats:
    """The share of rows below each, those that are equal counted by half, [rows]."""
    ordered = np.sort(values)
    places = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return np.asarray(places / (2 * len(values)), np.float64)


def _pearson(x: NDArray[Any], y: NDArray[Any]) -> float:
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    a, b = np.asarray(x, np.float64) - np.mean(x), np.asarray(y, np.float64) - np.mean(y)
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def _of_numbers(x: Floats, y: Floats) -> Floats:
    """Influence of each row on Pearson's r (Devlin, Gnanadesikan & Kettenring, Biometrika 1975), plus r."""
    a, b = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()
    r = float((a * b).mean())
    return np.asarray(r + a * b - r * (a**2 + b**2) / 2)


def _of_ranks(x: Floats, y: Floats) -> Floats:
    """Influence of each row on Spearman's ρ, plus ρ: a row has a rank, and moves the ranks of all others."""
    u, v = mid_ranks(x), mid_ranks(y)
    product = float((u * v).mean())
    spread = np.sqrt(u.var() * v.var())
    rho = (product - 0.25) / spread
    of_product = u * v + _shifted(x, v) + _shifted(y, u) - 3 * product
    shares = of_ties(x) / (2 * u.var()) + of_ties(y) / (2 * v.var())
    return np.asarray(rho + of_product / spread - rho * shares)


def _shifted(values: Floats, others: Floats) -> Floats:
    """The mean of `others` over the rows whose value is larger than that of each row, half of it where it is equal."""
    order = np.argsort(values, kind="stable")
    sums = np.concatenate([[0.0], np.cumsum(others[order])])
    ordered = values[order]
    low, high = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return np.asarray((sums[-1] - (sums[low] + sums[high]) / 2) / len(values))


def of_ties(values: Floats) -> Floats:
    """Influence of each row on the variance of mid-ranks, (1 − Σ p³) / 12 with p the shares of equal rows."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    shares = counts / len(values)
    return np.asarray(((shares**3).sum() - shares[place.reshape(-1)] ** 2) / 4)
