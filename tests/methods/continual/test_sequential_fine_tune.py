"""SequentialFineTune: tasks in their order for equal shares, and that it forgets."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

import manyways as mw
from manyways.data.data import Data
from manyways.errors import DataError, NeedsError, TrainingError
from manyways.methods.bases.tasks_in_order import ContinualLearner, among
from manyways.methods.continual.sequential_fine_tune import SequentialFineTune
from manyways.models.predictor import Predictor
from manyways.models.saving import load_model
from manyways.models.task_predictor import TaskPredictor
from manyways.randomness import generator
from manyways.training.accuracy_matrix import AccuracyMatrix
from manyways.training.events import Event
from manyways.training.run import Run


@pytest.fixture(scope="module")
def split() -> Data:
    """Digits in five tasks of two digits."""
    return mw.read("digits").with_test(0.25).with_tasks(5)


def begun(
    data: Data, steps: int, method: SequentialFineTune | None = None
) -> tuple[SequentialFineTune, ContinualLearner]:
    method = method or SequentialFineTune()
    learner = method.begin(data, None, 0)
    learner.steps = steps
    return method, learner


@pytest.mark.quick
def test_every_task_has_an_equal_share_of_the_steps(split: Data) -> None:
    _, learner = begun(split, 103)
    counted = np.bincount([learner.task_at(step) for step in range(103)])
    assert counted.tolist() == [20, 21, 20, 21, 21]
    assert learner.ends() == [20, 41, 61, 82, 103]
    assert [learner.since(step) for step in (0, 19, 20, 40, 41)] == [0, 19, 0, 20, 0]


@pytest.mark.quick
def test_a_step_draws_rows_of_its_own_task_alone(split: Data) -> None:
    method, learner = begun(split, 50)
    for step in range(50):
        labels = method.draw(learner, step, generator(0, step))["labels"]
        assert set(labels.tolist()) <= {2 * (step // 10), 2 * (step // 10) + 1}, step
    first = {int(label) for step in range(10) for label in method.draw(learner, step, generator(0, step))["labels"]}
    assert first == {0, 1}


@pytest.mark.quick
def test_the_class_is_asked_among_those_seen_or_those_of_the_task(split: Data) -> None:
    for scenario, allowed in (("class", [4, 4, 6]), ("task", [2, 2, 2])):
        method, learner = begun(split, 50, SequentialFineTune(scenario=scenario))
        counts = [int(method.draw(learner, step, generator(0, step))["allowed"][0].sum()) for step in (10, 19, 20)]
        assert counts == allowed, scenario


@pytest.mark.quick
def test_the_loss_is_the_cross_entropy_among_allowed_classes() -> None:
    outputs, labels = torch.tensor([[1.0, 2.0, 3.0], [0.0, 5.0, 1.0]]), torch.tensor([1, 2])
    allowed = torch.tensor([[True, True, False], [True, False, True]])
    by_hand = (np.log(np.exp(1) + np.exp(2)) - 2 + np.log(np.exp(0) + np.exp(1)) - 1) / 2
    assert float(cross_entropy(among(outputs, allowed), labels)) == pytest.approx(by_hand, rel=1e-6)


def test_it_forgets(split: Data) -> None:
    """The field's starting point: of five tasks in turn only the last is known, though each was known once."""
    matrix = AccuracyMatrix(split)
    model = SequentialFineTune().fit(split, budget=150, run=Run(listeners=[matrix]))
    rows = np.array(list(matrix.rows.values()), float)
    assert np.diag(rows).min() > 0.9
    assert rows[-1, :4].max() < 0.2
    assert matrix.average_accuracy < 0.3
    assert matrix.forgetting > 0.8
    assert matrix.backward_transfer < -0.8
    assert model.lineage.facts["tasks"] == [1, 2, 3, 4, 5]


def test_what_was_not_seen_yet_is_never_said(split: Data) -> None:
    """While the second task is learned the model knows the classes of two."""
    said: dict[str, set[int]] = {}

    def look(event: Event) -> None:
        if event.kind == "milestone" and event.model is not None:
            said[event.note] = set(np.unique(event.model().predict(split.test)).tolist())

    SequentialFineTune().fit(split, budget=50, run=Run(listeners=[look]))
    assert list(said) == ["task 1", "task 2", "task 3", "task 4", "task 5"]
    for at, classes in enumerate(said.values()):
        assert classes <= set(range(2 * at + 2)), said


