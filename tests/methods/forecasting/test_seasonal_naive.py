"""The seasonal naive forecast repeats the last season, however far ahead."""

import numpy as np
import pytest

import manyways as mw

pytestmark = pytest.mark.quick

SEASON = 4


def series(season: int) -> np.ndarray:
    data = mw.read(
        {"step": np.arange(60), "load": np.random.default_rng(1).normal(size=60)},
        time="step", label="load", horizon=6, history=9, season=season,
    )  # fmt: skip
    split = data.with_last_as_test(0.3)
    model = mw.SeasonalNaive().fit(split)
    windows = split.test.take("history")[:, 0]
    expected = windows[:, -season:][:, np.arange(6) % season]
    assert np.array(model.predict(split.test).tolist()).tolist() == expected.tolist()
    return expected


def test_it_is_the_last_season_again() -> None:
    expected = series(SEASON)
    assert (expected[:, :2] == expected[:, SEASON:]).all()
    assert not (expected[:, 0] == expected[:, 1]).any()


def test_without_a_season_it_is_the_last_value() -> None:
    assert (np.diff(series(1), axis=1) == 0).all()
