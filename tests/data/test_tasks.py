"""Tasks: divided by class, their order, and what is wrong with them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.tasks import Tasks
from manyways.data.transport import load_table, save_table
from manyways.errors import DataError
from manyways.methods.needs import Task, lacking

pytestmark = pytest.mark.quick


def table(tasks: list[object], labels: list[object], **more: list[object]) -> Data:
    """Numbered rows with a task and a label each."""
    roles = {role: role for role in more}
    return mw.read(
        {"x": [float(row) for row in range(len(tasks))], "t": tasks, "label": labels, **more}, task="t", **roles
    )


def test_classes_are_divided_in_their_order() -> None:
    data = mw.read("digits").with_tasks(3)
    tasks = Tasks.of(data)
    assert tasks.names == (1, 2, 3)
    assert tasks.classes == ((0, 1, 2, 3), (4, 5, 6), (7, 8, 9))
    assert tasks.title(1) == "task 2"
    assert np.array_equal(data.ids, mw.read("digits").ids), "which task a row is of does not change what it is"
    shuffled = Tasks.of(mw.read("digits").with_tasks(5, seed=3)).classes
    assert shuffled != Tasks.of(mw.read("digits").with_tasks(5)).classes
    assert sorted(name for classes in shuffled for name in classes) == list(range(10))


def test_another_division_is_other_data() -> None:
    digits = mw.read("digits")
    prints = {digits.fingerprint, digits.with_tasks(2).fingerprint, digits.with_tasks(5).fingerprint}
    assert len(prints) == 3


def test_the_table_travels_with_its_tasks(tmp_path: Path) -> None:
    data = mw.read("wine").with_tasks(3)
    there = load_table(save_table(data, tmp_path))
    assert np.array_equal(there.take("task"), data.take("task"))
    assert there.fingerprint == data.fingerprint


def test_rows_without_a_class_belong_to_no_task() -> None:
    data = mw.read({"x": [0.5, 1.5, 2.5], "label": ["a", None, "b"]}).with_tasks(2)
    assert data.take("task").tolist() == [1, None, 2]
    assert [rows.tolist() for rows in Tasks.of(data).rows] == [[0], [2]]


@pytest.mark.parametrize("count", [0, 4, -1])
def test_more_tasks_than_classes_are_refused(count: int) -> None:
    with pytest.raises(DataError, match=f"wine has 3 classes, which make from 1 to 3 tasks; got {count}"):
        mw.read("wine").with_tasks(count)


def test_tasks_need_classes_and_come_once() -> None:
    with pytest.raises(DataError, match="The label 'label' of diabetes is a number; tasks are made of classes"):
        mw.read("diabetes").with_tasks(2)
    with pytest.raises(DataError, match="a column 'task' for tasks already"):
        mw.read("wine").with_tasks(2).with_tasks(2)


def test_tasks_come_by_time_or_number_or_as_they_first_come() -> None:
    labels: list[object] = ["a", "b", "c", "a", "b", "c"]
    assert Tasks.of(table(["night", "noon", "dawn"] * 2, labels)).names == ("night", "noon", "dawn")
    assert Tasks.of(table([3, 1, 2] * 2, labels)).names == (1, 2, 3)
    when: list[object] = ["2024-03-01", "2024-01-01", "2024-02-01", "2023-12-31", "2024-05-01", "2024-06-01"]
    assert Tasks.of(table([3, 1, 2] * 2, labels, time=when)).names == (3, 1, 2)


def test_rows_of_a_task_are_labelled_training_rows() -> None:
    data = table(["a", "a", "b", "b", "c"], ["x", "y", "x", "y", "y"])
    hidden = data.hide(np.array([1]))
    with_test = replace(hidden, part=np.array([0, 0, 0, 2, 0], np.uint8))
    assert [rows.tolist() for rows in Tasks.of(with_test).rows] == [[0], [2], [3]]  # positions among training rows


def test_a_task_that_was_not_learned_is_named() -> None:
    tasks = Tasks.of(table(["a", "b"], ["x", "y"]))
    other = table(["a", "z", "z"], ["x", "y", "y"])
    with pytest.raises(DataError, match="2 of 3 rows of .* of a task that was not learned, the first of 'z'"):
        tasks.numbers(other)
    with pytest.raises(DataError, match="Each row's task must be known, and wine has no column 't'"):
        tasks.numbers(mw.read("wine"))


def test_what_is_needed_of_tasks_is_said() -> None:
    wine = mw.read("wine")
    assert "Name it: task=" in str(lacking((Task,), wine))
    assert "data.with_tasks(5)" in str(lacking((Task,), wine))
    assert "it needs two tasks or more, and all labelled training rows are of 1" in str(
        lacking((Task,), wine.with_tasks(1))
    )
    gone = np.array(wine.with_tasks(3).take("task"), object)
    gone[:7] = None
    column = Column("task", "category", gone)
    lost = replace(wine.with_tasks(3), columns={**wine.columns, "task": column})
    assert "7 of 178 labelled training rows of wine have no task in the column 'task'" in str(lacking((Task,), lost))
    assert lacking((Task,), wine.with_tasks(3)) is None
