"""Work that takes longer than its budget is announced before it starts, and many classes do not make it so."""

import time
from typing import Any

import numpy as np
import pytest

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import NeedsError
from manyways.methods import expected
from manyways.methods.method import Method
from manyways.methods.semi_supervised import label_propagation
from manyways.methods.transfer import linear_probe
from manyways.methods.unlearning import newton
from manyways.training.budget import Budget
from manyways.training.events import Event

CLASSES = 3000


@pytest.fixture(scope="module")
def many_classes() -> Data:
    """Two rows each of 3,000 classes, far apart."""
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(CLASSES), 2)
    features = 9 * rng.normal(size=(CLASSES, 20))[codes] + 0.1 * rng.normal(size=(len(codes), 20))
    columns = [Column("x", "number", features), Column("label", "category", codes)]
    return Data.from_columns(columns, {"input": ["x"], "label": ["label"]})


@pytest.mark.parametrize(
    "method",
    [mw.Ridge(), mw.NearestCentroid(), mw.NaiveBayes(variance_smoothing=1e-3), mw.NearestNeighbours(neighbours=1)],
)
def test_closed_forms_take_seconds_for_thousands_of_classes(method: Method, many_classes: Data) -> None:
    began = time.process_time()
    model = method.fit(many_classes)
    some = many_classes.select(np.arange(0, 2 * CLASSES, 20))
    score = model.evaluate(some)["accuracy"]
    assert time.process_time() - began < 20
    assert score > (0.02 if isinstance(method, mw.Ridge) else 0.99)  # a linear score masks most of so many classes


def heard(method: Method, data: Data, budget: str) -> list[str]:
    """What the method announces."""
    told: list[Event] = []
    method.fit(data, budget=budget, run=mw.Run(listeners=[told.append]))
    return [event.note for event in told if event.kind == "notice"]


def test_a_search_for_neighbours_beyond_its_budget_is_announced(digits: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    few = digits.with_labels(40, draw="stratified")
    assert heard(mw.LabelPropagation(), few, "1 minute") == []
    monkeypatch.setattr(label_propagation, "seconds_of", lambda work: work() is None or 20.0)
    rows = len(few.training)
    (note,) = heard(mw.LabelPropagation(), few, "10s")
    expected_seconds = 20 * rows / label_propagation.TRIED
    assert note == (
        f"Finding the neighbours of {rows:,} rows among each other takes about {round(expected_seconds / 60)} min, "
        "whatever the budget, which is 10 seconds. Fewer rows take less by the square."
    )
    assert heard(mw.LabelPropagation(), few, "1 hour") == []
    with pytest.warns(UserWarning, match="whatever the budget, which is 1,000 steps"):
        mw.LabelPropagation().fit(few)


def test_many_fits_of_a_probe_are_announced(digits: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_probe, "LARGE", 0)
    monkeypatch.setattr(linear_probe, "_seconds_of_a_pass", lambda features, labels: 0.5)
    few = digits.with_labels(40, draw="stratified")
    (note,) = heard(mw.LinearProbe(), few, "20s")
    assert note.startswith("Fitting 10 classes on 40 rows, ")
    assert note.endswith("Ridge takes seconds, and penalty=1.0 fits once.")
    (note,) = heard(mw.LinearProbe(penalty=1.0), few, "20s")
    assert note == (
        "Fitting 10 classes on 40 rows, once, takes about 50 s, whatever the budget, which is 20 seconds. "
        "Ridge takes seconds."
    )


@pytest.mark.quick
def test_a_pass_is_measured_by_some_rows() -> None:
    rng = np.random.default_rng(0)
    rows, labels = rng.normal(size=(4096, 50)).astype(np.float32), np.arange(4096) % 1000
    measured = min(linear_probe._seconds_of_a_pass(rows, labels) for _ in range(5))

    def whole() -> Any:
        said = rows @ np.zeros((1000, 50), np.float32).T
        return np.exp(said, out=said).T @ rows

    whole()
    real = min(expected.seconds_of(whole) for _ in range(5))
    assert 0.1 < measured / real < 10


def test_rows_by_classes_beyond_memory_are_refused_at_once(many_classes: Data) -> None:
    many = many_classes.select(np.resize(np.arange(len(many_classes)), 50_000)).with_labels(CLASSES, draw="stratified")
    began = time.process_time()
    with pytest.raises(NeedsError, match="50,000 rows by 3,000 classes, and 134,217,728 numbers are the most"):
        mw.LabelPropagation().fit(many)
    assert time.process_time() - began < 5


@pytest.mark.quick
def test_what_is_short_is_not_announced() -> None:
    told: list[Event] = []
    run = mw.Run(listeners=[told.append])
    expected.announce(run, Budget(20, "seconds"), 19.0, "This", "That.")
    expected.announce(run, Budget(20, "steps"), 59.0, "This", "That.")
    assert not told
    expected.announce(run, Budget(20, "steps"), 90.0, "This", "That.")
    assert told[0].note == "This takes about 90 s, whatever the budget, which is 20 steps. That."


def test_a_long_newton_step_is_announced(digits: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    data = digits.with_forgotten(np.arange(len(digits)) % 50 == 0)
    probe = mw.LinearProbe(penalty=100.0).fit(digits)
    told: list[Event] = []
    run = mw.Run(listeners=[told.append])
    mw.Newton().fit(data, probe, budget="10s", run=run)
    assert not told
    monkeypatch.setattr(newton, "LARGE", 0)
    monkeypatch.setattr(newton, "seconds_of", lambda work: 1.0)
    mw.Newton().fit(data, probe, budget="10s", run=run)
    (note,) = [event.note for event in told]
    assert note.startswith("A Newton step of 10 outputs on ")
    assert "takes about 50 s, whatever the budget, which is 10 seconds." in note
