"""Pseudo-values: their mean is the score, and each is what its row changes."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    hamming_loss,
    log_loss,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

from manyways.metrics import CLASS_METRICS, NUMBER_METRICS, class_metrics, number_metrics
from manyways.pseudo_values import (
    class_pseudo_values,
    label_set_pseudo_values,
    number_pseudo_values,
    ratio_pseudo_values,
    spread_over,
)

pytestmark = pytest.mark.quick

RNG = np.random.default_rng(0)
ROWS = 600
TRUTH = RNG.choice(3, ROWS, p=[0.6, 0.3, 0.1])
SHARES = softmax(RNG.normal(size=(ROWS, 3)) + 1.2 * np.eye(3)[TRUTH], axis=1)
NUMBERS = RNG.gamma(2.0, 3.0, ROWS)
GUESS = 0.8 * NUMBERS + RNG.normal(size=ROWS)
SETS = (RNG.random((ROWS, 4)) < [0.5, 0.3, 0.2, 0.1]).astype(float)
LOGITS = RNG.normal(size=(ROWS, 4)) + 2 * SETS - 1
Score = Callable[..., float]
EVERY = np.ones(ROWS)
STEP = 1e-6


def holds(values: NDArray[np.float64] | None, score: Score) -> None:
    """The mean is the score, and each value says what it changes when the row weighs a little more."""
    assert values is not None
    whole = score(EVERY)
    assert values.mean() == pytest.approx(whole, abs=1e-9)
    for row in range(0, ROWS, 25):
        weights = EVERY.copy()
        weights[row] += STEP
        slope = ROWS * (score(weights) - whole) / STEP
        assert values[row] - whole == pytest.approx(slope, abs=1e-3)


def mean_over(columns: range, score: Callable[[int], float]) -> float:
    """The mean of the scores of the columns."""
    return float(np.mean([score(column) for column in columns]))


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "f1", "log_loss"])
def test_of_classes(metric: str) -> None:
    guess = SHARES.argmax(1)
    score: dict[str, Score] = {
        "accuracy": lambda weights: accuracy_score(TRUTH, guess, sample_weight=weights),
        "balanced_accuracy": lambda weights: balanced_accuracy_score(TRUTH, guess, sample_weight=weights),
        "f1": lambda weights: f1_score(TRUTH, guess, average="macro", sample_weight=weights),
        "log_loss": lambda weights: log_loss(TRUTH, SHARES, sample_weight=weights),
    }
    values = class_pseudo_values(metric, SHARES, TRUTH)
    holds(values, score[metric])
    assert values is not None
    assert values.mean() == pytest.approx(class_metrics(SHARES, TRUTH)[metric])


@pytest.mark.parametrize("metric", ["r2", "mean_absolute_error", "root_mean_squared_error"])
def test_of_numbers(metric: str) -> None:
    score: dict[str, Score] = {
        "r2": lambda weights: r2_score(NUMBERS, GUESS, sample_weight=weights),
        "mean_absolute_error": lambda weights: mean_absolute_error(NUMBERS, GUESS, sample_weight=weights),
        "root_mean_squared_error": lambda weights: root_mean_squared_error(NUMBERS, GUESS, sample_weight=weights),
    }
    values = number_pseudo_values(metric, GUESS, NUMBERS)
    holds(values, score[metric])
    assert values is not None
    assert values.mean() == pytest.approx(number_metrics(GUESS, NUMBERS)[metric])


@pytest.mark.parametrize(
    ("metric", "score"), [("roc_auc", roc_auc_score), ("average_precision", average_precision_score)]
)
@pytest.mark.parametrize("rounded", [False, True], ids=["", "with equal scores"])
def test_of_rankings(metric: str, score: Score, rounded: bool) -> None:
    two = np.stack([1 - SHARES[:, 1], SHARES[:, 1]], axis=1)
    two = two.round(1) if rounded else two
    values = class_pseudo_values(metric, two, (TRUTH == 1).astype(int))
    holds(values, lambda weights: score(TRUTH == 1, two[:, 1], sample_weight=weights))


def test_roc_auc_of_several_classes_is_the_mean_over_them() -> None:
    values = class_pseudo_values("roc_auc", SHARES, TRUTH)
    assert values is not None
    wanted = mean_over(range(3), lambda code: roc_auc_score(code == TRUTH, SHARES[:, code]))
    assert values.mean() == pytest.approx(wanted)


@pytest.mark.parametrize(
    "metric", ["mean_average_precision", "micro_f1", "macro_f1", "hamming_loss", "subset_accuracy"]
)
def test_of_sets_of_classes(metric: str) -> None:
    guess, four = LOGITS > 0, range(4)
    score: dict[str, Score] = {
        "mean_average_precision": lambda weights: mean_over(
            four, lambda at: average_precision_score(SETS[:, at], LOGITS[:, at], sample_weight=weights)
        ),
        "micro_f1": lambda weights: f1_score(SETS, guess, average="micro", sample_weight=weights),
        "macro_f1": lambda weights: f1_score(SETS, guess, average="macro", sample_weight=weights),
        "hamming_loss": lambda weights: hamming_loss(SETS, guess, sample_weight=weights),
        "subset_accuracy": lambda weights: accuracy_score(SETS, guess, sample_weight=weights),
    }
    holds(label_set_pseudo_values(metric, LOGITS, SETS), score[metric])


def test_of_a_ratio() -> None:
    tokens = RNG.integers(1, 40, ROWS).astype(float)
    nats = tokens * RNG.gamma(4.0, 0.5, ROWS)
    holds(ratio_pseudo_values(nats, tokens), lambda weights: (weights * nats).sum() / (weights * tokens).sum())


def test_a_row_that_is_not_known_changes_nothing() -> None:
    known = RNG.random(ROWS) < 0.4
    values = RNG.normal(size=int(known.sum()))
    spread = spread_over(values, known)
    assert spread.mean() == pytest.approx(values.mean())
    assert np.ptp(spread[~known]) == 0
    assert spread.std() / np.sqrt(ROWS) == pytest.approx(values.std() / np.sqrt(known.sum()))


def test_other_metrics_have_none() -> None:
    assert class_pseudo_values("median_rank", SHARES, TRUTH) is None
    assert number_pseudo_values("accuracy", GUESS, NUMBERS) is None
    assert number_pseudo_values("r2", GUESS, np.ones(ROWS)) is None
    assert label_set_pseudo_values("accuracy", LOGITS, SETS) is None
    assert class_pseudo_values("roc_auc", SHARES, np.zeros(ROWS, int)) is None


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("metric", CLASS_METRICS)
def test_their_mean_is_every_score_of_classes(metric: str, classes: int) -> None:
    kept = classes > TRUTH
    shares = SHARES[kept, :classes] / SHARES[kept, :classes].sum(1, keepdims=True)
    shares = shares.astype(np.float32)  # as a model gives them
    values = class_pseudo_values(metric, shares, TRUTH[kept])
    assert values is not None
    assert values.mean() == pytest.approx(class_metrics(shares, TRUTH[kept])[metric], abs=1e-6)


@pytest.mark.parametrize("metric", NUMBER_METRICS)
def test_their_mean_is_every_score_of_numbers(metric: str) -> None:
    values = number_pseudo_values(metric, GUESS, NUMBERS)
    assert values is not None
    assert values.mean() == pytest.approx(number_metrics(GUESS, NUMBERS)[metric])
