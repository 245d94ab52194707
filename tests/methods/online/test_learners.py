"""All methods of streams: cut anywhere and gone on with, new classes and categories, one class, kinds of inputs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from manyways.data.data import Data
from manyways.methods.online._method import StreamMethod
from manyways.methods.online.adaptive_random_forest import AdaptiveRandomForest
from manyways.methods.online.hoeffding_tree import HoeffdingTree
from manyways.methods.online.no_change import NoChange
from manyways.methods.online.running_majority import RunningMajority
from manyways.methods.online.sliding_window_neighbours import SlidingWindowNeighbours
from manyways.models.model import Model
from manyways.models.stream import StreamPredictor
from manyways.training.run import Run

from .conftest import Arrays, Table, fit, rows, same, saved
from .test_going_on import growing

ALL = [
    HoeffdingTree(grace_period=50, delta=0.1, drift="adwin", window=300),
    AdaptiveRandomForest(trees=3, window=300),
    SlidingWindowNeighbours(remembered=150, drift="adwin", window=300),
    NoChange(window=300),
    RunningMajority(window=300),
]
NUMBERS = [SlidingWindowNeighbours(remembered=100, drift="adwin"), NoChange(), RunningMajority()]


@pytest.mark.parametrize("cut", [1, 1234])
@pytest.mark.parametrize("method", ALL, ids=str)
def test_saved_loaded_and_gone_on_is_one_pass(
    elec: Arrays, tmp_path: Path, method: StreamMethod, cut: int, table: Table
) -> None:
    data = table(elec[0][:2500], elec[1][:2500])
    whole = fit(method, data)
    half = saved(fit(method, rows(data, 0, cut)), tmp_path)
    gone_on = fit(method, rows(data, cut, 2500), half)
    assert same(whole, gone_on)
    assert gone_on.prequential == whole.prequential
    assert np.array_equal(gone_on.prequential_curve, whole.prequential_curve)
    assert np.array_equal(gone_on.drifts, whole.drifts)
    assert len(gone_on.lineage.stages()) == 1
    assert whole.prequential["accuracy"] > 0.5


@pytest.mark.parametrize("method", NUMBERS, ids=str)
def test_numbers_are_gone_on_with_too(sea: Arrays, tmp_path: Path, method: StreamMethod, table: Table) -> None:
    data = table(sea[0][:2000, 1:], sea[0][:2000, 0])
    half = saved(fit(method, rows(data, 0, 777)), tmp_path)
    whole = fit(method, data)
    assert same(whole, fit(method, rows(data, 777, 2000), half))
    assert 1 < whole.prequential["mean_absolute_error"] < 5


@pytest.mark.parametrize("method", ALL, ids=str)
def test_new_classes_and_categories_grow_the_model_exactly(tmp_path: Path, method: StreamMethod, table: Table) -> None:
    data = growing(table)
    model: Model | None = None
    for start in range(0, len(data), 100):
        piece = rows(data, start, start + 100)
        taken = {name: replace(column, values=column.take(piece.rows)) for name, column in piece.columns.items()}
        model = saved(fit(method, Data.from_columns(taken.values(), piece.roles), model), tmp_path)
    whole = fit(method, data)
    assert isinstance(model, StreamPredictor)
    assert same(whole, model)
    assert whole.target == model.target
    assert np.array_equal(whole.outputs(data), model.outputs(data))


@pytest.mark.parametrize("method", ALL, ids=str)
def test_a_killed_run_goes_on_to_the_same(elec: Arrays, tmp_path: Path, method: StreamMethod, table: Table) -> None:
    class Killed(Exception): ...

    data = table(elec[0][:1500], elec[1][:1500])

    def kill(event: object) -> None:
        if getattr(event, "kind", "") == "checkpoint" and getattr(event, "step", 0) > 700:
            raise Killed

    with pytest.raises(Killed):
        method.fit(data, run=Run(tmp_path / "run", (kill,), checkpoint_seconds=0))
    resumed = fit(method, data, run=Run(tmp_path / "run", checkpoint_seconds=0))
    assert same(resumed, fit(method, data))


@pytest.mark.parametrize("method", ALL, ids=str)
def test_one_class_and_inputs_that_are_true_or_false(elec: Arrays, method: StreamMethod, table: Table) -> None:
    flags = np.array(["yes", "no"], object)[np.arange(300) % 2]
    data = table((elec[0][:300] > 0.3).astype(float), np.zeros(300, int), flag=flags)
    model = fit(method, data)
    assert model.prequential["accuracy"] == 299 / 300
    assert (model.predict(data) == 0).all()


@pytest.mark.parametrize("method", [*ALL, *NUMBERS], ids=str)
def test_arguments_are_left_as_they_are(sea: Arrays, tmp_path: Path, method: StreamMethod, table: Table) -> None:
    numbers = method in NUMBERS
    data = table(sea[0][:300, 1:], sea[0][:300, 0] if numbers else sea[1][:300])
    model = fit(method, rows(data, 0, 200))
    before = saved(model, tmp_path)
    fit(method, rows(data, 200, 300), model)
    assert same(before, model)
