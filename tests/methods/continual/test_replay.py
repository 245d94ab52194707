"""Replay: which rows are kept, that they are learned again, and that less is forgotten."""

import numpy as np
import pytest
import torch

import manyways as mw
from manyways.data.columns import id_text
from manyways.data.data import Data
from manyways.methods.bases.rehearsal import balanced, reservoir
from manyways.methods.bases.tasks_in_order import ContinualLearner
from manyways.methods.continual.replay import Replay
from manyways.methods.continual.sequential_fine_tune import SequentialFineTune
from manyways.randomness import generator
from manyways.training.accuracy_matrix import AccuracyMatrix
from manyways.training.run import Run

EMPTY = -1


@pytest.fixture(scope="module")
def split() -> Data:
    """Digits in five tasks of two digits."""
    return mw.read("digits").with_test(0.25).with_tasks(5)


@pytest.mark.quick
def test_a_reservoir_keeps_every_row_with_the_same_probability() -> None:
    """Over many runs each of 100 rows, in two batches, is among the 10 kept in a tenth of them."""
    counts = np.zeros(100)
    for seed in range(2000):
        rng = np.random.default_rng(seed)
        memory = reservoir(np.full(10, EMPTY), 0, np.arange(60), rng)
        memory = reservoir(memory, 60, np.arange(60, 100), rng)
        assert len(np.unique(memory)) == 10
        counts[memory] += 1
    # Binomial: 200 expected, with a deviation of 13.4.
    assert counts.min() > 200 - 5 * 13.4
    assert counts.max() < 200 + 5 * 13.4
    assert abs(counts[:60].mean() - counts[60:].mean()) < 5


@pytest.mark.quick
def test_a_reservoir_that_is_not_full_keeps_everything() -> None:
    memory = reservoir(np.full(5, EMPTY), 0, np.array([7, 9]), np.random.default_rng(0))
    assert memory.tolist() == [7, 9, EMPTY, EMPTY, EMPTY]
    assert sorted(reservoir(memory, 2, np.array([11, 12, 13]), np.random.default_rng(0)).tolist()) == [7, 9, 11, 12, 13]


@pytest.mark.quick
def test_a_balanced_memory_has_as_many_of_each_class_as_fit() -> None:
    labels = np.repeat([0, 1, 2, 3], 50)
    rng = np.random.default_rng(0)
    memory = balanced(np.full(20, EMPTY), np.arange(100), labels, rng)
    assert np.bincount(labels[memory]).tolist() == [10, 10]
    later = balanced(memory, np.arange(100, 200), labels, rng)
    assert np.bincount(labels[later]).tolist() == [5, 5, 5, 5]
    assert set(later[labels[later] < 2].tolist()) <= set(memory.tolist()), "rows that were let go do not come back"


@pytest.mark.quick
def test_rare_classes_leave_their_places_to_others() -> None:
    labels = np.array([0] * 50 + [1] * 2)
    memory = balanced(np.full(10, EMPTY), np.arange(52), labels, np.random.default_rng(0))
    assert np.bincount(labels[memory]).tolist() == [8, 2]


def begun(data: Data, method: Replay) -> ContinualLearner:
    learner = method.begin(data, None, 0)
    learner.steps = 50
    for step in range(10):
        method.after(learner, step)
    return learner


@pytest.mark.quick
def test_a_share_of_every_later_batch_is_of_the_memory(split: Data) -> None:
    method = Replay(memory=40, batch_size=20, memory_share=0.25)
    learner = begun(split, method)
    kept = learner.get_buffer("memory")
    assert (kept >= 0).all()
    for step in (10, 13):
        batch = method.draw(learner, step, generator(0, step))
        counts = np.bincount(batch["labels"].numpy(), minlength=10)
        assert (counts[:2].sum(), counts[2:4].sum(), counts[4:].sum()) == (5, 15, 0)
    fresh = method.begin(split, None, 0)
    fresh.steps = 50
    before = method.draw(fresh, 0, generator(0, 0))
    assert set(before["labels"].tolist()) == {0, 1}
    assert len(before["labels"]) == 20


@pytest.mark.quick
def test_a_batch_of_one_row_is_of_the_task(split: Data) -> None:
    method = Replay(memory=10, batch_size=1)
    labels = method.draw(begun(split, method), 10, generator(0, 10))["labels"]
    assert labels.tolist()[0] in (2, 3)


@pytest.mark.parametrize("selection", ["balanced", "reservoir"])
def test_less_is_forgotten(split: Data, selection: str) -> None:
    plain, with_memory = AccuracyMatrix(split), AccuracyMatrix(split)
    SequentialFineTune().fit(split, budget=100, run=Run(listeners=[plain]))
    Replay(memory=60, selection=selection).fit(split, budget=100, run=Run(listeners=[with_memory]))
    assert with_memory.average_accuracy > plain.average_accuracy + 0.4
    assert with_memory.forgetting < plain.forgetting - 0.4


def test_the_lineage_names_the_rows_that_are_kept(split: Data) -> None:
    model = Replay(memory=30).fit(split, budget=25)
    kept = model.lineage.facts["memory"]
    assert len(set(kept)) == 30
    training = split.training
    of_row = {id_text(row): int(label) for row, label in zip(training.ids, training.take("label"), strict=True)}
    assert np.bincount([of_row[each] for each in kept]).tolist() == [3] * 10
    assert model.lineage.facts["tasks"] == [1, 2, 3, 4, 5]


def test_another_seed_keeps_other_rows(split: Data) -> None:
    kept = [Replay(memory=30).fit(split, budget=10, seed=seed).lineage.facts["memory"] for seed in (0, 0, 1)]
    assert kept[0] == kept[1] != kept[2]


@pytest.mark.quick
def test_the_memory_is_part_of_what_survives_a_restart(split: Data) -> None:
    learner = begun(split, Replay(memory=12))
    assert torch.equal(learner.state_dict()["memory"], learner.get_buffer("memory"))
