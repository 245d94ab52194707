"""Active learning in a comparison: a line of rows drawn at random, and the area under the label curve."""

from pathlib import Path

import numpy as np
import pytest

import manyways as mw
from manyways.comparison.label_curve_notes import LabelCurveNotes
from manyways.data.data import Data
from manyways.methods.transfer.linear_probe import LinearProbe
from manyways.training.events import Event

AREA = "area_under_label_curve"
BASE = LinearProbe(penalty=1.0)


@pytest.fixture(scope="module")
def wine() -> Data:
    return mw.read("wine").with_test(0.3)


def test_a_line_of_random_rows_stands_beside_with_its_interval(
    wine: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MANYWAYS_HOME", str(tmp_path))
    asking = mw.ActiveLearning(base=BASE, rounds=2)
    compared = mw.compare(
        wine, methods=[asking, "nearest-centroid"], labels=18, draw="stratified", budget="4 steps", seeds=2, workers=0
    )
    line = str(mw.ActiveLearning(base=BASE, rounds=2, strategy="random"))
    entries = {entry.name: entry for entry in compared.entries}
    assert entries[line].reference
    assert entries[line].low is not None
    assert not entries[str(asking)].reference
    assert AREA in entries[str(asking)].metrics
    assert AREA in entries[line].metrics
    assert AREA not in entries["nearest-centroid"].metrics
    assert compared.beside == (AREA,)
    assert line not in {entry.name for entry in compared.ways}


@pytest.mark.quick
def test_what_is_the_line_of_a_method() -> None:
    chain = mw.ActiveLearning(strategy="badge") >> LinearProbe()
    assert str(chain.yardstick()) == "active-learning(strategy='random') >> linear-probe"
    assert LinearProbe().yardstick() is None
    assert mw.ActiveLearning(oracle=len).yardstick() is None, "whoever answers would be asked twice as much"
    assert mw.ActiveLearning(power=2.0).yardstick() == mw.ActiveLearning(strategy="random")


@pytest.mark.quick
def test_the_area_is_the_mean_score_over_the_labels_asked_for() -> None:
    scores = iter([0.5, 0.7, 0.8])
    notes = LabelCurveNotes(lambda model: next(scores))
    model = BASE.fit(mw.read("wine").with_labels(9, draw="stratified"))
    for labels in (10, 20, 40):
        notes(Event("milestone", "", 0, 0, 0.0, {"labels": labels}, lambda: model))
    expected = np.trapezoid([0.5, 0.7, 0.8], [10, 20, 40]) / 30
    assert notes.scores() == {AREA: pytest.approx(expected)}
    again = LabelCurveNotes(lambda model: 0.0)
    again.restore(notes.to_json())
    assert again.curve == [(10, 0.5), (20, 0.7), (40, 0.8)]
    assert LabelCurveNotes(lambda model: 0.0).scores() == {}
