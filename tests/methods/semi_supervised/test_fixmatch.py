"""FixMatch: its loss by hand, and unlabelled rows that make the model better."""

import math

import numpy as np
import pytest
import torch

from manyways.data.data import Data
from manyways.methods.semi_supervised.fixmatch import FixMatch, pseudo_label_loss
from manyways.training.randomness import generator


def test_loss_by_hand() -> None:
    """Of three rows one is below the threshold; it counts in the mean, but adds nothing."""
    weak = torch.tensor([[4.0, 0.0], [0.0, 3.0], [0.1, 0.0]])
    strong = torch.tensor([[1.0, 2.0], [0.5, 0.0], [9.0, -9.0]])
    first = math.log(math.exp(1) + math.exp(2)) - 1
    second = math.log(math.exp(0.5) + 1) - 0
    loss, confident = pseudo_label_loss(weak, strong, 0.9)
    assert float(loss) == pytest.approx((first + second) / 3)
    assert float(confident) == pytest.approx(2 / 3)


def test_guesses_carry_no_gradient() -> None:
    weak, strong = torch.randn(2, 5, 3, generator=generator(0)).requires_grad_(True).unbind()
    loss, _ = pseudo_label_loss(weak, strong, 0.0)
    assert torch.autograd.grad(loss, weak, retain_graph=True, allow_unused=True)[0] is None
    assert torch.autograd.grad(loss, strong)[0].abs().sum() > 0


@pytest.mark.parametrize(("threshold", "share"), [(0.0, 1.0), (0.999999, 0.0)])
def test_threshold_decides_who_teaches(threshold: float, share: float) -> None:
    weak, strong = torch.randn(2, 8, 4, generator=generator(1)).unbind()
    loss, confident = pseudo_label_loss(weak, strong, threshold)
    assert float(confident) == share
    assert (float(loss) > 0) == (share > 0)


def test_unlabelled_rows_make_it_better(digits: Data) -> None:
    few = digits.with_labels(40)
    scores = [
        FixMatch(batch_size=16, unlabelled_ratio=6, unlabelled_weight=weight)
        .fit(few, budget=400)
        .evaluate(digits.test)["accuracy"]
        for weight in (1.0, 0.0)
    ]
    assert scores[0] > scores[1] + 0.02
    assert scores[0] > 0.88


def test_a_step_sees_labelled_weak_and_strong_rows(digits: Data) -> None:
    few = digits.with_labels(40)
    method = FixMatch(batch_size=8, unlabelled_ratio=3)
    learner = method.begin(few, None, 0)
    batch = method.draw(learner, 0, generator(0))
    weak, taught = batch["weak"]["image"], batch["taught"]["image"]
    assert (len(weak), len(taught)) == (24, 8 + 24)
    assert len(batch["labels"]) == 8
    assert (batch["labels"] >= 0).all()
    strong = taught[8:]
    rows = learner.take(learner.pick(learner.unlabelled, 24, 0, 1))["image"].float() / 255
    nearer = ((weak - rows).abs().mean() < (strong - rows).abs().mean()).item()
    assert nearer, "the strong views are no stronger than the weak ones"
    assert not few.training.labelled[learner.unlabelled].any()


def test_model_is_the_average_of_the_weights(digits: Data) -> None:
    few = digits.with_labels(40)
    averaged = FixMatch(batch_size=8, average_decay=0.9).fit(few, budget=12)
    last = FixMatch(batch_size=8, average_decay=0.0).fit(few, budget=12)
    assert not np.array_equal(averaged.outputs(digits.test), last.outputs(digits.test))
    sizes = [
        sum(float(p.detach().square().sum()) for p in model.network.head.parameters()) for model in (averaged, last)
    ]  # type: ignore[union-attr]
    assert sizes[0] != sizes[1]
