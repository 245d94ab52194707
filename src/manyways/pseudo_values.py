"""Pseudo-values of rows: numbers whose mean is a score, and whose spread is the score's error.

A mean of rows, such as accuracy or log loss, has its rows as they are. Of any other function of the rows a pseudo-value
is the score plus what it would change if the row weighed more (the infinitesimal jackknife, Jaeckel 1972; of ROC AUC
these are the placements of DeLong et al. 1988). The functions return None for a metric that they do not know.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LEAST_PROBABILITY = 1e-12
CALIBRATION_BINS = 15


def class_pseudo_values(metric: str, probabilities: NDArray[Any], truth: NDArray[Any]) -> Floats | None:
    """Pseudo-values [rows] of a metric of classes; probabilities [rows, classes], truth class codes [rows]."""
    shares = np.asarray(probabilities, np.float64)
    function = _OF_CLASSES.get(metric)
    return None if function is None else function(shares, np.asarray(truth, np.int64))


def number_pseudo_values(metric: str, guess: NDArray[Any], truth: NDArray[Any]) -> Floats | None:
    """Pseudo-values [rows] of a metric of numbers; both [rows]."""
    errors = np.asarray(guess, np.float64) - truth
    squares, count = errors**2, len(errors)
    if metric == "mean_absolute_error":
        return np.asarray(np.abs(errors))
    if metric == "mean_squared_error":
        return np.asarray(squares)
    if metric == "root_mean_squared_error":
        root = float(np.sqrt(squares.mean()))
        return root + (squares - root**2) / (2 * root) if root > 0 else np.zeros(count)
    if metric == "r2":
        distances = (np.asarray(truth, np.float64) - np.mean(truth)) ** 2
        spread, total = float(distances.sum()), float(squares.sum())
        if spread <= 0:
            return None
        return np.asarray(1 - total / spread + count * (total * distances / spread - squares) / spread)
    return None


def label_set_pseudo_values(metric: str, outputs: NDArray[Any], codes: NDArray[Any]) -> Floats | None:
    """Pseudo-values [rows] of a metric of sets of classes; outputs: logits, codes: 1 for each class that a row has."""
    truth, guess = np.asarray(codes) > 0.5, np.asarray(outputs) > 0
    if metric == "subset_accuracy":
        return np.asarray((truth == guess).all(axis=1), np.float64)
    if metric == "hamming_loss":
        return np.asarray((truth != guess).mean(axis=1), np.float64)
    present = np.flatnonzero(truth.any(axis=0))
    if metric == "micro_f1":
        both = (truth & guess).sum(axis=1, dtype=np.float64)
        return ratio_pseudo_values(2 * both, (truth.sum(axis=1) + guess.sum(axis=1)).astype(np.float64))
    if metric == "macro_f1" and len(present):
        return _mean([_f1(truth[:, at], guess[:, at]) for at in present])
    if metric == "mean_average_precision" and len(present):
        return _mean([_average_precision(truth[:, at], np.asarray(outputs)[:, at]) for at in present])
    return None


def ratio_pseudo_values(above: Floats, below: Floats) -> Floats:
    """Pseudo-values of sum(above) / sum(below), both [rows], such as nats per token; 0 where nothing is below."""
    total = float(below.sum())
    if total <= 0:
        return np.zeros(len(above))
    ratio = float(above.sum()) / total
    return np.asarray(ratio + len(above) * (above - ratio * below) / total)


def spread_over(values: Floats, known: NDArray[np.bool_]) -> Floats:
    """Pseudo-values over all rows, of those over the `known` ones: a row that is not known changes nothing."""
    mean, share = float(values.mean()), float(known.mean())
    spread = np.full(len(known), mean)
    spread[known] += (values - mean) / share
    return spread


def _mean(values: Sequence[Floats]) -> Floats:
    return np.asarray(np.mean(values, axis=0), np.float64)


def _accuracy(shares: Floats, truth: NDArray[np.int64]) -> Floats:
    return np.asarray(shares.argmax(axis=1) == truth, np.float64)


def _log_loss(shares: Floats, truth: NDArray[np.int64]) -> Floats:
    return np.asarray(-np.log(np.clip(shares[np.arange(len(truth)), truth], LEAST_PROBABILITY, 1)))


def _balanced_accuracy(shares: Floats, truth: NDArray[np.int64]) -> Floats:
    right, classes = _accuracy(shares, truth), np.unique(truth)
    return _mean([spread_over(right[truth == code], truth == code) for code in classes])


def _macro_f1(shares: Floats, truth: NDArray[np.int64]) -> Floats:
    guess = shares.argmax(axis=1)
    return _mean([_f1(truth == code, guess == code) for code in np.unique(truth)])


def _f1(truth: NDArray[np.bool_], guess: NDArray[np.bool_]) -> Floats:
    both, either = truth & guess, truth.astype(np.float64) + guess
    return ratio_pseudo_values(2 * both.astype(np.float64), either)


def _roc_auc(shares: Floats, truth: NDArray[np.int64]) -> Floats | None:
    return _one_against_rest(shares, truth, _auc)


def _average_precisions(shares: Floats, truth: NDArray[np.int64]) -> Floats | None:
    return _one_against_rest(shares, truth, _average_precision)


def _one_against_rest(
    shares: Floats, truth: NDArray[np.int64], of_one: Callable[[NDArray[np.bool_], Floats], Floats]
) -> Floats | None:
    """The mean over classes that some rows have and some have not; of two classes, that of the second."""
    codes = [1] if shares.shape[1] == 2 else range(shares.shape[1])
    both = [code for code in codes if 0 < (truth == code).sum() < len(truth)]
    return _mean([of_one(truth == code, shares[:, code]) for code in both]) if both else None


def _auc(truth: NDArray[np.bool_], scores: Floats) -> Floats:
    """Those of the area under the ROC curve: the share of the other kind that each row is on the right side of."""
    ordered, others = np.sort(scores[~truth]), np.sort(scores[truth])
    placements = np.empty(len(truth))
    placements[truth] = _below(ordered, scores[truth])
    placements[~truth] = 1 - _below(others, scores[~truth])
    area = float(placements[truth].mean())
    positive, negative = spread_over(placements[truth], truth), spread_over(placements[~truth], ~truth)
    return np.asarray(positive + negative - area)


def _below(ordered: Floats, scores: Floats) -> Floats:
    """The share of `ordered` below each score, those that are equal by half."""
    places = np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")
    return np.asarray(places / (2 * len(ordered)))


def _average_precision(truth: NDArray[np.bool_], scores: NDArray[Any]) -> Floats:
    """Those of the mean precision at each row that has the class; equal scores are one threshold."""
    _, places, counts = np.unique(-np.asarray(scores, np.float64), return_inverse=True, return_counts=True)
    hits = np.bincount(places, truth, len(counts))
    above, positive = np.cumsum(counts), np.cumsum(hits)
    precision = positive / above
    # One more row at a threshold changes the precision at that threshold and at all after it.
    gain = np.cumsum((hits / above)[::-1])[::-1]
    loss = np.cumsum((hits * positive / above**2)[::-1])[::-1]
    total, count = float(positive[-1]), len(truth)
    mean = float((hits * precision).sum() / total)
    changes = truth * (precision[places] - mean + gain[places]) - loss[places]
    return np.asarray(mean + count * changes / total)


def _brier_score(shares: Floats, truth: NDArray[np.int64]) -> Floats:
    """Of two classes the squared error of the second's probability, else the sum over all classes (Brier 1950)."""
    errors = shares - (np.arange(shares.shape[1]) == truth[:, None])
    return np.asarray((errors[:, 1] ** 2) if shares.shape[1] == 2 else (errors**2).sum(axis=1))


def _expected_calibration_error(shares: Floats, truth: NDArray[np.int64]) -> Floats:
    confidence, right = shares.max(axis=1), _accuracy(shares, truth)
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(int) - 1, 0, CALIBRATION_BINS - 1)
    gaps = right - confidence
    return np.asarray(gaps * np.sign(np.bincount(bins, gaps, CALIBRATION_BINS))[bins])


_OF_CLASSES: dict[str, Callable[[Floats, NDArray[np.int64]], Floats | None]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "f1": _macro_f1,
    "log_loss": _log_loss,
    "roc_auc": _roc_auc,
    "average_precision": _average_precisions,
    "brier_score": _brier_score,
    "expected_calibration_error": _expected_calibration_error,
}
