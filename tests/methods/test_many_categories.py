"""Columns of more categories than have a feature each: learned, drawn, forgotten and streamed like any other."""

import numpy as np
import pytest

import manyways as mw
from manyways.data.data import Data
from manyways.data.encoders.categories import ONE_HOT
from manyways.errors import NeedsError
from manyways.models.stream import StreamPredictor


def stores(count: int, rows: int, seed: int = 0) -> Data:
    """Rows of `count` stores, all of which occur; a store decides the label, but for one row in twenty."""
    rng = np.random.default_rng(seed)
    which = rng.permutation(np.arange(rows) % count)
    good = rng.integers(0, 2, count)[which] ^ (rng.random(rows) < 0.05)
    names = np.array([f"S{store:05}" for store in which], object)
    return mw.read({"store": names, "noise": rng.normal(size=rows), "label": np.array(["lo", "hi"], object)[good]})


@pytest.fixture(scope="module")
def many() -> Data:
    return stores(1500, 9000).with_test(0.25)


@pytest.fixture(scope="module")
def few_rows() -> Data:
    return stores(1100, 1200)


@pytest.mark.parametrize(
    ("method", "budget", "least"),
    [("supervised", "400 steps", 0.85), ("ridge", None, 0.75), ("naive-bayes", None, 0.7)],
)
def test_they_are_learned(many: Data, method: str, budget: str | None, least: float) -> None:
    model = mw.parse_method(method).fit(many, budget=budget)
    assert model.evaluate(many.test)["accuracy"] > least
    assert "1,500 of its 1,500 categories share 1,024 features" in model.lineage.facts["shared_features"]["store"]


@pytest.mark.parametrize("method", ["simclr", "vae", "gan", "kmeans", "fixmatch"])
def test_methods_take_them(few_rows: Data, method: str) -> None:
    rows = few_rows.with_labels(40, draw="stratified") if method == "fixmatch" else few_rows
    model = mw.parse_method(method).fit(rows, budget="3 steps")
    if "sample" in model.gives:
        drawn = model.sample(20)
        assert set(drawn.take("store").tolist()) <= set(few_rows.take("store").tolist())


def test_rows_are_forgotten_to_the_last_bit_that_counts(few_rows: Data) -> None:
    gone = np.arange(len(few_rows)) < 3
    method = mw.parse_method("ridge")
    forgot, without = method.forget(method.fit(few_rows), few_rows, gone), method.fit(few_rows.select(~gone))
    np.testing.assert_allclose(forgot.outputs(few_rows), without.outputs(few_rows), atol=1e-6)
    assert forgot.encoding().to_json() == without.encoding().to_json()
    few = stores(ONE_HOT + 1, 2 * (ONE_HOT + 1))
    of_one = few.take("store") == "S00000"
    with pytest.raises(NeedsError, match="Without these rows the 1,024 categories of 'store' are so few"):
        method.forget(method.fit(few), few, of_one)


def test_a_stream_that_is_cut_learns_the_same_from_them() -> None:
    rows = stores(ONE_HOT + 300, 3000)
    method = mw.parse_method("online-sgd")
    whole = method.fit(rows)
    cut = None
    for piece in np.array_split(np.arange(len(rows)), 5):
        cut = method.fit(rows.select(piece), cut)
    assert isinstance(whole, StreamPredictor)
    assert isinstance(cut, StreamPredictor)
    assert whole.network.width == cut.network.width == 2 * ONE_HOT + 1
    for name in ("weight", "mean", "variance"):
        np.testing.assert_array_equal(getattr(whole.head.state, name), getattr(cut.head.state, name))
    assert whole.prequential == cut.prequential
    assert "300 of its 1,324 categories share 1,024 features" in whole.lineage.facts["shared_features"]["store"]
