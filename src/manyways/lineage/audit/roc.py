"""ROC of scores of members and others: the area under it, and hits at few false alarms, with intervals."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
LEVEL = 0.95
"""Confidence of the intervals."""


@dataclass(frozen=True)
class Estimate:
    """A share and its interval."""

    value: float
    low: float
    high: float


def roc(members: Scores, others: Scores) -> tuple[Scores, Scores]:
    """False and true positive rates as the threshold falls, from (0, 0) to (1, 1); members should score higher."""
    from sklearn.metrics import roc_curve

    truth = np.concatenate([np.ones(len(members)), np.zeros(len(others))])
    false, true, _ = roc_curve(truth, np.concatenate([members, others]))
    return np.asarray(false, np.float64), np.asarray(true, np.float64)


def auc(members: Scores, others: Scores) -> Estimate:
    """AUC: the probability that a member scores higher, ties counting half, with the interval of DeLong et al.

    Source: DeLong, DeLong & Clarke-Pearson, Biometrics 1988. Of scores that tell all apart the interval is the exact
    one-sided one of as many throws as there are rows of the smaller kind.
    """
    lower, upper = np.sort(others), np.sort(members)
    beaten = (np.searchsorted(lower, members, "left") + np.searchsorted(lower, members, "right")) / 2 / len(others)
    beating = 1 - (np.searchsorted(upper, others, "left") + np.searchsorted(upper, others, "right")) / 2 / len(members)
    value = float(beaten.mean())
    variance = _variance(beaten) / len(members) + _variance(beating) / len(others)
    if variance == 0 and value in (0.0, 1.0):
        edge = ((1 - LEVEL) / 2) ** (1 / min(len(members), len(others)))
        return Estimate(value, min(value, edge), max(value, 1 - edge))
    from scipy.stats import norm

    half = float(norm.ppf((1 + LEVEL) / 2)) * variance**0.5
    return Estimate(value, max(0.0, value - half), min(1.0, value + half))


def true_positive_rate(members: Scores, others: Scores, false_alarms: float) -> Estimate:
    """The share of members above the lowest threshold that no more than `false_alarms` of the others pass.

    The interval is that of Clopper & Pearson (1934) for the threshold as it is.
    """
    from scipy.stats import beta

    allowed = int(false_alarms * len(others) + 1e-9)
    threshold = np.sort(others)[::-1][allowed] if allowed < len(others) else -np.inf
    found, total, tail = int((members > threshold).sum()), len(members), (1 - LEVEL) / 2
    low = float(beta.ppf(tail, found, total - found + 1)) if found else 0.0
    high = float(beta.ppf(1 - tail, found + 1, total - found)) if found < total else 1.0
    return Estimate(found / total, low, high)


def _variance(values: Scores) -> float:
    return float(values.var(ddof=1)) if len(values) > 1 else 0.0
