"""Estimators forecast relative to the last value; a saved model reads a table as it learned from one."""

from pathlib import Path

import numpy as np
import pytest

import manyways as mw
from manyways.data.data import Data
from manyways.errors import DataError
from manyways.methods.method import Method

HOURS = 24 * 20


def loads(level: float = 0.0) -> dict[str, object]:
    """A daily cycle on a rising line, with a little noise."""
    rng = np.random.default_rng(0)
    place = np.arange(HOURS)
    return {
        "when": [str(np.datetime64("2024-01-01T00") + each) for each in place],
        "load": level + 0.05 * place + np.sin(2 * np.pi * place / 24) + 0.05 * rng.normal(size=HOURS),
        "heat": rng.normal(size=HOURS),
    }


def read(table: dict[str, object]) -> Data:
    return mw.read(table, time="when", label="load", horizon=6, history=48)


@pytest.mark.parametrize(
    "method",
    [mw.Linear(), mw.GradientBoosting(max_iter=40), mw.RandomForest(trees=20), mw.SVM()],
    ids=lambda method: method.method_name(),
)
def test_estimators_forecast_better_than_the_seasonal_naive_line(method: Method, tmp_path: Path) -> None:
    split = read(loads()).with_last_as_test(0.25)
    model, naive = method.fit(split), mw.SeasonalNaive().fit(split)
    assert model.evaluate(split.test)["mase"] < 0.9 * naive.evaluate(split.test)["mase"]
    model.save(tmp_path / "model")
    again = mw.load(tmp_path / "model")
    assert again.predict(split.test).tolist() == model.predict(split.test).tolist()
    # Of a table as it is the last forecast is that of the time after its end.
    forecasts = again.predict(loads())
    assert len(forecasts) == HOURS - 48 - 6 + 1 + 1
    truth = 0.05 * (HOURS + np.arange(6)) + np.sin(2 * np.pi * (HOURS + np.arange(6)) / 24)
    assert np.abs(np.array(forecasts[-1]) - truth).max() < 0.7
    assert again.evaluate(loads())["mase"] < 1


@pytest.mark.quick
def test_a_series_on_another_level_is_forecast_alike() -> None:
    model = mw.Linear().fit(read(loads()))
    here, there = (model.predict(read(loads(level))) for level in (0.0, 1000.0))
    assert np.allclose(np.array(here.tolist()) + 1000, np.array(there.tolist()), atol=1e-6)


@pytest.mark.quick
def test_a_linear_forecast_is_least_squares_on_lags_less_the_last() -> None:
    """As NLinear has it: what is learned is the difference from the last value."""
    rng = np.random.default_rng(3)
    table = {"step": np.arange(400), "y": rng.normal(size=400).cumsum()}
    data = mw.read(table, time="step", label="y", horizon=2, history=4, season=1)
    model = mw.Linear(alpha=1e-6).fit(data)
    windows, labels = data.take("history")[:, 0], data.take("y")
    design = np.hstack([windows[:, :-1] - windows[:, -1:], windows.std(axis=1, keepdims=True)])
    solved = np.linalg.lstsq(design, labels - windows[:, -1:], rcond=None)[0]
    assert np.allclose(np.array(model.predict(data).tolist()), windows[:, -1:] + design @ solved, atol=1e-5)


@pytest.mark.quick
def test_another_history_is_refused() -> None:
    model = mw.Linear().fit(read(loads()))
    other = mw.read(loads(), time="when", label="load", horizon=6, history=30)
    with pytest.raises(DataError, match="learned"):
        model.predict(other)
    with pytest.raises(DataError, match="'load'"):
        model.predict({key: values for key, values in loads().items() if key != "load"})
