"""Forecasts are measured by their series' own units, as the definitions of the metrics say."""

import json

import numpy as np
import pytest
import torch

import manyways as mw
from manyways.data.data import Data
from manyways.data.targets import Target
from manyways.data.targets.forecast import ForecastOutputs, ForecastTarget, forecast_sums
from manyways.errors import DataError, ModelError

pytestmark = pytest.mark.quick

HORIZON, SEASON = 3, 4


def two_series() -> Data:
    """Of one series the second is a hundred times as large."""
    rng = np.random.default_rng(0)
    small = rng.normal(size=60).cumsum()
    table = {
        "day": [str(np.datetime64("2024-01-01") + each) for each in range(60)] * 2,
        "shop": ["small"] * 60 + ["large"] * 60,
        "sales": np.concatenate([small, 100 * small]),
    }
    return mw.read(table, time="day", label="sales", group="shop", horizon=HORIZON, history=8, season=SEASON)


def test_units_are_the_deviation_and_the_seasonal_naive_error_of_the_training_part() -> None:
    split = two_series().with_last_as_test(0.25)
    target = Target.fit(split)
    assert isinstance(target, ForecastTarget)
    assert target.series == ("large", "small")
    shop = split.training.take("shop") == "small"
    training = split.training.select(shop)
    last = len(training) + 8 + HORIZON - 1
    values = np.random.default_rng(0).normal(size=60).cumsum()[:last]
    assert target.deviations[1] == pytest.approx(values.std())
    errors = np.abs(values[8:] - values[8 - SEASON : -SEASON])[: len(training)]
    assert target.naive_errors[1] == pytest.approx(errors.mean())
    assert np.allclose(np.divide(target.deviations[0], target.deviations[1]), 100)
    codes = target.encode(split.test, hidden=True)
    assert codes.shape == (len(split.test), HORIZON + 2)
    assert set(codes[:, HORIZON]) == set(target.deviations)


def test_a_series_that_was_never_seen_is_measured_by_its_history() -> None:
    data = two_series()
    small = data.take("shop") == "small"
    target = Target.fit(data.select(small))
    assert isinstance(target, ForecastTarget)
    codes = target.encode(data.select(~small), hidden=True)
    history = data.select(~small).take("history")[:, 0]
    assert codes[0, HORIZON] == pytest.approx(history.std())
    assert codes[0, HORIZON + 1] == pytest.approx(np.abs(history[:, SEASON:] - history[:, :-SEASON]).mean())


def test_metrics_are_what_their_definitions_say() -> None:
    truth = np.array([[10.0, 20.0, 30.0, 4.0, 5.0]])
    point = np.array([[12.0, 18.0, 30.0]])
    target = ForecastTarget("y", HORIZON)
    scores = target.scores_of(forecast_sums(point, truth, target.quantiles))
    assert scores["mase"][0] == pytest.approx((2 + 2 + 0) / 3 / 5)
    assert scores["smape"][0] == pytest.approx(200 * (2 / 22 + 2 / 38) / 3)
    assert scores["standardised_mean_squared_error"][0] == pytest.approx((4 + 4) / 3 / 16)
    assert scores["standardised_mean_absolute_error"][0] == pytest.approx(4 / 3 / 4)
    # Of one value for all quantiles the mean pinball loss is half of the absolute error.
    assert scores["quantile_loss"][0] == pytest.approx(4 / 3 / 4 / 2)
    bands = np.stack([point - 1, point, point + 3], axis=2)
    banded = target.scores_of(forecast_sums(bands, truth, target.quantiles))
    pinball = [
        np.where(error >= 0, level * error, (level - 1) * error)
        for level, error in zip(target.quantiles, truth[0, :3, None].T - bands[0].T, strict=True)
    ]
    assert banded["quantile_loss"][0] == pytest.approx(np.mean(pinball) / 4)
    assert banded["mase"] == scores["mase"]


def test_sums_of_rows_are_those_of_all() -> None:
    split = two_series().with_last_as_test(0.25)
    target = Target.fit(split)
    assert isinstance(target, ForecastTarget)
    codes = target.encode(split.test, hidden=True)
    predicted = list(codes[:, :HORIZON] + np.arange(len(codes))[:, None])
    scores, by_row = target.scores_of_rows(predicted, codes, split.test, "mase")
    alone = [
        target.scores_of_rows([each], code[None], split.test)[0]["mase"]
        for each, code in zip(predicted, codes, strict=True)
    ]
    assert scores["mase"] == pytest.approx(np.mean(alone))
    assert by_row is not None
    assert np.allclose(by_row, alone, rtol=1e-4)


def test_the_loss_is_the_pinball_loss_in_deviations_of_the_series() -> None:
    target = ForecastTarget("y", 1, quantiles=(0.1, 0.5, 0.9))
    outputs = ForecastOutputs(
        torch.tensor([[[-1.0, 0.0, 1.0]], [[-1.0, 0.0, 1.0]]]),
        torch.tensor([10.0, 10.0], dtype=torch.float64),
        torch.tensor([2.0, 4.0], dtype=torch.float64),
    )
    labels = torch.tensor([[14.0, 8.0, 1.0], [14.0, 8.0, 1.0]], dtype=torch.float64)
    first = (0.1 * (14 - 8) + 0.5 * (14 - 10) + 0.9 * (14 - 12)) / 3 / 8
    second = (0.1 * (14 - 6) + 0.5 * (14 - 10) + 0.1 * 0) / 3 / 8
    assert torch.allclose(target.losses(outputs, labels), torch.tensor([first, second]))
    assert target.known(torch.tensor([[float("nan"), 1.0, 1.0], [2.0, 1.0, 1.0]])).tolist() == [False, True]
    assert target.consistency_loss(outputs, outputs) == 0
    assert target.consistency_loss(outputs[:1], outputs[1:]) > 0
    # What is predicted are the quantiles in the series' own unit.
    predicted = target.predictions(outputs)
    assert predicted[1].code.tolist() == [[6.0, 10.0, 14.0]]
    assert target.decode(predicted[1].code[None])[0] == [10.0]


def test_it_is_saved_and_read_again() -> None:
    target = Target.fit(two_series())
    saved = json.loads(json.dumps(target.to_json()))
    assert Target.from_json(saved) == target
    with pytest.raises(ModelError, match="damaged"):
        Target.from_json({**saved, "series": ["one"]})


def test_labels_of_another_horizon_are_refused() -> None:
    target = ForecastTarget("sales", HORIZON + 1)
    with pytest.raises(DataError, match="read it with horizon=4"):
        target.encode(two_series())
