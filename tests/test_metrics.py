"""Metrics agree with scikit-learn's and with numbers worked out by hand."""

import math

import numpy as np
import pytest
from sklearn import metrics as reference

from manyways.errors import DataError
from manyways.metrics import CLASS_METRICS, METRICS, NUMBER_METRICS, class_metrics, higher_is_better, number_metrics

pytestmark = pytest.mark.quick


def test_classes_by_hand() -> None:
    """Two of three right; class 2 is never true, so that it counts in no average."""
    probabilities = np.array([[0.5, 0.3, 0.2], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3]], np.float32)
    found = class_metrics(probabilities, np.array([0, 1, 1]))
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["balanced_accuracy"] == pytest.approx((1 + 1 / 2) / 2)
    assert found["f1"] == pytest.approx(2 / 3)
    assert found["log_loss"] == pytest.approx(-(math.log(0.5) + math.log(0.3) + math.log(0.5)) / 3)


def test_classes_as_scikit_learn_has_them() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(4), 300)
    truth = rng.integers(0, 4, 300)
    guess = probabilities.argmax(1)
    found = class_metrics(probabilities, truth)
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(truth, guess))
    assert found["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(truth, guess))
    assert found["f1"] == pytest.approx(reference.f1_score(truth, guess, average="macro"))
    assert found["log_loss"] == pytest.approx(reference.log_loss(truth, probabilities, labels=range(4)))


def test_a_sure_mistake_costs_much_but_not_infinitely_much() -> None:
    found = class_metrics(np.array([[1.0, 0.0]], np.float32), np.array([1]))
    assert found["log_loss"] == pytest.approx(-math.log(1e-12))


def test_numbers_as_scikit_learn_has_them() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(10, 3, 200)
    guess = truth + rng.normal(0, 1, 200)
    found = number_metrics(guess, truth)
    assert found["r2"] == pytest.approx(reference.r2_score(truth, guess))
    assert found["mean_absolute_error"] == pytest.approx(reference.mean_absolute_error(truth, guess))
    assert found["root_mean_squared_error"] == pytest.approx(reference.root_mean_squared_error(truth, guess))


def test_constant_numbers_have_no_r2() -> None:
    found = number_metrics(np.array([1.0, 3.0]), np.array([2.0, 2.0]))
    assert math.isnan(found["r2"])
    assert found["mean_absolute_error"] == 1
    rounded = np.full(20, 0.1)
    assert rounded.mean() != 0.1, "their mean is not quite theirs"
    assert math.isnan(number_metrics(np.zeros(20), rounded)["r2"])


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("rounded", [False, True])
def test_rankings_and_calibration_are_scikit_learns(classes: int, rounded: bool) -> None:
    rng = np.random.default_rng(classes)
    truth = rng.choice(classes, 400, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum())
    logits = rng.normal(size=(400, classes)) + 1.5 * np.eye(classes)[truth]
    logits = logits.round() if rounded else logits  # many rows of one score
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = class_metrics(probabilities, truth)
    if classes == 2:
        assert found["roc_auc"] == pytest.approx(reference.roc_auc_score(truth, probabilities[:, 1]))
        assert found["average_precision"] == pytest.approx(
            reference.average_precision_score(truth, probabilities[:, 1])
        )
    else:
        assert found["roc_auc"] == pytest.approx(reference.roc_auc_score(truth, probabilities, multi_class="ovr"))
        each = [reference.average_precision_score(truth == code, probabilities[:, code]) for code in range(classes)]
        assert found["average_precision"] == pytest.approx(np.mean(each))
    scores = probabilities[:, 1] if classes == 2 else probabilities
    assert found["brier_score"] == pytest.approx(reference.brier_score_loss(truth, scores))


def test_a_class_that_no_row_has_does_not_count_in_a_ranking() -> None:
    truth, probabilities = np.array([0, 1, 0, 1]), np.array([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1]] * 2)
    assert class_metrics(probabilities, truth)["roc_auc"] == 1
    assert math.isnan(class_metrics(probabilities, np.zeros(4, int))["average_precision"])
    last = class_metrics(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 0]))
    assert (last["roc_auc"], last["average_precision"]) == (1, 1)


def test_calibration_by_hand() -> None:
    """Ten rows of 0.75, of which 6 are right, and ten of 0.95, of which all are: (1.5 + 0.5) / 20."""
    probabilities = np.array([[0.75, 0.25]] * 10 + [[0.05, 0.95]] * 10)
    truth = np.array([0] * 6 + [1] * 4 + [1] * 10)
    assert class_metrics(probabilities, truth)["expected_calibration_error"] == pytest.approx(0.1)


def test_no_rows_have_no_score() -> None:
    with pytest.raises(DataError, match="no row with a known label"):
        class_metrics(np.zeros((0, 2)), np.zeros(0, int))
    with pytest.raises(DataError, match="no row with a known label"):
        number_metrics(np.zeros(0), np.zeros(0))


def test_the_usual_metric_of_a_label() -> None:
    assert (CLASS_METRICS[0], NUMBER_METRICS[0]) == ("accuracy", "r2")


def test_every_metric_that_is_given_has_a_direction() -> None:
    classes = class_metrics(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 1]))
    numbers = number_metrics(np.array([1.0, 2.0]), np.array([1.0, 3.0]))
    assert set(classes) | set(numbers) <= set(METRICS)
    better = class_metrics(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 1]))
    worse = class_metrics(np.array([[0.4, 0.6], [0.8, 0.2]]), np.array([0, 1]))
    for name in classes:
        assert (better[name] > worse[name]) == higher_is_better(name)
