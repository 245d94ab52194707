"""Scores of predictions against the truth."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.errors import DataError

HIGHER_IS_BETTER = {
    "accuracy": True,
    "balanced_accuracy": True,
    "f1": True,
    "log_loss": False,
    "r2": True,
    "mean_absolute_error": False,
    "root_mean_squared_error": False,
    "nats_per_token": False,
    "nats_per_character": False,
    "perplexity": False,
    "preference_accuracy": True,
    "margin": True,
    "accuracy_interval": False,
    "mean_score": True,
    "recall_at_1": True,
    "recall_at_5": True,
    "recall_at_10": True,
    "median_rank": False,
    "recall_at_10_by_chance": True,
    "average_accuracy": True,
    "forgetting": False,
    "backward_transfer": True,
    "frechet_distance": False,
    "sample_precision": True,
    "sample_recall": True,
    "nats_per_row": False,
    "bits_per_dimension": False,
    "mean_reward": True,
    "std_reward": False,
}
"""Metrics, each with True if more of it is better; of a metric "of" something that of the metric: see `metric_of`."""
CLASS_METRICS = ("accuracy", "balanced_accuracy", "f1", "log_loss")
NUMBER_METRICS = ("r2", "mean_absolute_error", "root_mean_squared_error")
LABEL_METRICS = CLASS_METRICS + NUMBER_METRICS
"""Those of a label that is predicted: of classes, and of numbers."""


def metric_of(metric: str, what: str) -> str:
    """The name of `metric` of one label, or of what is found by what, among those of all: "accuracy of shape"."""
    return f"{metric} of {what}"


def plain_metric(name: str) -> str:
    """The metric that `name` is one of: "accuracy" for "accuracy of shape"."""
    return name.partition(" of ")[0]


def default_metric(classification: bool) -> str:
    """Accuracy for classes, the coefficient of determination for numbers."""
    return "accuracy" if classification else "r2"


def class_metrics(probabilities: NDArray[Any], truth: NDArray[Any]) -> dict[str, float]:
    """Accuracy, balanced accuracy, macro F1 and log loss; probabilities [rows, classes], truth class codes [rows]."""
    from sklearn.metrics import f1_score, recall_score

    _some(truth)
    guess = probabilities.argmax(axis=1)
    present = np.unique(truth)
    right = np.clip(probabilities[np.arange(len(truth)), truth].astype(np.float64), 1e-12, 1)
    return {
        "accuracy": float((guess == truth).mean()),
        "balanced_accuracy": float(recall_score(truth, guess, labels=present, average="macro", zero_division=0)),
        "f1": float(f1_score(truth, guess, labels=present, average="macro", zero_division=0)),
        "log_loss": float(-np.log(right).mean()),
    }


def number_metrics(guess: NDArray[Any], truth: NDArray[Any]) -> dict[str, float]:
    """R², mean absolute and root mean squared error, in the label's own units; both [rows]."""
    _some(truth)
    errors = guess - truth
    spread = ((truth - truth.mean()) ** 2).sum()
    varies = truth.max() > truth.min()  # of equal numbers the spread is not 0 but what rounding leaves of it
    return {
        "r2": float(1 - (errors**2).sum() / spread) if varies else float("nan"),
        "mean_absolute_error": float(np.abs(errors).mean()),
        "root_mean_squared_error": float(np.sqrt((errors**2).mean())),
    }


def _some(truth: NDArray[Any]) -> None:
    if not len(truth):
        raise DataError("There is no row with a known label to compute a score on.")
