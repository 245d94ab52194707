"""Tasks of predicting one label."""

from collections.abc import Sequence

from manyways.comparison.exhibits import Exhibit, Matrix
from manyways.comparison.results import Entry
from manyways.comparison.showcase import showcase
from manyways.comparison.tasks.base import Task, labels_shown
from manyways.data.data import Data
from manyways.models.metrics import CLASS_METRICS, NUMBER_METRICS, default_metric, plain_metric

PREDICTS = frozenset({"classify", "regress"})


def _predicts(data: Data) -> bool:
    return len(data.labels) == 1 and bool(data.inputs)


def _learned_from(data: Data, shown: Data) -> str:
    rows = int(shown.training.labelled.sum())
    return f"{rows:,} rows of {len(data.labels)} labels"


def _by_label(entries: Sequence[Entry]) -> tuple[Exhibit, ...]:
    """The usual score of every label, way by way."""
    scored = [entry for entry in entries if entry.scored]
    usual = [default_metric(classification) for classification in (True, False)]
    names = [name for entry in scored for name in entry.metrics if " of " in name and plain_metric(name) in usual]
    columns = tuple(dict.fromkeys(names))
    if not columns:
        return ()
    ranked = sorted(scored, key=lambda entry: -(entry.score or 0.0))
    values = tuple(tuple(entry.metrics.get(name) for name in columns) for entry in ranked)
    percent = all(plain_metric(name) == usual[0] for name in columns)
    said = tuple(name if not percent else name.partition(" of ")[2] for name in columns)
    matrix = Matrix(tuple(entry.title for entry in ranked), said, values, "way of learning", "label", percent)
    note = f"{'Accuracy' if percent else 'The usual score'} of each label on the test rows that have it."
    return (Exhibit("Label by label", note, matrix=matrix),)


SEVERAL_LABELS = Task(
    "several labels",
    asked=lambda data: len(data.labels) > 1 and bool(data.inputs),
    gives=frozenset({"labels"}),
    metrics=("mean_score",),
    several_labels=True,
    learned_from=_learned_from,
    overview=_by_label,
)
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
