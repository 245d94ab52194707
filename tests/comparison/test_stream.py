"""Comparisons of streams: lines for reference, and prequential scores of the last part."""

import numpy as np
import pytest

import manyways as mw
from manyways.comparison.tasks import task_of
from manyways.comparison.tasks.stream import Stream
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import ParameterError
from manyways.methods.online.no_change import NoChange


def runs(count: int = 600, timed: bool = True) -> Data:
    """Labels in runs of thirty, of which the inputs say little."""
    rng = np.random.default_rng(0)
    labels = (np.arange(count) // 30 % 2).astype(int)
    inputs = rng.normal(size=count) + 0.3 * labels
    columns = [Column("x", "number", inputs), Column("label", "category", labels)]
    columns += [Column("when", "number", np.arange(count))] * timed
    return Data.from_columns(columns, {"input": ["x"], "label": ["label"], "time": ["when"] if timed else []})


def test_no_change_is_a_line_for_reference_where_rows_have_a_time() -> None:
    assert list(task_of(runs()).references(runs())) == ["majority", "no-change"]
    assert list(task_of(runs(timed=False)).references(runs(timed=False))) == ["majority"]


def test_prequential_scores_are_of_the_last_part() -> None:
    data = runs().with_last_as_test(0.25)
    task = task_of(data, "prequential_accuracy")
    assert isinstance(task, Stream)
    labels = data.take("label")
    model = NoChange().fit(data)
    score = task.score(model, data, None)["prequential_accuracy"]
    assert score == (labels[450:] == labels[449:-1]).mean()
    assert task.score(mw.Supervised().fit(data, budget=2), data, None) == {}
    with pytest.raises(ParameterError, match="metric must be one of"):
        task_of(runs(timed=False), "prequential_accuracy")


def test_streams_are_compared_by_what_is_said_of_rows_before_they_are_learned(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MANYWAYS_HOME", str(tmp_path))
    methods = ["online-sgd", "hoeffding-tree", "sliding-window-neighbours"]
    comparison = mw.compare(
        runs(), methods=methods, metric="prequential_accuracy", seeds=1, budget="480 examples", workers=0
    )
    scores = {entry.name: entry.score for entry in comparison.entries}
    assert scores.keys() == {*methods, "no-change", "running-majority"}
    assert scores["no-change"] == pytest.approx(1 - 4 / 120)
    assert {entry.name for entry in comparison.entries if entry.reference} == {"no-change", "running-majority"}
    assert all(score is not None and 0.3 < score < scores["no-change"] for score in map(scores.get, methods))
