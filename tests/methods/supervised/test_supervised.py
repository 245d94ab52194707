"""Supervised: it learns classes and numbers, and its two knobs do what they say."""

import math

import numpy as np
import pytest
import torch

from manyways.data.data import Data
from manyways.data.targets import ClassTarget, NumberTarget
from manyways.methods.supervised.supervised import Supervised
from manyways.models.network import Network
from manyways.randomness import generator


def test_learns_digits(digits: Data) -> None:
    assert Supervised().fit(digits, budget=250).evaluate(digits.test)["accuracy"] > 0.95


def test_learns_classes_of_a_table(wine: Data) -> None:
    assert Supervised().fit(wine, budget=120).evaluate(wine.test)["accuracy"] > 0.9


def test_learns_numbers_in_their_own_unit(diabetes: Data) -> None:
    model = Supervised().fit(diabetes, budget=200)
    assert model.evaluate(diabetes.test)["r2"] > 0.35
    predicted, truth = model.predict(diabetes.test), diabetes.test.take("label")
    assert abs(predicted.mean() - truth.mean()) < 25, "the label has a mean of 152 and is not predicted in its unit"


def test_more_labels_make_a_better_model(digits: Data) -> None:
    few = Supervised().fit(digits.with_labels(20, draw="stratified"), budget=120).evaluate(digits.test)["accuracy"]
    many = Supervised().fit(digits.with_labels(400, draw="stratified"), budget=120).evaluate(digits.test)["accuracy"]
    assert many > few + 0.05


def test_wrong_labels_make_a_wrong_model(digits: Data) -> None:
    """What is learned comes from the labels: rotated by one class, so are the predictions."""
    everything = np.arange(len(digits))
    turned = digits.with_label_values(everything, (digits.take("label") + 1) % 10)
    predicted = Supervised().fit(turned, budget=150).predict(digits.test)
    assert ((digits.test.take("label") + 1) % 10 == predicted).mean() > 0.85


@pytest.mark.quick
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_label_loss_is_the_smoothed_cross_entropy(smoothing: float) -> None:
    logits, labels = torch.randn(6, 4, generator=generator(1)), torch.tensor([0, 1, 2, 3, 1, 0])
    total = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        normaliser = math.log(sum(math.exp(value) for value in row))
        for k, value in enumerate(row):
            target = (1 - smoothing) * (k == label) + smoothing / 4
            total -= target * (value - normaliser)
    assert float(ClassTarget("y", tuple("abcd")).loss(logits, labels, smoothing=smoothing)) == pytest.approx(
        total / 6, rel=1e-5
    )


@pytest.mark.quick
def test_label_loss_of_numbers_is_the_mean_squared_error() -> None:
    outputs, labels = torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([1.5, 2.0, 1.0])
    assert float(NumberTarget("y").loss(outputs, labels)) == pytest.approx((0.25 + 0 + 9) / 3)


def test_label_smoothing_makes_the_model_less_sure(digits: Data) -> None:
    few = digits.with_labels(100, draw="stratified")
    sure, smooth = (
        Supervised(label_smoothing=smoothing).fit(few, budget=120).probabilities(digits.training).max(1).mean()
        for smoothing in (0.0, 0.5)
    )
    assert smooth < sure - 0.2


@pytest.mark.quick
def test_augment_off_shows_the_rows_as_they_are(digits: Data) -> None:
    few, rng = digits.with_labels(40, draw="stratified"), generator(0)
    for augment in (True, False):
        method = Supervised(augment=augment)
        learner = method.begin(few, None, 0)
        batch = method.draw(learner, 0, rng)["inputs"]["image"]
        rows = learner.take(learner.pick(learner.labelled, method.batch_size, 0))["image"]
        as_they_are = batch.dtype == torch.uint8 and torch.equal(batch, rows)
        assert as_they_are == (not augment)


def test_starts_from_a_models_weights(digits: Data) -> None:
    """One step at a vanishing rate leaves the weights it started from, with their head."""
    few = digits.with_labels(40, draw="stratified")
    first = Supervised().fit(few, budget=5)
    second = Supervised(learning_rate=1e-12, weight_decay=0.0).fit(few, first, budget=1)
    assert isinstance(second.network, Network)
    for ours, theirs in zip(first.network.parameters(), second.network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)
