"""SelfTraining: guesses above the threshold become labels, all others stay hidden."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

import numpy as np
import pytest
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.errors import NeedsError
from manyways.methods.method import Learned
from manyways.methods.self_supervised.simclr import SimCLR
from manyways.methods.semi_supervised.fixmatch import FixMatch
from manyways.methods.semi_supervised.self_training import SelfTraining
from manyways.methods.transfer.linear_probe import LinearProbe
from manyways.methods.unsupervised.kmeans import KMeans
from manyways.models.predictor import Predictor
from manyways.training.run import Run


@dataclass(frozen=True, kw_only=True)
class Watched(LinearProbe):
    """A linear probe that keeps the data of every round."""

    seen: ClassVar[list[Data]] = []
    penalty: float | None = 1.0

    def learn(self, data: Data, *rest: Any) -> Learned:
        self.seen.append(data)
        return super().learn(data, *rest)


@pytest.fixture(autouse=True)
def forget() -> None:
    Watched.seen.clear()


@pytest.mark.parametrize("threshold", [0.5, 0.9])
def test_labels_are_added_only_above_the_threshold(threshold: float, digits: Data) -> None:
    few = digits.with_labels(40, draw="stratified")
    SelfTraining(base=Watched(), threshold=threshold, rounds=2).fit(few)
    first, second = (data.training for data in Watched.seen)
    assert np.array_equal(first.labelled, few.training.labelled)
    teacher = LinearProbe(penalty=1.0).fit(few)
    probabilities = teacher.probabilities(few.training)
    sure = (probabilities.max(1) >= threshold) | first.labelled
    assert np.array_equal(second.labelled, sure)
    added = second.labelled & ~first.labelled
    assert 0 < added.sum() < (~first.labelled).sum()
    assert np.array_equal(second.take("label")[added], probabilities.argmax(1)[added])
    assert np.array_equal(second.take("label")[first.labelled], few.training.take("label")[first.labelled])


def test_each_round_labels_every_row_afresh(digits: Data) -> None:
    few = digits.with_labels(40, draw="stratified")
    SelfTraining(base=Watched(), threshold=0.8, rounds=3).fit(few)
    second, third = (data.training for data in Watched.seen[1:])
    changed = (second.take("label") != third.take("label")) & second.labelled & third.labelled
    dropped = second.labelled & ~third.labelled
    assert changed.any() or dropped.any() or (third.labelled.sum() > second.labelled.sum())
    assert third.labelled[few.training.labelled].all()


def test_its_own_guesses_make_it_better(digits: Data) -> None:
    """Over six draws of 40 labels; any one of them may be unlucky, most are not."""
    base = LinearProbe(penalty=0.1)
    gains = []
    for seed in range(6):
        few = digits.with_labels(40, seed, draw="stratified")
        alone = base.fit(few).evaluate(digits.test)["accuracy"]
        trained = SelfTraining(base=base, threshold=0.9, rounds=5).fit(few).evaluate(digits.test)["accuracy"]
        gains.append(trained - alone)
    assert np.mean(gains) > 0.04
    assert sum(gain > 0 for gain in gains) >= 5


@pytest.mark.parametrize("hand_on", [False, True])
def test_a_chain_hands_on_its_guesses_where_it_is_asked_to(hand_on: bool, digits: Data, tmp_path: Path) -> None:
    few = digits.with_labels(40, draw="stratified")
    chain = SelfTraining(base=Watched(), threshold=0.8, rounds=1, hand_on=hand_on) >> Watched()
    chain.fit(few, run=Run(tmp_path))
    first, second = (data.training for data in Watched.seen)
    sure = LinearProbe(penalty=1.0).fit(few).probabilities(few.training).max(1) >= 0.8
    assert second.truly_labelled.sum() == first.labelled.sum() == 40
    assert np.array_equal(second.labelled, first.labelled | (sure & hand_on))
    shutil.rmtree(tmp_path / "2-test-self-training")
    chain.fit(few, run=Run(tmp_path))
    assert len(Watched.seen) == 3, "the first stage is done"
    assert np.array_equal(Watched.seen[2].training.labelled, second.labelled), "its guesses are remembered"


def test_no_guess_above_the_threshold_changes_nothing(digits: Data) -> None:
    few = digits.with_labels(40, draw="stratified")
    once = LinearProbe(penalty=1e4).fit(few)
    assert once.probabilities(few.training).max() < 0.999
    model = SelfTraining(base=LinearProbe(penalty=1e4), threshold=0.999, rounds=3).fit(few)
    assert np.array_equal(model.outputs(digits.test), once.outputs(digits.test))


def test_a_base_that_needs_unlabelled_rows_stops_when_none_are_left(digits: Data) -> None:
    few = digits.select(np.arange(200)).with_labels(40, draw="stratified")
    model = SelfTraining(base=FixMatch(batch_size=8, unlabelled_ratio=1), threshold=0.0).fit(few, budget=9)
    assert len(model.lineage.parents) == 1
    assert model.lineage.steps == 3


def test_lineage_holds_every_round(digits: Data) -> None:
    few = digits.with_labels(40, draw="stratified")
    with patch.object(LinearProbe, "method_name", return_value="linear-probe"):
        model = SelfTraining(base=LinearProbe(penalty=1.0), rounds=3).fit(few)
    assert [parent.title for parent in model.lineage.parents] == ["linear-probe(penalty=1.0)"] * 3
    assert len(model.lineage.rows) == len(few.training)


@pytest.mark.quick
@pytest.mark.parametrize("base", [SimCLR(), KMeans()])
def test_a_base_without_labels_is_refused(base: Any) -> None:
    with pytest.raises(NeedsError, match=r"SelfTraining\.base must be a method that learns to classify"):
        SelfTraining(base=base)


def test_guesses_of_an_earlier_round_do_not_stay(digits: Data) -> None:
    """The first model is sure of the first 100 rows, the second of the next 100: only those are guesses at the end."""
    few = digits.with_labels(40, draw="stratified")
    hidden = np.flatnonzero(~few.training.labelled)
    sure_of: list[NDArray[np.int64]] = [np.arange(100), np.arange(100, 200)]

    def probabilities(_: Predictor, rows: Data) -> NDArray[np.float32]:
        said = np.full((len(rows), 10), 0.1, np.float32)
        said[sure_of.pop(0)] = np.eye(10)[7]
        return said

    with patch.object(Predictor, "probabilities", probabilities):
        SelfTraining(base=Watched(), threshold=0.9, rounds=3).fit(few)
    given = set(np.flatnonzero(few.training.labelled))
    for data, guessed in zip(Watched.seen[1:], (hidden[:100], hidden[100:200]), strict=True):
        assert set(np.flatnonzero(data.training.labelled)) == given | set(guessed)
        assert (data.training.take("label")[guessed] == 7).all()
