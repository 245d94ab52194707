"""The task of learning tasks in order without forgetting those before."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from manyways.comparison.exhibits import Exhibit, Matrix
from manyways.comparison.tasks.base import TEST_ROWS, Task
from manyways.comparison.tasks.labelled import CONSTANTS, MAJORITY
from manyways.data.data import Data
from manyways.data.tasks import Tasks
from manyways.methods.method import Method
from manyways.methods.needs import Task as TaskNeed
from manyways.methods.starts import needs_any
from manyways.models.evaluation import Evaluation, of_all_rows
from manyways.models.model import Model
from manyways.pseudo_values import spread_over
from manyways.training.accuracy_matrix import AccuracyMatrix, Row, average
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
        scores = {"average_accuracy": average(self._end)}
        if self._matrix.complete:
            scores |= {"forgetting": self._matrix.forgetting, "backward_transfer": self._matrix.backward_transfer}
        return scores

    def exhibits(self) -> tuple[Exhibit, ...]:
        """The matrix of accuracies."""
        rows = self._matrix.rows or {AT_ONCE: self._end}
        matrix = Matrix(tuple(rows), self._matrix.titles, tuple(rows.values()), "learned up to", "tested on")
        return (Exhibit(TITLE, NOTE, matrix=matrix),)

    def to_json(self) -> dict[str, Any]:
        """The notes as JSON values."""
        return self._matrix.to_json()

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `to_json` gave."""
        self._matrix.restore(saved)


def _in_order(method: Method) -> bool:
    return needs_any(method, TaskNeed)


class Continual(Task):
    """Continual learning: tasks in order."""

    name = "tasks in order"
    precedence = 30
    gives = frozenset({"classify"})
    metrics = beside = ("average_accuracy", "forgetting", "backward_transfer")
    units = TEST_ROWS

    def applies(self, data: Data) -> bool:
        return data.has("task") and data.has("label") and bool(data.inputs) and data.classification

    def enters(self, method: Method) -> bool:
        return _in_order(method) or str(method) == "supervised"

    def references(self, data: Data) -> Mapping[str, str]:
        return {MAJORITY: CONSTANTS["softmax"]}

    def bound(self, method: Method) -> str:
        return "" if _in_order(method) else "all tasks at once"

    def score(self, model: Model, data: Data, rows: int | None) -> dict[str, float]:
        """The average accuracy and the scores of all test rows together, of which there are fewer while it learns."""
        by_task = average(AccuracyMatrix(data, rows).accuracies(model))
        return {"average_accuracy": by_task, **super().score(model, data, rows)}

    def evaluate(self, model: Model, data: Data, metric: str) -> Evaluation:
        """As `score`; a row contributes to the accuracy on its task, and so to the mean over tasks."""
        matrix, test = AccuracyMatrix(data), data.test
        whole = model.evaluate_rows(test, "accuracy")
        scores = {"average_accuracy": average(matrix.accuracies(model)), **whole.scores}
        if metric != "average_accuracy" or whole.rows is None:
            return Evaluation(scores)
        scored = ~np.isnan(whole.rows)
        task, right = matrix.tasks.numbers(test)[scored], whole.rows[scored]
        by_task = [spread_over(right[task == number], task == number) for number in np.unique(task)]
        return Evaluation(scores, of_all_rows(np.mean(by_task, axis=0), scored))

    def watch(self, data: Data) -> Order:
        return Order(data)

    def learned_from(self, data: Data, visible: Data) -> str:
        return f"{int(visible.training.labelled.sum()):,} labelled rows in {len(Tasks.of(visible))} tasks"
