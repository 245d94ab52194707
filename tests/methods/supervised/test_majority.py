"""Majority: scikit-learn's dummies on every kind of label, and a line for reference in every comparison."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

import manyways as mw
from manyways.data.data import Data
from manyways.data.targets import ClassTarget, Target

MADE = np.random.default_rng(0)


def table(**columns: object) -> Data:
    return mw.read({"x": MADE.normal(size=200), **columns}, label=tuple(columns)).with_test(0.25)


def test_classes_are_predicted_by_their_shares() -> None:
    data = table(y=MADE.choice(["ham", "spam", "eggs"], 200, p=[0.6, 0.3, 0.1]))
    model = mw.Majority().fit(data)
    labels = data.training.take("y")
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((len(labels), 1)), labels)
    expected = dummy.predict_proba(np.zeros((len(data.test), 1)))
    np.testing.assert_allclose(model.probabilities(data.test), expected, rtol=1e-5)
    assert set(model.predict(data.test)) == {"ham"}
    assert model.evaluate(data.test)["balanced_accuracy"] == pytest.approx(1 / 3)


def test_numbers_are_predicted_by_their_mean() -> None:
    data = table(y=MADE.normal(7, 3, 200))
    model = mw.Majority().fit(data)
    np.testing.assert_allclose(model.predict(data.test), data.training.take("y").mean(), rtol=1e-6)
    assert -0.2 < model.evaluate(data.test)["r2"] <= 1e-6


def test_only_labelled_rows_count_each_by_its_weight() -> None:
    labels, weights = np.array(["a", "b", "b", "b"] * 25), np.array([6.0, 1.0, 1.0, 1.0] * 25)
    columns = {"x": np.arange(100.0), "y": labels, "w": weights}
    weighted = mw.Majority().fit(mw.read(columns, label="y", input="x", weight="w"))
    plain = mw.Majority().fit(mw.read(columns, label="y", input="x"))
    assert weighted.probabilities(mw.read({"x": [0.0]}))[0].tolist() == pytest.approx([2 / 3, 1 / 3])
    assert plain.probabilities(mw.read({"x": [0.0]}))[0].tolist() == pytest.approx([1 / 4, 3 / 4])


def test_sets_of_classes_are_those_of_most_rows(tmp_path: Path) -> None:
    sets = ["a|b"] * 60 + ["a"] * 30 + ["c"] * 10
    data = mw.read({"x": np.arange(100.0), "y": sets}, label="y", kinds={"y": "several"})
    model = mw.Majority().fit(data)
    assert model.probabilities(data)[0].tolist() == pytest.approx([0.9, 0.6, 0.1])
    assert set(model.predict(data)) == {"a|b"}


def test_several_labels_each_have_their_own(tmp_path: Path) -> None:
    data = table(colour=MADE.choice(["red", "blue"], 200, p=[0.8, 0.2]), size=MADE.normal(5, 1, 200))
    model = mw.Majority().fit(data)
    rows = model.predict(data.test)
    assert set(rows["colour"]) == {"red"}
    np.testing.assert_allclose(rows["size"], data.training.take("size").mean(), rtol=1e-6)
    model.save(tmp_path / "model")
    alone = mw.load(tmp_path / "model").only("colour")
    assert alone.probabilities(data.test)[0, 1] == pytest.approx((data.training.take("colour") == "red").mean())


def test_a_class_without_a_visible_label_is_never_predicted() -> None:
    labels = np.array(["a"] * 50 + ["b"] * 48 + ["c"] * 2)
    data = mw.read({"x": np.arange(100.0), "y": labels}, label="y")
    model = mw.Majority().fit(replace(data, visible=data.visible & (labels != "c")))
    assert model.probabilities(data)[0].tolist() == pytest.approx([50 / 98, 48 / 98, 0])


def test_rows_may_lack_inputs() -> None:
    texts = np.array(["some words", None] * 20, object)
    numbers = np.arange(40.0)
    data = mw.read({"t": texts, "x": numbers, "y": ["a", "b", "b", "b"] * 10}, label="y", kinds={"t": "text"})
    assert mw.Majority().fit(data).probabilities(data)[:, 1].tolist() == pytest.approx([0.75] * 40)


def test_a_kind_of_label_without_a_constant_of_its_own_is_descended() -> None:
    """By L-BFGS on its loss: as exact as the closed form of classes."""
    import torch

    target, labels = ClassTarget("y", ("a", "b", "c")), torch.tensor([0] * 60 + [1] * 30 + [2] * 10)
    weights = torch.linspace(0.5, 1.5, 100)
    for given in (None, weights):
        descended, closed = Target.constant(target, labels, given), target.constant(labels, given)
        torch.testing.assert_close(descended.softmax(0), closed.softmax(0), rtol=0, atol=1e-4)


# --- in comparisons ------------------------------------------------------------------------------


def test_it_is_in_every_comparison_on_labels_and_never_the_best() -> None:
    noise = table(y=MADE.choice(["a", "b"], 200, p=[0.85, 0.15]))
    methods, options = ["nearest-neighbours(neighbours=1)"], {"budget": "5 steps", "seeds": 2, "workers": 0}
    found = mw.compare(noise, methods=methods, metric="accuracy", **options)
    line = next(entry for entry in found.entries if entry.reference)
    test = noise.test.take("y")
    assert (line.name, line.title, line.score) == ("majority", "majority class", (test == "a").mean())
    assert [entry.name for entry in found.contestants()] == ["nearest-neighbours(neighbours=1)"]
    assert found.conclusion is not None
    assert found.conclusion.recommended == "nearest-neighbours(neighbours=1)"
    assert found.to_json()["entries"][1]["reference"] is True
    if (found.contestants()[0].score or 0) <= (line.score or 0):
        assert any("no better than the line for reference" in caution for caution in found.conclusion.cautions)


@pytest.mark.parametrize("named", [["majority"], ["majority", "ridge"]])
def test_it_is_a_line_for_reference_where_it_is_named_too(named: list[str]) -> None:
    found = mw.compare(table(y=MADE.normal(size=200)), methods=named, budget="5 steps", seeds=1, workers=0)
    assert [entry.name for entry in found.entries] == named
    assert found.entries[0].reference
    assert found.entries[0].title == "mean"


def test_it_is_the_line_of_several_labels() -> None:
    data = table(colour=MADE.choice(["red", "blue"], 200), size=MADE.normal(5, 1, 200))
    found = mw.compare(data, methods=["multi-task"], budget="5 steps", seeds=1, workers=0)
    assert {entry.name: entry.error for entry in found.entries} == {"multi-task": None, "majority": None}
