"""The task of learning tasks in order without forgetting those before."""

from collections.abc import Mapping
from typing import Any

from manyways.comparison.exhibits import Exhibit, Matrix
from manyways.comparison.tasks.base import Task, scored_by_itself
from manyways.data.data import Data
from manyways.data.tasks import Tasks
from manyways.methods.method import Method
from manyways.methods.needs import Task as TaskNeed
from manyways.methods.starts import needs_any
from manyways.models.accuracy_matrix import AccuracyMatrix, Row, average
from manyways.models.model import Model
from manyways.training.events import Event

TITLE = "Accuracy by task"
NOTE = (
    "Each row is the model after it learned one more task; each column is the test rows of one task. Down a column one "
    "sees a task being learned, and forgotten."
)
AT_ONCE = "all at once"


class Order:
    """A training noted task by task."""

    def __init__(self, data: Data) -> None:
        self._matrix = AccuracyMatrix(data)
        self._end: Row = ()

    def __call__(self, event: Event) -> None:
        """Test the model on all tasks where one has ended."""
        self._matrix(event)

    def finish(self, model: Model) -> None:
        """Test the model that came of it."""
        self._end = self._matrix.accuracies(model)

    def scores(self) -> dict[str, float]:
        """The average accuracy, and where the tasks came one after the other, what was forgotten."""
        found = {"average_accuracy": average(self._end)}
        if self._matrix.complete:
            found |= {"forgetting": self._matrix.forgetting, "backward_transfer": self._matrix.backward_transfer}
        return found

    def exhibits(self) -> tuple[Exhibit, ...]:
        """The matrix of accuracies."""
        rows = self._matrix.rows or {AT_ONCE: self._end}
        matrix = Matrix(tuple(rows), self._matrix.titles, tuple(rows.values()), "learned up to", "tested on")
        return (Exhibit(TITLE, NOTE, matrix=matrix),)

    def to_json(self) -> dict[str, Any]:
        """What was noted."""
        return self._matrix.to_json()

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `to_json` gave."""
        self._matrix.restore(saved)


def _in_order(method: Method) -> bool:
    return needs_any(method, TaskNeed)


def _score(model: Model, data: Data, rows: int | None) -> dict[str, float]:
    """The average accuracy and the scores of all test rows together, of which there are fewer while it learns."""
    by_task = average(AccuracyMatrix(data, rows).accuracies(model))
    return {"average_accuracy": by_task, **scored_by_itself(model, data, rows)}


def _rows_in_tasks(data: Data, shown: Data) -> str:
    return f"{int(shown.training.labelled.sum()):,} labelled rows in {len(Tasks.of(shown))} tasks"


CONTINUAL = Task(
    "tasks in order",
    asked=lambda data: data.has("task") and data.has("label") and bool(data.inputs) and data.classification,
    gives=frozenset({"classify"}),
    metrics=("average_accuracy", "forgetting", "backward_transfer"),
    beside=("average_accuracy", "forgetting", "backward_transfer"),
    enters=lambda method: _in_order(method) or str(method) == "supervised",
    bound=lambda method: "" if _in_order(method) else "all tasks at once",
    score=_score,
    watch=Order,
    learned_from=_rows_in_tasks,
)
