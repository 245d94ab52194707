"""Tasks of predicting one label."""

from manyways.comparison.showcase import showcase
from manyways.comparison.tasks.base import Task, labels_shown
from manyways.data.data import Data
from manyways.models.metrics import CLASS_METRICS, NUMBER_METRICS

PREDICTS = frozenset({"classify", "regress"})


def _predicts(data: Data) -> bool:
    return data.has("label") and bool(data.inputs)


CLASSIFICATION = Task(
    "classification",
    asked=lambda data: _predicts(data) and data.classification,
    gives=PREDICTS,
    metrics=CLASS_METRICS,
    labelled=True,
    learned_from=labels_shown,
    closely=showcase,
)
REGRESSION = Task(
    "regression",
    asked=lambda data: _predicts(data) and not data.classification,
    gives=PREDICTS,
    metrics=NUMBER_METRICS,
    labelled=True,
    learned_from=labels_shown,
    closely=showcase,
)
