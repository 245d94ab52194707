"""The accuracy matrix: its metrics by hand, what it keeps, and what it refuses."""

import pytest

import manyways as mw
from manyways.errors import DataError
from manyways.methods.supervised.supervised import Supervised
from manyways.training.accuracy_matrix import AccuracyMatrix
from manyways.training.run import Run


def matrix_of(rows: list[list[float]]) -> AccuracyMatrix:
    matrix = AccuracyMatrix(mw.read("wine").with_test(0.3).with_tasks(3))
    matrix.restore({f"task {at}": row for at, row in enumerate(rows, 1)})
    return matrix


@pytest.mark.quick
def test_metrics_by_hand() -> None:
    matrix = matrix_of([[0.9, 0.1, 0.2], [0.6, 0.8, 0.3], [0.5, 0.7, 0.95]])
    assert matrix.average_accuracy == pytest.approx((0.5 + 0.7 + 0.95) / 3)
    # From the best before the end: 0.9 → 0.5 and 0.8 → 0.7.
    assert matrix.forgetting == pytest.approx((0.4 + 0.1) / 2)
    assert matrix.backward_transfer == pytest.approx((0.5 - 0.9 + 0.7 - 0.8) / 2)


@pytest.mark.quick
def test_a_task_may_be_known_best_before_it_was_learned() -> None:
    matrix = matrix_of([[0.9, 0.85, 0.2], [0.6, 0.8, 0.3], [0.5, 0.7, 0.95]])
    assert matrix.forgetting == pytest.approx((0.4 + 0.15) / 2)


@pytest.mark.quick
def test_before_all_tasks_were_learned_nothing_is_known_of_forgetting() -> None:
    matrix = matrix_of([[0.9, 0.1, 0.2], [0.6, 0.8, 0.3]])
    assert not matrix.complete
    assert matrix.average_accuracy == pytest.approx((0.6 + 0.8 + 0.3) / 3)
    with pytest.raises(DataError, match="Of 3 tasks 2 were learned and tested"):
        _ = matrix.forgetting


@pytest.mark.quick
def test_what_was_noted_is_found_again() -> None:
    matrix = matrix_of([[0.9, 0.1, 0.2]])
    other = matrix_of([])
    other.restore(matrix.to_json())
    assert other.rows == {"task 1": (0.9, 0.1, 0.2)}


def test_methods_that_have_no_tasks_leave_it_empty() -> None:
    data = mw.read("wine").with_test(0.3).with_tasks(3)
    matrix = AccuracyMatrix(data)
    model = Supervised().fit(data, budget=30, run=Run(listeners=[matrix], evaluations=3))
    assert matrix.rows == {}
    assert len(matrix.accuracies(model)) == 3


@pytest.mark.quick
def test_without_test_rows_there_is_nothing_to_score() -> None:
    with pytest.raises(DataError, match=r"no test rows with a label to score tasks by: data\.with_test"):
        AccuracyMatrix(mw.read("wine").with_tasks(3))
