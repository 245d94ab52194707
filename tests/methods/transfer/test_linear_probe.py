"""LinearProbe: scikit-learn's linear models on frozen features, and a backbone that is bitwise what it was."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from manyways.data.data import Data
from manyways.methods.self_supervised.simclr import SimCLR
from manyways.methods.transfer.linear_probe import LinearProbe


def _standardised(features: np.ndarray, like: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    scale = like.std(0)
    scale[scale < 1e-6] = 1
    return (features - like.mean(0)) / scale


def test_is_logistic_regression_on_standardised_pixels(digits: Data) -> None:
    few = digits.with_labels(100, draw="stratified")
    shown = few.training.select(few.training.labelled)
    pixels = [(rows.take("image") / np.float32(255)).reshape(len(rows), -1) for rows in (shown, digits.test)]
    reference = LogisticRegression(C=1 / 2.0, max_iter=2000).fit(
        _standardised(pixels[0], pixels[0]), shown.take("label")
    )
    model = LinearProbe(penalty=2.0).fit(few)
    expected = reference.predict_proba(_standardised(pixels[1], pixels[0]))
    np.testing.assert_allclose(model.probabilities(digits.test), expected, atol=2e-4)


def test_two_classes_keep_their_probabilities(cancer: Data) -> None:
    model = LinearProbe(penalty=1.0).fit(cancer)
    table = np.stack([column.take(cancer.training.rows) for column in cancer.inputs], 1)
    rows = np.stack([column.take(cancer.test.rows) for column in cancer.inputs], 1)
    # Cells are cut at eight standard deviations, which no cell here reaches after standardisation but few.
    cut = np.clip(_standardised(table, table), -8, 8)
    reference = LogisticRegression(C=1.0, max_iter=2000).fit(_standardised(cut, cut), cancer.training.take("label"))
    expected = reference.predict_proba(_standardised(np.clip(_standardised(rows, table), -8, 8), cut))
    np.testing.assert_allclose(model.probabilities(cancer.test), expected, atol=2e-3)


def test_is_ridge_regression_for_numbers(diabetes: Data) -> None:
    model = LinearProbe(penalty=10.0).fit(diabetes)
    table = np.stack([column.take(diabetes.training.rows) for column in diabetes.inputs], 1)
    rows = np.stack([column.take(diabetes.test.rows) for column in diabetes.inputs], 1)
    reference = Ridge(alpha=10.0).fit(_standardised(table, table), diabetes.training.take("label"))
    np.testing.assert_allclose(model.predict(diabetes.test), reference.predict(_standardised(rows, table)), rtol=1e-3)
    assert model.evaluate(diabetes.test)["r2"] > 0.35


def test_the_backbone_is_untouched(digits: Data) -> None:
    few = digits.with_labels(40, draw="stratified")
    start = SimCLR(batch_size=32).fit(few, budget=3)
    model = LinearProbe().fit(few, start)
    for (name, ours), theirs in zip(
        start.network.backbones.state_dict().items(), model.network.backbones.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs), name
    assert start.network.head is None
    assert np.array_equal(start.embed(digits.test), model.embed(digits.test))


def test_penalty_is_picked_and_matters(digits: Data) -> None:
    few = digits.with_labels(60, draw="stratified")
    picked = LinearProbe().fit(few)
    fixed = {p: LinearProbe(penalty=p).fit(few) for p in (0.01, 0.1, 1.0, 10.0, 100.0)}
    same = [p for p, model in fixed.items() if np.array_equal(model.outputs(few), picked.outputs(few))]
    assert len(same) == 1
    least = {p: model.evaluate(digits.test)["log_loss"] for p, model in fixed.items()}
    assert least[same[0]] < 1.3 * min(least.values())
    assert max(least.values()) > 1.2 * min(least.values()), "the penalty makes no difference"


def test_a_class_without_a_label_is_not_predicted(digits: Data) -> None:
    few = digits.with_labels(100, draw="stratified")
    without = few.hide(np.flatnonzero(few.labelled & (few.take("label") == 3) & (few.part[few.rows] == 0)))
    model = LinearProbe(penalty=1.0).fit(without)
    assert model.target is not None
    assert len(model.target.classes) == 10
    assert 3 not in model.predict(digits.test)


@pytest.mark.parametrize("kind", ["sentences", "tones"])
def test_raw_text_and_sound_are_told_apart(kind: str, request: pytest.FixtureRequest) -> None:
    data: Data = request.getfixturevalue(kind)
    model = LinearProbe().fit(data.with_labels(90, draw="stratified"))
    assert model.evaluate(data.test)["accuracy"] > 0.9
