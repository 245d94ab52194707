"""The naive forecast repeats the last value, and stands in every comparison of forecasts."""

import numpy as np
import pytest

import manyways as mw
from manyways.comparison.tasks import task_of
from manyways.data.data import Data
from manyways.errors import NeedsError

pytestmark = pytest.mark.quick


def walk(horizon: int = 3, season: int = 5) -> Data:
    rng = np.random.default_rng(0)
    table = {"step": np.arange(120), "price": 50 + rng.normal(size=120).cumsum()}
    return mw.read(table, time="step", label="price", horizon=horizon, history=10, season=season)


def test_it_is_the_last_value_again() -> None:
    split = walk().with_last_as_test(0.3)
    model = mw.NaiveForecast().fit(split)
    last = split.test.take("history")[:, 0, -1]
    assert model.predict(split.test).tolist() == [[value] * 3 for value in last]
    truth = split.test.take("price")
    naive = np.abs(np.diff(split.training.take("history")[0, 0]))
    assert naive.shape == (9,)
    assert model.evaluate(split)["standardised_mean_absolute_error"] > 0
    error = np.abs(truth - last[:, None]).mean()
    target = model.target
    assert model.evaluate(split.test)["mase"] == pytest.approx(error / target.naive_errors[0])


def test_it_refuses_what_is_no_series() -> None:
    with pytest.raises(NeedsError, match="a series in time to forecast"):
        mw.NaiveForecast().fit(mw.read("wine"))


def test_it_stands_in_every_comparison_of_forecasts() -> None:
    assert set(task_of(walk()).references(walk())) == {"naive-forecast", "seasonal-naive"}
