"""Follower: what it takes for itself, and how slow the machine was."""

from dataclasses import replace
from pathlib import Path

import pytest

import manyways as mw
from manyways.comparison.follower import Follower
from manyways.comparison.tasks import task_of
from manyways.models.model import Model
from manyways.training.budget import Budget
from manyways.training.events import Event


@pytest.fixture(scope="module")
def model() -> Model:
    return mw.Majority().fit("wine")


def followed(tmp_path: Path) -> Follower:
    data = mw.read("wine").with_test(0.2)
    return Follower(task_of(data), data, "accuracy", tmp_path / "run" / "notes.json", lambda _: None)


@pytest.mark.parametrize(
    ("unit", "ended", "slowdown"),
    [
        ("seconds", {"": (50, 10.0)}, 2.0),  # 100 steps were planned for 10 seconds
        ("seconds", {"1-simclr": (20, 8.0), "2-fine-tune": (20, 8.0)}, 4.0),
        ("seconds", {"": (100, 5.0)}, 1.0),  # quicker is no slowdown
        ("seconds", {"": (1, 0.9)}, 1.0),  # too short to tell
        ("seconds", {}, 1.0),
        ("steps", {"": (50, 10.0)}, 1.0),
    ],
)
def test_slowdown_is_of_the_steps_that_were_planned(
    unit: str, ended: dict[str, tuple[int, float]], slowdown: float, model: Model, tmp_path: Path
) -> None:
    follower = followed(tmp_path)
    for stage, (step, seconds) in ended.items():
        follower(Event("end", stage, step, 100, seconds))
    planned = replace(
        model, lineage=replace(model.lineage, plan={name or "": [100 // len(ended), 0] for name in ended})
    )
    assert follower.slowdown(planned, Budget(10, unit)) == pytest.approx(slowdown)  # type: ignore[arg-type]


def test_scores_on_the_way_are_none_of_the_trainings_time(model: Model, tmp_path: Path) -> None:
    follower = followed(tmp_path)
    follower(Event("step", "", 1, 2, 0.1))
    before = follower.seconds
    follower(Event("evaluate", "", 1, 2, 0.1, model=lambda: model))
    assert follower.seconds > before
    assert len(follower.curve) == 1
