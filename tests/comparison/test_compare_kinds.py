"""Comparisons of what is no plain table of labels: environments, new classes, clients, streams."""

from pathlib import Path

import numpy as np
import pytest

import manyways as mw
from manyways.comparison.compare import compare
from manyways.comparison.comparison_plan import make_plan
from manyways.comparison.report import write_report
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.splitting import Splitting
from manyways.errors import NeedsError
from manyways.training.budget import Budget


def tried(data: Data) -> list[str]:
    """What a comparison tries where nothing is named."""
    return list(make_plan(data, None, None, Budget(1, "steps"), 1, None, Splitting(), 0).methods)


def test_methods_that_tell_new_classes_apart_are_scored_on_some(tmp_path: Path) -> None:
    small = [mw.ProtoNet(backbone="convnet", size=0.5, ways=5), "maml(backbone='convnet', size=0.5, batch_size=4)"]
    found = compare("digits", methods=small, budget="10 steps", seeds=1, test_share=0.4, workers=0)
    assert found.data.task == "few-shot"
    assert found.data.learned_from.endswith("rows of 6 classes, others than those of the test rows")
    assert found.label_curve == ()
    for entry in found.entries:
        assert entry.error is None
        assert 0.25 < entry.score <= 1
        assert "accuracy_interval" in entry.metrics
    page = write_report(found, tmp_path / "report.html").read_text()
    assert "6 classes, others than those of the test rows" in page
    assert "Mean accuracy over 600 episodes of classes of the test rows" in page


def test_what_acts_is_scored_over_episodes(tmp_path: Path) -> None:
    """An environment has no rows and no columns, and the page shows none."""
    found = compare("CartPole-v1", methods=["ppo"], budget="10 steps", seeds=2, workers=0)
    assert (found.data.task, found.data.scored_on) == ("acting", "20 episodes")
    page = write_report(found, tmp_path / "report.html").read_text()
    assert "Mean reward over 20 episodes; the line is its 95% interval" in page
    assert "test rows" not in page
    assert "<dt>Rows</dt>" not in page
    assert "<dt>Columns</dt>" not in page


def test_data_with_new_classes_suggests_what_learns_to_tell_them_apart() -> None:
    data = mw.read("digits").with_test_classes(0.4)
    assert tried(data) == ["maml", "matching-net", "proto-net"]
    with pytest.raises(NeedsError, match=r"give adapt can be compared on digits \(few-shot\); supervised makes none"):
        compare(data, methods=["supervised"], workers=0)


def test_a_federation_stands_beside_what_sees_all_rows() -> None:
    from sklearn.datasets import load_digits

    data = mw.read(load_digits(return_X_y=True)).with_clients(20)
    assert "fed-avg" in tried(data)
    assert "supervised" in tried(data)
    assert "fed-avg" not in tried(mw.read("wine"))
    found = compare(data, methods=["fed-avg(local_steps=5)", "supervised"], budget="120 steps", seeds=1, workers=0)
    fed, plain = (next(e for e in found.entries if e.name.startswith(name)) for name in ("fed-avg", "supervised"))
    assert fed.needs == ("input", "label", "client")
    assert plain.score > 0.9
    assert fed.score > 0.7


def test_streams_are_scored_on_rows_that_came_later() -> None:
    """Of a rule that turns around at the end, all that was learned before is wrong."""
    rng = np.random.default_rng(0)
    inputs, when = rng.normal(size=(2000, 2)), rng.permutation(2000)
    labels = ((inputs[:, 0] > 0) ^ (when >= 1500)).astype(int)
    columns = [Column("x", "number", inputs), Column("y", "category", labels), Column("when", "number", when)]
    data = Data.from_columns(columns, {"input": ["x"], "label": ["y"], "time": ["when"]})
    assert {"online-sgd", "online-sgd(drift='adwin')"} <= set(tried(data))
    found = compare(data, methods=["online-sgd", "supervised"], budget="100 steps", seeds=1, test_share=0.25, workers=0)
    assert [entry.error for entry in found.ways] == [None, None]
    assert all(entry.score < 0.2 for entry in found.ways)
