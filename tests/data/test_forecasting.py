"""A table in time becomes forecast origins: history before, values after, and nothing of the test period is learned."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import manyways as mw
from manyways.data.apart import kept_apart
from manyways.data.data import Data
from manyways.data.groups import dependent_groups
from manyways.data.origin_reader import read_origin
from manyways.data.splitting import Split, Splitting
from manyways.errors import DataError, ParameterError

pytestmark = pytest.mark.quick

COUNT, HORIZON, HISTORY = 200, 5, 12


def hours(count: int = COUNT) -> list[str]:
    return [str(each) for each in np.datetime64("2024-01-01T00") + np.arange(count)]


def noise(count: int = COUNT, **more: Any) -> dict[str, Any]:
    """A series whose values are all different, so that each tells which one it is."""
    rng = np.random.default_rng(0)
    return {"when": hours(count), "load": rng.normal(size=count), "heat": rng.normal(size=count), **more}


def reading(table: dict[str, Any], **options: Any) -> Data:
    return mw.read(table, **{
        "time": "when", "label": "load", "horizon": HORIZON, "history": HISTORY, "season": 1, **options
    })  # fmt: skip


def test_a_row_is_the_history_and_what_follows() -> None:
    table = noise()
    data = reading(table)
    assert len(data) == COUNT - HISTORY - HORIZON + 1
    rows = np.array([0, 7, len(data) - 1])
    windows, labels = data.columns["history"].take(rows), data.columns["load"].take(rows)
    assert windows.shape == (3, 2, HISTORY)
    for row, window, label in zip(rows, windows, labels, strict=True):
        now = row + HISTORY
        assert (window[0] == table["load"][now - HISTORY : now]).all()
        assert (window[1] == table["heat"][now - HISTORY : now]).all()
        assert (label == table["load"][now : now + HORIZON]).all()
    assert data.take("when")[0] == table["when"][HISTORY - 1]
    assert data.take("when until")[0] == table["when"][HISTORY - 1 + HORIZON]
    assert data.source_rows[0] == HISTORY - 1
    assert data.columns["calendar"].values.shape[1] == 6


def values_of(data: Data) -> set[float]:
    return set(data.take(data.label.name).ravel().tolist())


SPLITS: dict[str, Callable[[Data], Data]] = {
    "last": lambda data: data.with_last_as_test(0.3),
    "share": lambda data: data.with_test(0.3, seed=4),
    "some": lambda data: data.with_some_as_test(0.2),
    "fold": lambda data: Split("time", folds=3, number=1).of(data),
    "validation": lambda data: data.with_last_as_test(0.3).with_validation(0.2),
    "comparison": lambda data: Splitting().splits(Splitting().rule(data), 0)[0].of(data),
}


@pytest.mark.parametrize("name", SPLITS)
@pytest.mark.parametrize("several", [False, True])
def test_no_value_of_the_test_period_is_learned(name: str, several: bool) -> None:
    data = reading(noise(), **({"label": ("load", "heat")} if several else {}))
    split = SPLITS[name](data)
    learned, stopped, tested = (values_of(part) for part in (split.training, split.validation, split.test))
    assert learned
    assert tested
    assert not learned & tested
    assert not stopped & (learned | tested)
    # Only the origins whose future reaches into the test period are left out.
    lost = len(data) - len(split)
    series = 1 + several
    assert lost == {"validation": 2, "fold": None}.get(name, 1) * (HORIZON - 1) * series if name != "fold" else True


def test_rows_kept_apart_are_not_known_to_the_others() -> None:
    data = reading(noise())
    rest, apart = kept_apart(data, 0.2, "time")
    assert not values_of(rest) & values_of(apart)
    assert len(rest) + len(apart) == len(data) - HORIZON + 1


def test_forecasts_are_not_split_at_random() -> None:
    data = reading(noise())
    for splitting in (Splitting("random"), Splitting(repeats=3)):
        with pytest.raises(DataError, match="reach into the time of other rows"):
            splitting.rule(data)


def test_errors_are_independent_from_one_horizon_to_the_next() -> None:
    data = reading(noise(), label=("load", "heat"))
    groups = dependent_groups(data)
    assert groups is not None
    counts = np.bincount(groups)
    assert (counts[:-1] == 2 * HORIZON).all()
    assert groups[0] == groups[HORIZON - 1] == groups[len(data) // 2] != groups[HORIZON]


def test_parts_are_of_values_ahead() -> None:
    part = ["train"] * 100 + ["validation"] * 40 + ["test"] * 60
    data = reading(noise(part=part), part="part")
    table = noise()["load"]
    assert values_of(data.test) <= set(table[140:])
    assert len(data.test) == 60 - HORIZON + 1
    # The history of the first test row is of the validation period.
    assert data.test.take("history")[0, 0, -1] == table[139]
    assert values_of(data.training) <= set(table[:100])


def test_several_series_by_a_column_and_by_labels() -> None:
    rng = np.random.default_rng(1)
    table = {"when": hours(60) * 2, "store": ["a"] * 60 + ["b"] * 60, "load": rng.normal(size=120)}
    data = reading(table, group="store")
    assert data.take("store").tolist() == ["a"] * (len(data) // 2) + ["b"] * (len(data) // 2)
    assert not set(data.take("load")[: len(data) // 2].ravel()) & set(table["load"][60:])
    wide = reading(noise(), label=("load", "heat"))
    assert len(wide) == 2 * len(reading(noise()))
    assert set(wide.take("series").tolist()) == {"load", "heat"}
    assert wide.columns["history"].values.shape[1] == 1


def test_the_history_is_two_seasons_or_four_horizons() -> None:
    assert reading(noise(), history=None, season=None).columns["history"].values.shape[2] == 48
    assert reading(noise(), history=None, season=None, horizon=14).columns["history"].values.shape[2] == 56
    data = reading(noise(40), history=None, season=None, horizon=10)
    assert data.columns["history"].windows is not None
    assert data.columns["history"].windows.season == 1
    assert "season=" in data.notes["season"]


def test_dates_of_a_frame_are_dates() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({**noise(), "when": pandas.to_datetime(hours())})
    data = mw.read(frame, time="when", label="load", horizon=HORIZON)
    assert data.columns["history"].windows is not None
    assert data.columns["history"].windows.season == 24
    assert "calendar" in data.columns


def test_rows_are_read_again_as_they_were(tmp_path: Path) -> None:
    table = noise()
    rows = zip(table["when"], table["load"], table["heat"], strict=True)
    lines = [f"{when},{load},{heat}" for when, load, heat in rows]
    path = tmp_path / "loads.csv"
    path.write_text("\n".join(["when,load,heat", *lines]))
    data = mw.read(path, time="when", label="load", horizon=HORIZON, history=HISTORY)
    assert data.origin is not None
    again = read_origin(data.origin)
    assert (again.all_ids == data.all_ids).all()
    assert again.roles == data.roles


@pytest.mark.parametrize(("change", "options", "message"), [
    ({}, {"time": None}, "A forecast needs the time of each row"),
    ({}, {"label": ()}, "A forecast is of a column of numbers"),
    ({"load": ["much"] * COUNT}, {}, "cannot have the kind 'number'"),
    ({"load": [np.nan, *range(COUNT - 1)]}, {}, "NaN or infinite in 1 row, the first is row 0"),
    ({"heat": [0.5, np.inf, *range(COUNT - 2)]}, {"bad_rows": "keep"}, "infinite"),
    ({"when": ["soon", *hours()[1:]]}, {}, "must hold numbers, or dates as ISO 8601"),
    ({"when": hours()[::-1]}, {}, "The times of the series must increase"),
    ({"when": [hours()[1], *hours()[1:]]}, {}, "more than once, in rows 0 and 1"),
    ({"when": [*hours()[:-1], "2025-01-01T00"]}, {}, "has a gap"),
    ({"when": [*hours()[:-1], "2024-01-09T07:30"]}, {}, "irregular"),
    ({}, {"history": 300}, "has 200 rows; history=300 and horizon=5 need 305"),
    ({}, {"season": 24}, "A season of 24 steps cannot be told from a history of 12"),
    ({"store": ["", *["a"] * (COUNT - 1)]}, {"group": "store"}, "no value in 'store', which tells the series apart"),
    ({"says": ["a few words here"] * COUNT}, {"input": ("says", "heat")}, "'says' is text. Name the other inputs"),
    ({"part": ["train"] * 198 + ["test"] * 2}, {"part": "part"}, "The test rows are too few"),
    ({"history": ["x", "y"] * (COUNT // 2)}, {}, "'history' has the name of one that a forecast makes"),
])  # fmt: skip
def test_what_cannot_be_forecast_is_refused(change: dict[str, Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        reading(noise(**change), **options)


@pytest.mark.parametrize(("options", "message"), [
    ({"horizon": 0}, "horizon must be a whole number of time steps, 1 or more; got 0"),
    ({"horizon": 2.5}, "horizon must be a whole number"),
    ({"history": -1}, "history must be"),
    ({"horizon": None}, "history is of forecasts: say how many values ahead"),
])  # fmt: skip
def test_lengths_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        reading(noise(), **options)
