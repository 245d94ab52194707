"""Label efficiency: how many labels plain supervision would need for the same score."""

from collections.abc import Sequence
from math import exp, log

import numpy as np

MOST_POINTS = 5


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


def labels_needed(
    counts: Sequence[int], scores: Sequence[float], score: float, higher_is_better: bool
) -> tuple[float | None, str]:
    """The number of labels that give `score` on the curve of `scores` at `counts`, or None and why there is none.

    The curve is made monotone first (isotonic regression, Barlow et al. 1972), as more labels do not harm on
    average, and read in the logarithm of the labels.
    """
    from sklearn.isotonic import IsotonicRegression

    if len(counts) < 2:
        return None, "not measurable: plain supervision was tried at fewer than two numbers of labels"
    sign = 1.0 if higher_is_better else -1.0
    x = np.log(np.asarray(counts, float))
    y = IsotonicRegression().fit_transform(x, sign * np.asarray(scores, float))
    wanted = sign * score
    if wanted > y[-1] + 1e-12:
        return None, f"more than {counts[-1]:,}"
    if wanted < y[0] - 1e-12:
        return None, f"fewer than {counts[0]:,}"
    place = int(np.searchsorted(y, wanted - 1e-12))
    if place == 0 or y[place] == y[place - 1]:
        return float(counts[place]), ""
    share = (wanted - y[place - 1]) / (y[place] - y[place - 1])
    return float(exp(x[place - 1] + share * (x[place] - x[place - 1]))), ""
