"""The accuracy matrix of continual learning (Lopez-Paz & Ranzato, NeurIPS 2017): each task after each."""

from collections.abc import Mapping
from math import nan
from typing import Any

import numpy as np

from manyways.data.data import Data
from manyways.data.tasks import Tasks
from manyways.errors import DataError
from manyways.models.model import Model
from manyways.training.events import Event

Row = tuple[float | None, ...]


class AccuracyMatrix:
    """A listener that tests a model on the test rows of every task each time one has been learned.

        matrix = AccuracyMatrix(data)
        Replay().fit(data, run=Run(listeners=[matrix]))
        matrix.average_accuracy, matrix.forgetting

    `rows` holds, for each task by its title, the accuracy on each in [0, 1] after it was learned; None for a task
    that has no test rows. With `rows` about so many test rows are looked at, evenly spread. Raises DataError where no
    task has any, or one is tested that has no training rows.
    """

    def __init__(self, data: Data, rows: int | None = None) -> None:
        self.tasks = Tasks.of(data)
        test = data.test.select(data.test.known)
        if rows is not None:
            test = test.select(np.arange(0, len(test), max(1, len(test) // rows)))
        if not len(test):
            raise DataError(f"{data.name} has no test rows with a label to score tasks by: data.with_test(0.2).")
        task_of = self.tasks.numbers(test)
        self._test = [test.select(np.flatnonzero(task_of == at)) for at in range(len(self.tasks))]
        self.titles = tuple(self.tasks.title(at) for at in range(len(self.tasks)))
        self.rows: dict[str, Row] = {}

    def __call__(self, event: Event) -> None:
        """Test the model where a task has ended."""
        if event.kind == "milestone" and event.model is not None and event.note in self.titles:
            self.rows[event.note] = self.accuracies(event.model())

    def accuracies(self, model: Model) -> Row:
        """The accuracy of `model` on each task, in [0, 1]; of a label with a structure its usual score."""
        return tuple(
            None
            if not len(rows)
            else model.evaluate(rows)[model.label_target.metric]
            if model.label_target.structured
            else float((model.predict(rows) == rows.take(rows.label.name)).mean())
            for rows in self._test
        )

    @property
    def average_accuracy(self) -> float:
        """The mean over tasks of the accuracy in the end (Lopez-Paz & Ranzato, NeurIPS 2017)."""
        return average(list(self.rows.values())[-1]) if self.rows else nan

    @property
    def forgetting(self) -> float:
        """The fall of each task but the last from its best before the end, on average (Chaudhry et al., ECCV 2018)."""
        *before, last = self._complete()
        return average([max(each[at] for each in before) - last[at] for at in self._earlier()])

    @property
    def backward_transfer(self) -> float:
        """The gain of each task but the last between the time it was learned and the end, on average."""
        rows = self._complete()
        return average([rows[-1][at] - rows[at][at] for at in self._earlier()])

    @property
    def complete(self) -> bool:
        """True if every task was learned, and earlier ones can be scored."""
        return len(self.rows) == len(self.titles) > 1 and bool(self._earlier())

    def _earlier(self) -> list[int]:
        return [at for at in range(len(self.titles) - 1) if len(self._test[at])]

    def _complete(self) -> list[list[float]]:
        if not self.complete:
            raise DataError(
                f"Of {len(self.titles)} tasks {len(self.rows)} were learned and tested, and all must be to know what "
                "was forgotten."
            )
        return [[nan if value is None else value for value in self.rows[title]] for title in self.titles]

    def to_json(self) -> dict[str, Any]:
        """The rows so far."""
        return {title: list(row) for title, row in self.rows.items()}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `to_json` gave."""
        self.rows = {title: tuple(row) for title, row in saved.items()}


def average(values: "list[float] | Row") -> float:
    """The mean of those that are known; NaN of none."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else nan