def test_told_the_task_it_chooses_among_its_classes(split: Data, tmp_path: Path) -> None:
    model = SequentialFineTune(scenario="task").fit(split, budget=100)
    assert isinstance(model, TaskPredictor)
    task = split.test.take("task")
    assert (model.predict(split.test) // 2 + 1 == task).all()
    shares = model.probabilities(split.test)
    assert shares[np.arange(len(task)), 2 * task - 2] + shares[np.arange(len(task)), 2 * task - 1] == pytest.approx(1)
    assert model.evaluate(split.test)["accuracy"] > 0.9
    loaded = load_model(model.save(tmp_path / "model"))
    assert np.array_equal(loaded.probabilities(split.test), shares)
    assert loaded.roles_read == {"task": "task"}
    plain = SequentialFineTune().fit(split, budget=100)
    assert type(plain) is Predictor


def test_rows_whose_task_is_not_known_cannot_be_asked(split: Data) -> None:
    model = SequentialFineTune(scenario="task").fit(split, budget=10)
    with pytest.raises(DataError, match="Each row's task must be known, and digits has no column 'task'"):
        model.predict(mw.read("digits"))


def test_a_budget_of_fewer_steps_than_tasks_is_refused(split: Data) -> None:
    with pytest.raises(TrainingError, match="^5 tasks are learned one after the other, and the budget allows 4 steps"):
        SequentialFineTune().fit(split, budget=4)
    assert SequentialFineTune().fit(split, budget=5).lineage.facts["tasks"] == [1, 2, 3, 4, 5]


def test_a_task_with_one_class(split: Data) -> None:
    """Nothing is left to ask where the task is told; among all classes it is a class like others."""
    wine = mw.read("wine").with_tasks(3)
    with pytest.raises(NeedsError, match=r"all labelled rows of 1 are 'class_0': told the task, there is nothing left"):
        SequentialFineTune(scenario="task").fit(wine, budget=9)
    assert SequentialFineTune().fit(wine, budget=9).lineage.facts["tasks"] == [1, 2, 3]


def test_a_task_of_one_row_and_a_task_without_test_rows() -> None:
    """A task that was seen once, and never returns, is learned and is no reason to fail; it has an empty column."""
    columns = {
        "x": [0.1, 0.2, 0.9, 0.8, 5.0, 0.15, 0.85],
        "label": ["a", "a", "b", "b", "c", "a", "b"],
        "task": ["first", "first", "second", "second", "once", "first", "second"],
        "part": ["train"] * 5 + ["test"] * 2,
    }
    data = mw.read(columns, task="task", part="part")
    matrix = AccuracyMatrix(data)
    model = SequentialFineTune(batch_size=2).fit(data, budget=30, run=Run(listeners=[matrix]))
    assert model.lineage.facts["tasks"] == ["first", "second", "once"]
    assert [row[2] for row in matrix.rows.values()] == [None, None, None]
    assert 0 <= matrix.average_accuracy <= 1
    assert len(model.lineage.rows) == 5


@pytest.mark.quick
def test_a_task_that_only_test_rows_have_is_named(split: Data) -> None:
    few = split.select(~((split.take("task") == 3) & (split.part[split.rows] == 0)))
    with pytest.raises(DataError, match="rows of digits are of a task that was not learned, the first of 3"):
        AccuracyMatrix(few)


@pytest.mark.quick
def test_a_task_whose_steps_were_not_taken_shaped_nothing(split: Data) -> None:
    """A run that the clock ends early names the rows of those tasks alone that it came to."""
    method, learner = begun(split, 50)
    learner.begun.fill_(2)
    reached = method.rows_reached(learner, 20)
    assert set(split.take("task")[reached].tolist()) == {1, 2}


def test_validation_rows_do_not_end_it(split: Data) -> None:
    """Over all tasks the score of one in the middle hardly rises: that is no reason to stop."""
    data = split.with_validation(0.2)
    assert SequentialFineTune(patience=1).fit(data, budget=60).lineage.steps == 60


@pytest.mark.quick
def test_the_rate_is_the_same_for_every_task() -> None:
    assert {SequentialFineTune().schedule(step, 100) for step in range(100)} == {1.0}
    assert SequentialFineTune(warmup=0.1).schedule(0, 100) == pytest.approx(0.1)
