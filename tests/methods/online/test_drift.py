"""Drift: the detectors find what River's find, and answering it makes predictions of real streams better."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.methods.online.online_sgd import OnlineSGD
from manyways.models.stream import StreamPredictor
from manyways.models.streams.linear import LinearStreamHead, State

Arrays = tuple[NDArray[Any], NDArray[Any]]


def fit(method: OnlineSGD, inputs: NDArray[Any], labels: NDArray[Any]) -> StreamPredictor:
    kind = "category" if labels.dtype.kind in "iu" else "number"
    columns = [Column("x", "number", inputs), Column("label", kind, labels)]  # type: ignore[arg-type]
    made = method.fit(Data.from_columns(columns, {"input": ["x"], "label": ["label"]}))
    assert isinstance(made, StreamPredictor)
    return made


def steps() -> list[float]:
    """21,000 wrong (1) and right (0) answers, whose mean changes every 3,000."""
    rng = np.random.default_rng(0)
    means = (0.2, 0.5, 0.3, 0.35, 0.6, 0.1, 0.8)
    return np.concatenate([rng.random(3000) < mean for mean in means]).astype(float).tolist()


def alarms(values: list[float], detect: Any, state: State) -> list[int]:
    """Where `detect` shortens its window or alarms; it begins anew then, as River's do."""
    from manyways.methods.online._detectors import clear_detector

    found = []
    for at, value in enumerate(values):
        width = state.numbers["width"][0]
        if detect(value) or state.numbers["width"][0] < width:
            found.append(at)
            clear_detector(state.numbers, state.levels)
    return found


def test_adwin_finds_what_that_of_river_finds() -> None:
    """River 0.26.1, drift.ADWIN(): rises and falls."""
    from manyways.methods.online._detectors import adwin

    state = LinearStreamHead(1, 2, True, detector="adwin").state

    def detect(value: float) -> bool:
        return adwin(value, 0.002, state.numbers, state.levels, state.totals, state.spreads)

    assert alarms(steps(), detect, state) == [3071, 6367, 12095, 15039, 18047]


def test_page_hinkley_finds_what_that_of_river_finds() -> None:
    """River 0.26.1, drift.PageHinkley(alpha=1, mode="up", threshold=20)."""
    from manyways.methods.online._detectors import page_hinkley

    state = LinearStreamHead(1, 2, True, detector="page_hinkley").state
    found = alarms(steps(), lambda value: page_hinkley(value, 0.005, 20.0, state.numbers), state)
    assert found == [1978, 3042, 12064, 12917, 18037, 20501]


def test_adwin_keeps_the_values_since_the_change() -> None:
    """Its window holds exact sums of the newest values, in O(log n) buckets."""
    from manyways.methods.online._detectors import adwin

    state = LinearStreamHead(1, 2, True, detector="adwin").state
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(0.2, 0.05, 5000), rng.normal(0.6, 0.05, 3000)])
    rises = [
        at
        for at, value in enumerate(values)
        if adwin(value, 0.002, state.numbers, state.levels, state.totals, state.spreads)
    ]
    assert 5000 <= rises[0] <= 5032
    width = int(state.numbers["width"][0])
    assert 2900 <= width <= 3010
    assert width == int((state.levels * 2.0 ** np.arange(len(state.levels))).sum())
    window = values[-width:]
    assert state.numbers["total"][0] == pytest.approx(window.sum())
    assert state.numbers["spread"][0] == pytest.approx(((window - window.mean()) ** 2).sum(), rel=1e-6)
    assert state.levels.sum() < 60


def test_adwin_takes_noise_for_a_change_as_rarely_as_it_says() -> None:
    from manyways.methods.online._detectors import adwin

    state = LinearStreamHead(1, 2, True, detector="adwin").state
    values = (np.random.default_rng(2).random(100_000) < 0.3).astype(float)
    assert not any(adwin(v, 0.002, state.numbers, state.levels, state.totals, state.spreads) for v in values)


def test_a_fall_of_the_errors_is_no_drift() -> None:
    from manyways.methods.online._detectors import adwin

    state = LinearStreamHead(1, 2, True, detector="adwin").state
    values = [1.0] * 1000 + [0.0] * 1000
    assert not any(adwin(v, 0.002, state.numbers, state.levels, state.totals, state.spreads) for v in values)
    assert state.numbers["width"][0] <= 1000


