"""Tasks: which rows belong together, and in which order they come."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.checked_json import DAMAGED, described
from manyways.data.data import Data, by_kind
from manyways.data.notation import is_missing
from manyways.data.storage import RowNumbers
from manyways.data.times import moments
from manyways.errors import DataError, ModelError


@dataclass(frozen=True, eq=False)
class Tasks:
    """The tasks of a table in their order.

    Attributes:
        names: Tasks as the column has them.
        rows: Positions of its labelled training rows, among all training rows.
        classes: The labels of those, sorted.
    """

    column: str
    names: tuple[Any, ...]
    rows: tuple[RowNumbers, ...]
    classes: tuple[tuple[Any, ...], ...]

    @staticmethod
    def of(data: Data) -> "Tasks":
        """The tasks of the labelled training rows of `data`.

        They come in the order of their first `time` where a column has that role; otherwise tasks that are numbers in
        the order of these, and others as they come first among the rows. Raises DataError where a row has no task or no
        time.
        """
        (column,) = data.roles["task"]
        training = data.training
        labelled = np.flatnonzero(training.labelled)
        values = training.take(column)[labelled]
        if (lost := is_missing(values)).any():
            raise DataError(
                f"{int(lost.sum()):,} of {len(labelled):,} labelled training rows of {data.name} have no task in the "
                f"column {column!r}; name theirs, or leave those rows out."
            )
        of_task = _in_order(training, labelled, values.tolist())
        labels = training.take(data.label.name)
        return Tasks(
            column,
            tuple(of_task),
            tuple(of_task.values()),
            tuple(
                () if labels.ndim > 1 else tuple(sorted(set(labels[rows].tolist()), key=by_kind))
                for rows in of_task.values()
            ),
        )

    def __len__(self) -> int:
        return len(self.names)

    def to_json(self) -> dict[str, Any]:
        """The column, the tasks and their classes as JSON values; which rows they have is not kept."""
        return {"column": self.column, "names": list(self.names), "classes": [list(each) for each in self.classes]}

    @staticmethod
    def from_json(saved: Mapping[str, Any]) -> "Tasks":
        """The tasks that `to_json` wrote, without rows. Raises ModelError for anything else."""
        saved_tasks = described(saved, "the tasks", ModelError)
        classes = tuple(tuple(each) for each in saved_tasks.all("classes", list))
        names = tuple(saved_tasks.get("names", list))
        if len(names) != len(classes):
            raise ModelError(f"The model tells of {len(names)} tasks and of the classes of {len(classes)}; {DAMAGED}.")
        return Tasks(saved_tasks.get("column", str), names, tuple(np.empty(0, np.int64) for _ in classes), classes)

    def title(self, place: int) -> str:
        """The task at a place in the order, as people read it: its name, or "task 3" where that is a number."""
        name = self.names[place]
        return name if isinstance(name, str) else f"task {name}"

    def numbers(self, data: Data) -> NDArray[np.int64]:
        """The place of each row's task in the order, int64 [rows]. Raises DataError for one that is not among them."""
        if self.column not in data.columns:
            raise DataError(
                f"Each row's task must be known, and {data.name} has no column {self.column!r}; its columns are "
                f"{', '.join(data.columns)}."
            )
        places = {name: task for task, name in enumerate(self.names)}
        values = data.take(self.column).tolist()
        tasks = np.array([places.get(value, -1) for value in values], np.int64)
        if (tasks < 0).any():
            task = int(np.flatnonzero(tasks < 0)[0])
            raise DataError(
                f"{int((tasks < 0).sum()):,} of {len(tasks):,} rows of {data.name} are of a task that was not learned, "
                f"the first of {values[task]!r}; tasks in {self.column!r} are {', '.join(map(repr, self.names[:10]))}"
                f"{', …' if len(self.names) > 10 else ''}."
            )
        return tasks


@dataclass(frozen=True, eq=False)
class TaskNumbers:
    """The tasks of rows, whatever these are learned for.

    Attributes:
        names: Tasks as texts, in the order in which they first come.
        numbers: The place of each row's task among them, int64 [rows]; -1 where a row has none.
    """

    names: tuple[str, ...]
    numbers: NDArray[np.int64]

    @property
    def sizes(self) -> dict[str, int]:
        """The number of rows of each task."""
        counts = np.bincount(self.numbers[self.numbers >= 0], minlength=len(self.names))
        return dict(zip(self.names, counts.tolist(), strict=True))


def task_numbers(data: Data, *, some_may_lack: bool = False) -> TaskNumbers:
    """The tasks of the rows of `data`, which has that role.

    Args:
        data: The rows.
        some_may_lack: True if rows may have none.

    Raises:
        DataError: Rows have no task, and they may not lack it.
    """
    (column,) = data.roles["task"]
    values = data.take(column)
    lost = is_missing(values)
    if lost.any() and not some_may_lack:
        raise DataError(
            f"{int(lost.sum()):,} of {len(lost):,} training rows of {data.name} have no task in the column {column!r}, "
            f"the first is row {int(np.flatnonzero(lost)[0])} (rows count from 0); name theirs, or leave those rows "
            "out."
        )
    places: dict[str, int] = {}
    numbers = np.full(len(values), -1, np.int64)
    for row in np.flatnonzero(~lost):
        numbers[row] = places.setdefault(str(values[row]), len(places))
    return TaskNumbers(tuple(places), numbers)


def _in_order(training: Data, labelled: RowNumbers, values: list[Any]) -> dict[Any, RowNumbers]:
    """For each task in its order which of the rows `labelled` are of it."""
    tasks: dict[Any, list[int]] = {}
    for position, name in enumerate(values):
        tasks.setdefault(name, []).append(position)
    rows = {name: np.asarray(positions) for name, positions in tasks.items()}
    names = list(rows)
    if training.has("time"):
        times = moments(training.columns[training.roles["time"][0]], training.rows[labelled])
        names.sort(key=lambda name: times[rows[name]].min())
    elif all(isinstance(name, int | float) for name in names):
        names.sort()
    return {name: labelled[rows[name]] for name in names}
