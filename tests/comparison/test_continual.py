"""Comparisons of tasks in order, and what is noted on the way."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import manyways as mw
from manyways.comparison.conclusion import conclude
from manyways.comparison.follower import Follower
from manyways.comparison.job import Job, run_job
from manyways.comparison.report import render_report
from manyways.comparison.results import Comparison, Entry
from manyways.comparison.tasks import task_of
from manyways.comparison.tasks.continual import AT_ONCE, TITLE
from manyways.data.data import Data
from manyways.errors import ParameterError
from manyways.methods.continual.replay import Replay
from manyways.training.events import Event
from manyways.training.run import Run

METHODS = ("replay(size=0.5)", "sequential-fine-tune(size=0.5)", "supervised(size=0.5)")


@pytest.fixture(scope="module")
def split() -> Data:
    return mw.read("digits").select(np.arange(900)).with_test(0.5).with_tasks(5)


@pytest.fixture(scope="module")
def found(split: Data, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MANYWAYS_HOME", str(tmp_path_factory.mktemp("home")))
        return mw.compare(split, methods=METHODS, budget="60 steps", seeds=2, workers=0)


def test_tasks_in_order_are_compared_by_average_accuracy(found: Comparison) -> None:
    assert [entry.error for entry in found.ways] == [None] * 3
    assert (found.data.task, found.metric) == ("tasks in order", "average_accuracy")
    assert found.data.learned_from == "450 labelled rows in 5 tasks"
    replay, plain, supervised = found.ways
    assert {"average_accuracy", "forgetting", "backward_transfer", "accuracy"} <= set(replay.metrics)
    assert "forgetting" not in supervised.metrics
    assert replay.score is not None
    assert plain.score is not None
    assert replay.score > plain.score + 0.2
    assert replay.metrics["forgetting"] < plain.metrics["forgetting"]  # type: ignore[operator]


def test_every_entry_shows_its_matrix(found: Comparison) -> None:
    matrices = {entry.name: entry.exhibits[0].matrix for entry in found.entries}
    assert {entry.exhibits[0].title for entry in found.entries} == {TITLE}
    tasks = tuple(f"task {at}" for at in range(1, 6))
    for name in METHODS[:2]:
        matrix = matrices[name]
        assert matrix is not None
        assert (matrix.rows, matrix.columns) == (tasks, tasks)
        assert matrix.values[0][0] > 0.8  # type: ignore[operator]
        assert matrix.values[0][4] == 0.0
    alone = matrices[METHODS[2]]
    assert alone is not None
    assert alone.rows == (AT_ONCE,)


def test_the_matrix_ends_where_the_score_is(found: Comparison) -> None:
    replay = found.entries[0]
    matrix = replay.exhibits[0].matrix
    assert matrix is not None
    assert np.mean(np.array(matrix.values[-1], float)) == pytest.approx(replay.scores[0])


def test_what_sees_all_at_once_is_a_bound_and_no_advice(found: Comparison) -> None:
    replay, _, supervised = found.ways
    assert (replay.bound, supervised.bound) == ("", "all tasks at once")
    best = replace(supervised, score=0.999, scores=(0.999, 0.999), seconds=0.01)
    conclusion = conclude(replace(found, entries=(*found.entries[:2], best)))
    assert conclusion.recommended == METHODS[0]
    assert any("which learns all tasks at once, reaches 99.9%" in sentence for sentence in conclusion.sentences)
    page = render_report(found)
    assert "all tasks at once" in page
    assert "Forgetting" in page
    assert page.count('<table class="matrix">') == 4


def test_where_only_bounds_have_a_score_one_is_taken(
    make_entry: Callable[..., Entry], make_comparison: Callable[..., Comparison]
) -> None:
    alone = make_comparison(make_entry("supervised", [0.8, 0.9], bound="all tasks at once"))
    assert conclude(alone).recommended == "supervised"


def test_cautions_of_trainings_are_said(
    make_entry: Callable[..., Entry], make_comparison: Callable[..., Comparison]
) -> None:
    entries = make_entry("gan", [0.8, 0.9], caution="It diverged."), make_entry("vae", [0.5, 0.6])
    assert "gan: It diverged." in [
        each.lower().replace("it d", "It d") for each in conclude(make_comparison(*entries)).cautions
    ]


def test_few_test_rows_of_a_task_that_was_not_learned_are_named(split: Data) -> None:
    lost = split.select(~((split.take("task") == 3) & (split.part[split.rows] == 0)))
    found = mw.compare(lost, methods=["replay"], metric="average_accuracy", budget="8 steps", seeds=1, workers=0)
    assert found.entries[0].error is not None
    assert "of a task that was not learned, the first of 3" in found.entries[0].error


class _Killed(BaseException):
    pass


def test_what_was_noted_before_a_kill_is_found_again(split: Data, tmp_path: Path) -> None:
    """A training that is killed in its third task and goes on has the same matrix and the same curve."""

    def report(at: float) -> None:
        if at > 0.5 and armed:
            armed.clear()
            raise _Killed

    job = Job("replay(size=0.5)", None, 0, "50 steps", "average_accuracy", keep_model=True)
    armed: list[bool] = []
    whole = run_job(job, split, tmp_path / "whole", report)
    armed.append(True)
    quick = replace(Run(), checkpoint_seconds=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "manyways.comparison.job.Run", lambda *rest, **options: Run(*rest, **{**options, "checkpoint_seconds": 0})
        )
        with pytest.raises(_Killed):
            run_job(job, split, tmp_path / "killed", report)
    assert quick.checkpoint_seconds == 0
    again = run_job(job, split, tmp_path / "killed", report)
    assert again.error is None
    assert again.exhibits == whole.exhibits
    assert [(step, score) for step, _, score in again.curve] == [(step, score) for step, _, score in whole.curve]
    assert again.metrics == whole.metrics


def test_a_follower_adds_up_the_stages_of_a_chain(split: Data, tmp_path: Path) -> None:
    follower = Follower(task_of(split), split, "average_accuracy", tmp_path / "notes.json", lambda at: None)
    model = Replay(size=0.5).fit(split, budget=6)
    follower(Event("end", "1-simclr", 30, 30, 1.5))
    follower(Event("evaluate", "2-replay", 10, 20, 0.5, model=lambda: model))
    assert [(step, seconds) for step, seconds, _ in follower.curve] == [(40, 2.0)]
    other = Follower(task_of(split), split, "average_accuracy", tmp_path / "notes.json", lambda at: None)
    other(Event("evaluate", "2-replay", 10, 20, 0.5, model=lambda: pytest.fail("it is known")))
    other(Event("evaluate", "2-replay", 20, 20, 0.9, model=lambda: model))
    assert [(step, seconds) for step, seconds, _ in other.curve] == [(40, 2.0), (50, 2.4)]


def test_a_metric_of_tasks_needs_tasks() -> None:
    with pytest.raises(ParameterError, match="metric must be one of silhouette for clustering; got 'forgetting'"):
        mw.compare({"x": [0.5, 1.5, 2.5]}, metric="forgetting", budget="5 steps")
