"""Settings that a kind of label brings: they are taken where a method's field is left open, and only there."""

from typing import Any

import pytest
import torch

import manyways as mw
from manyways.methods.bases.from_labels import AveragedLearner
from manyways.methods.method import Method
from manyways.testing.label_rows import LABEL_KINDS, rows_with_label
from manyways.training.loop import take_step
from manyways.training.optimizer import make_optimizer

DIGITS = mw.read("digits").with_test(0.2).with_labels(60)


def learner_of(method: Any, data: mw.Data) -> AveragedLearner:
    learner: AveragedLearner = method.begin(data, None, 0)
    learner.steps = 4
    return learner


def steps(method: Any, learner: AveragedLearner, count: int) -> None:
    optimizer = make_optimizer(method, learner)
    for step in range(count):
        take_step(method, learner, optimizer, step, count, 0)


@pytest.mark.parametrize("kind", LABEL_KINDS)
def test_open_fields_are_as_the_kind_of_label_says(kind: str) -> None:
    data = rows_with_label(kind)
    learner = learner_of(mw.Supervised(), data)
    recipe = learner.target.recipe
    assert learner.batch_size == recipe.batch_size
    assert learner.sampler.name == recipe.sampler
    assert (learner.average is None) == (not recipe.average)
    if learner.average is not None:
        assert learner.average.decay == recipe.average


def test_stated_fields_are_taken() -> None:
    data = rows_with_label("label of tags")
    learner = learner_of(mw.Supervised(batch_size=5, sampler="epochs", average=0.0), data)
    assert learner.average is None
    assert learner.sampler.name == "epochs"
    batch = mw.Supervised(batch_size=5).draw(learner, 0, torch.Generator())
    assert len(batch["labels"]) == 5


def test_classes_keep_the_last_weights_unless_an_average_is_asked_for() -> None:
    last = learner_of(mw.Supervised(), DIGITS)
    assert last.average is None
    assert mw.Supervised().finish(last) is last.network


@pytest.mark.parametrize("method", [mw.Supervised(average=0.5), mw.FineTune(average=0.5)], ids=str)
def test_the_model_keeps_the_average(method: Method) -> None:
    start = mw.Supervised().fit(DIGITS, budget=1)
    learner: Any = method.begin(DIGITS, start if isinstance(method, mw.FineTune) else None, 0)  # type: ignore[attr-defined]
    learner.steps = 3
    begun = {name: value.clone() for name, value in learner.network.named_parameters()}
    steps(method, learner, 3)
    kept = dict(method.finish(learner).named_parameters())  # type: ignore[attr-defined]
    for name, value in learner.network.named_parameters():
        if not torch.equal(value, begun[name]):
            assert not torch.equal(kept[name], value), name
            between = (kept[name] - begun[name]).norm() < (value - begun[name]).norm() * 1.5
            assert bool(between), name


def test_label_smoothing_is_that_of_the_kind() -> None:
    data = rows_with_label("label of text")
    learner = learner_of(mw.Supervised(), data)
    batch = mw.Supervised(augment=False).draw(learner, 0, torch.Generator())
    learner.network.eval()
    assert learner.target.recipe.label_smoothing == 0.1
    open_one, stated, none = (smoothed_loss(share, learner, batch) for share in (None, 0.1, 0.0))
    assert open_one == pytest.approx(stated)
    assert open_one != pytest.approx(none)


def smoothed_loss(share: float | None, learner: AveragedLearner, batch: Any) -> float:
    return mw.Supervised(label_smoothing=share).loss(learner, batch)[0].item()
