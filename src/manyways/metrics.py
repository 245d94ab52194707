"""Scores of predictions against the truth, and which way each of them is better."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.errors import DataError, ParameterError
from manyways.registry import Registry


@dataclass(frozen=True)
class Metric:
    """A score by name, of which more is better unless it says otherwise.

    Attributes:
        name: The word for it.
        higher_is_better: False for errors, losses and distances.
        low: The least that it can be; None: no bound.
        high: The most that it can be; None: no bound.
        fraction: True if people write it as a percentage.
    """

    name: str
    higher_is_better: bool = True
    low: float | None = None
    high: float | None = None
    fraction: bool = False


def fraction(name: str) -> Metric:
    """A metric between 0 and 1, of which more is better, written as a percentage."""
    return Metric(name, low=0.0, high=1.0, fraction=True)


METRICS: Registry[Metric] = Registry("metrics", Metric, "manyways.metrics", "manyways.data.targets")
"""Every metric by its name: those of this file, of kinds of labels, and of the entry-point group `manyways.metrics`."""

ACCURACY = fraction("accuracy")
BALANCED_ACCURACY = fraction("balanced_accuracy")
F1 = fraction("f1")
LOG_LOSS = Metric("log_loss", higher_is_better=False, low=0.0)
ROC_AUC = fraction("roc_auc")
AVERAGE_PRECISION = fraction("average_precision")
BRIER_SCORE = Metric("brier_score", higher_is_better=False, low=0.0)
EXPECTED_CALIBRATION_ERROR = Metric("expected_calibration_error", higher_is_better=False, low=0.0, high=1.0)
R2 = Metric("r2", high=1.0)
SPEARMAN = Metric("spearman", low=-1.0, high=1.0)
PEARSON = Metric("pearson", low=-1.0, high=1.0)
MEAN_ABSOLUTE_ERROR = Metric("mean_absolute_error", higher_is_better=False, low=0.0)
ROOT_MEAN_SQUARED_ERROR = Metric("root_mean_squared_error", higher_is_better=False, low=0.0)
PREQUENTIAL_ACCURACY = fraction("prequential_accuracy")
PREQUENTIAL_MEAN_ABSOLUTE_ERROR = Metric("prequential_mean_absolute_error", higher_is_better=False)
PREQUENTIAL_ROOT_MEAN_SQUARED_ERROR = Metric("prequential_root_mean_squared_error", higher_is_better=False)
NATS_PER_TOKEN = Metric("nats_per_token", higher_is_better=False, low=0.0)
NATS_PER_CHARACTER = Metric("nats_per_character", higher_is_better=False, low=0.0)
PERPLEXITY = Metric("perplexity", higher_is_better=False, low=0.0)
PREFERENCE_ACCURACY = fraction("preference_accuracy")
MEAN_NATS_PER_TOKEN = Metric("mean_nats_per_token", higher_is_better=False, low=0.0)
MARGIN = Metric("margin")
PRETEXT_ACCURACY = fraction("pretext_accuracy")
PRETEXT_CHANCE = fraction("pretext_chance")
PRETEXT_SPREAD = Metric("pretext_spread", low=0.0)
PRETEXT_EFFECTIVE_RANK = Metric("pretext_effective_rank", low=0.0)
ACCURACY_INTERVAL = Metric("accuracy_interval", higher_is_better=False)
TRANSDUCTIVE_ACCURACY = fraction("transductive_accuracy")
TRANSDUCTIVE_ACCURACY_INTERVAL = Metric("transductive_accuracy_interval", higher_is_better=False)
MEAN_LOSS = Metric("mean_loss", higher_is_better=False, low=0.0)
FINAL_LOSS = Metric("final_loss", higher_is_better=False, low=0.0)
ADAM_MEAN_LOSS = Metric("adam_mean_loss", higher_is_better=False, low=0.0)
ADAM_FINAL_LOSS = Metric("adam_final_loss", higher_is_better=False, low=0.0)
INSTANCE_1_ACCURACY = fraction("instance_1_accuracy")
INSTANCE_2_ACCURACY = fraction("instance_2_accuracy")
INSTANCE_3_ACCURACY = fraction("instance_3_accuracy")
INSTANCE_5_ACCURACY = fraction("instance_5_accuracy")
INSTANCE_10_ACCURACY = fraction("instance_10_accuracy")
MEAN_SCORE = Metric("mean_score", high=1.0)
RECALL_AT_1 = fraction("recall_at_1")
RECALL_AT_5 = fraction("recall_at_5")
RECALL_AT_10 = fraction("recall_at_10")
MEDIAN_RANK = Metric("median_rank", higher_is_better=False, low=0.0)
RECALL_AT_10_BY_CHANCE = Metric("recall_at_10_by_chance")
AVERAGE_ACCURACY = fraction("average_accuracy")
FORGETTING = Metric("forgetting", higher_is_better=False, fraction=True)
BACKWARD_TRANSFER = Metric("backward_transfer", fraction=True)
AREA_UNDER_LABEL_CURVE = Metric("area_under_label_curve")
FRECHET_DISTANCE = Metric("frechet_distance", higher_is_better=False, low=0.0)
SAMPLE_PRECISION = fraction("sample_precision")
SAMPLE_RECALL = fraction("sample_recall")
NATS_PER_ROW = Metric("nats_per_row", higher_is_better=False)
BITS_PER_DIMENSION = Metric("bits_per_dimension", higher_is_better=False)
MEAN_REWARD = Metric("mean_reward")
STD_REWARD = Metric("std_reward", higher_is_better=False)
EXPLAINED_VARIANCE = Metric("explained_variance", high=1.0, fraction=True)
RECONSTRUCTION_ERROR = Metric("reconstruction_error", higher_is_better=False, low=0.0)
DIMENSIONS = Metric("dimensions", higher_is_better=False, low=1.0)
LOG_LIKELIHOOD = Metric("log_likelihood")
BIC = Metric("bic", higher_is_better=False)
SILHOUETTE = Metric("silhouette", low=-1.0, high=1.0)
NMI = Metric("nmi", low=0.0, high=1.0)
ARI = Metric("ari", low=-0.5, high=1.0)
CLUSTERS = Metric("clusters", higher_is_better=False, low=1.0)
TRUSTWORTHINESS = fraction("trustworthiness")
KNN_ACCURACY = fraction("knn_accuracy")
KNN_ACCURACY_IN_2D = fraction("knn_accuracy_in_2d")

CLASS_METRICS = (
    "accuracy", "balanced_accuracy", "f1", "log_loss", "roc_auc", "average_precision", "brier_score",
    "expected_calibration_error",
)  # fmt: skip
CALIBRATION_BINS = 15
"""Bins of equal width that confidences are sorted into (Guo et al., On calibration of modern neural networks, 2017)."""
NUMBER_METRICS = ("r2", "mean_absolute_error", "root_mean_squared_error")


def metric_of(metric: str, what: str) -> str:
    """The name of `metric` of one label, or of what is found by what, among those of all: "accuracy of shape"."""
    return f"{metric} of {what}"


def plain_metric(name: str) -> str:
    """The metric that `name` is one of: "accuracy" for "accuracy of shape"."""
    return name.partition(" of ")[0]


def higher_is_better(name: str) -> bool:
    """True if more of the metric `name` is better; of a metric "of" something, as of the metric: see `metric_of`.

    Raises ParameterError where there is no such metric.
    """
    return METRICS.find(plain_metric(name), ParameterError).higher_is_better


def find_metric(name: str) -> Metric | None:
    """The metric `name`, also of one "of" something; None where it is unknown, as in results of a package not here."""
    plain = plain_metric(name)
    return METRICS.find(plain) if plain in METRICS else None


def is_fraction(name: str) -> bool:
    """True if people write the metric `name` as a percentage."""
    metric = find_metric(name)
    return metric is not None and metric.fraction


def bounds(name: str) -> tuple[float | None, float | None]:
    """The least and the most that the metric `name` can be; None for each that there is not."""
    metric = find_metric(name)
    return (metric.low, metric.high) if metric else (None, None)


def class_metrics(probabilities: NDArray[Any], truth: NDArray[Any]) -> dict[str, float]:
    """The `CLASS_METRICS` of probabilities [rows, classes] and true class codes [rows].

    Of two classes the area under the ROC curve and the average precision are those of the second one; of more the mean
    over the classes that some row has, each against the others. They are NaN where all rows are of one class.
    """
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
        **_ranking(probabilities, truth, present),
        "brier_score": _brier_score(probabilities, truth),
        "expected_calibration_error": _calibration_error(probabilities.max(axis=1), guess == truth),
    }


def _ranking(probabilities: NDArray[Any], truth: NDArray[Any], present: NDArray[Any]) -> dict[str, float]:
    """Area under the ROC curve and average precision: one sort a class, far less than scikit-learn's checks cost."""
    if len(present) < 2:
        return {"roc_auc": float("nan"), "average_precision": float("nan")}
    areas, precisions = [], []
    for code in present[-1:] if probabilities.shape[1] == 2 else present:
        order = np.argsort(-probabilities[:, code], kind="stable")
        scores, positive = probabilities[order, code], truth[order] == code
        last = np.append(scores[1:] != scores[:-1], True)  # rows of one score are above or below the threshold together
        hits, rows = np.cumsum(positive)[last], np.flatnonzero(last) + 1
        hit_rate, false_rate = hits / hits[-1], (rows - hits) / (rows - hits)[-1]
        areas.append(np.trapezoid(np.append(0, hit_rate), np.append(0, false_rate)))
        precisions.append((np.diff(hit_rate, prepend=0) * hits / rows).sum())
    return {"roc_auc": float(np.mean(areas)), "average_precision": float(np.mean(precisions))}


def _brier_score(probabilities: NDArray[Any], truth: NDArray[Any]) -> float:
    """The mean squared error of the probabilities: summed over classes, or of two that of one (Brier 1950)."""
    errors = probabilities.astype(np.float64)
    errors[np.arange(len(truth)), truth] -= 1
    return float((errors**2).sum(axis=1).mean() / (2 if probabilities.shape[1] == 2 else 1))


def _calibration_error(confidence: NDArray[Any], right: NDArray[np.bool_]) -> float:
    """The mean distance of confidence and accuracy over `CALIBRATION_BINS` bins of the confidence, weighted by rows."""
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(int) - 1, 0, CALIBRATION_BINS - 1)
    apart = np.bincount(bins, confidence - right.astype(np.float64), CALIBRATION_BINS)
    return float(np.abs(apart).sum() / len(right))


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