def test_answering_drift_makes_interchanging_clouds_predictable(blobs: Arrays) -> None:
    """Clouds change places every 3,000 rows: nothing 0.40, beginning anew 0.48, learning faster for a while 0.71."""
    points, clouds = blobs[0][:100_000], blobs[1][:100_000]
    none, reset, adapt = (
        fit(method, points, clouds)
        for method in (OnlineSGD(), OnlineSGD(drift="adwin", on_drift="reset"), OnlineSGD(drift="adwin"))
    )
    scores = [model.prequential["accuracy"] for model in (none, reset, adapt)]
    assert scores[0] < 0.42
    assert scores[1] > scores[0] + 0.05
    assert scores[2] > scores[1] + 0.15
    assert len(none.drifts) == 0
    for model in (reset, adapt):
        late = model.drifts[model.drifts >= 30_000]
        swaps = np.arange(30_000, 99_999, 3000)
        after = late[None] - swaps[:, None]
        assert ((after >= 0) & (after < 300)).any(axis=1).all(), "a change is missed"
        assert len(late) <= len(swaps) + 1, "changes are found that are none"


def test_page_hinkley_finds_them_too(blobs: Arrays) -> None:
    model = fit(OnlineSGD(drift="page_hinkley"), blobs[0][:100_000], blobs[1][:100_000])
    assert model.prequential["accuracy"] > 0.6
    late = model.drifts[model.drifts > 30_000]
    assert np.median(late % 3000) < 250


def test_answering_drift_makes_prices_more_predictable(elec: Arrays) -> None:
    """Elec: 0.816 without, 0.845 with adwin and 0.840 with Page-Hinkley."""
    scores = [
        fit(method, *elec).prequential["accuracy"]
        for method in (OnlineSGD(), OnlineSGD(drift="adwin"), OnlineSGD(drift="page_hinkley"))
    ]
    assert scores[1] > scores[0] + 0.02
    assert scores[2] > scores[0] + 0.02


@pytest.mark.parametrize("drift", ["adwin", "page_hinkley"])
@pytest.mark.parametrize("on_drift", ["adapt", "reset"])
def test_a_number_that_turns_around_is_found(drift: Any, on_drift: Any) -> None:
    """After 4,000 rows the slopes change their sign; errors in any unit are watched."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(8000, 3))
    labels = 1e4 * (inputs @ [1.0, -2.0, 0.5] * np.where(np.arange(8000) < 4000, 1, -1) + rng.normal(0, 0.3, 8000))
    options: Any = {"learning_rate": 1e-3, "page_hinkley_threshold": 20}
    model = fit(OnlineSGD(drift=drift, on_drift=on_drift, **options), inputs, labels)
    none = fit(OnlineSGD(**options), inputs, labels)
    assert len(model.drifts) == 1
    assert 4000 <= model.drifts[0] < 4200
    assert model.prequential["mean_absolute_error"] < none.prequential["mean_absolute_error"]


def test_reset_begins_with_nothing_and_adapt_fades() -> None:
    """Right after a drift nothing is left of the weights; a raised rate has e⁻¹ of its rise left after `boost_rows`."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(4000, 2))
    labels = ((inputs[:, 0] > 0) ^ (np.arange(4000) >= 2000)).astype(np.int64)
    adapt = fit(OnlineSGD(drift="adwin", boost=5, boost_rows=400), inputs, labels)
    (at,) = adapt.drifts
    short = fit(OnlineSGD(drift="adwin", boost=5, boost_rows=400), inputs[: at + 1], labels[: at + 1])
    assert short.head.state.numbers["gain"][0] == pytest.approx(1 + 4 * (1 - 1 / 400))
    later = fit(OnlineSGD(drift="adwin", boost=5, boost_rows=400), inputs[: at + 400], labels[: at + 400])
    assert later.head.state.numbers["gain"][0] == pytest.approx(1 + 4 * np.exp(-1), rel=0.01)
    reset = fit(OnlineSGD(drift="adwin", on_drift="reset"), inputs[: at + 1], labels[: at + 1])
    assert reset.head.state.counts["standardised"][0] == 1
    assert float(reset.head.weight.abs().max()) == 0.0
    assert reset.rows == at + 1
