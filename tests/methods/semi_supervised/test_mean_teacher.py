"""MeanTeacher: its parts by hand, a teacher that trails, and agreement that makes the model better."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from manyways.data.data import Data
from manyways.data.targets import ClassTarget, NumberTarget
from manyways.methods.semi_supervised.mean_teacher import MeanTeacher, ramp_up
from manyways.randomness import generator
from manyways.training.average import AverageNetwork
from manyways.training.loop import take_step
from manyways.training.optimizer import make_optimizer

from ..steps import Step, move_average


@pytest.mark.quick
def test_consistency_of_classes_by_hand() -> None:
    student, teacher = torch.tensor([[0.0, math.log(3)]]), torch.tensor([[0.0, 0.0]])
    # Probabilities are (1/4, 3/4) and (1/2, 1/2).
    assert float(ClassTarget("y", ("a", "b")).consistency_loss(student, teacher)) == pytest.approx(0.25**2 + 0.25**2)


@pytest.mark.quick
def test_consistency_of_numbers_by_hand() -> None:
    student, teacher = torch.tensor([[1.0], [5.0]]), torch.tensor([[0.0], [2.0]])
    assert float(NumberTarget("y").consistency_loss(student, teacher)) == pytest.approx((1 + 9) / 2)


@pytest.mark.quick
@pytest.mark.parametrize(("progress", "weight"), [(0.0, math.exp(-5)), (0.5, math.exp(-1.25)), (1, 1), (3, 1)])
def test_ramp_up_is_the_papers(progress: float, weight: float) -> None:
    assert ramp_up(progress) == pytest.approx(weight)


@pytest.mark.quick
def test_teacher_is_the_moving_average(digits: Data) -> None:
    """After each step the teacher is decay · teacher + (1 − decay) · student, decay = min(0.99, (1+t)/(10+t))."""
    method = MeanTeacher(batch_size=4, unlabelled_ratio=1)
    learner = method.begin(digits.with_labels(40, draw="stratified"), None, 0)
    optimizer = make_optimizer(method, learner)
    assert isinstance(learner.teacher, AverageNetwork)
    expected = [p.detach().clone().double() for p in learner.network.parameters()]
    for step in range(4):
        take_step(method, learner, optimizer, step, 10, 0)
        decay = (1 + step) / (10 + step)
        students = learner.network.parameters()
        expected = [decay * e + (1 - decay) * p.detach().double() for e, p in zip(expected, students, strict=True)]
    for e, p in zip(expected, learner.teacher.network.parameters(), strict=True):
        torch.testing.assert_close(p.double(), e, rtol=1e-4, atol=1e-6)
        assert not p.requires_grad


@pytest.mark.quick
def test_loss_weighs_agreement_by_the_ramp(digits: Data) -> None:
    method = MeanTeacher(batch_size=4, unlabelled_ratio=2, consistency_weight=3.0, ramp_up_share=0.5)
    learner = method.begin(digits.with_labels(40, draw="stratified"), None, 0)
    learner.steps = 100
    batch = method.draw(learner, 25, generator(0))
    total, parts = method.loss(learner, batch)
    weight = 3.0 * math.exp(-5 * (1 - 0.5) ** 2)
    expected = parts["supervised"] + weight * parts["consistency"]
    assert total.item() == pytest.approx(expected.item(), rel=1e-5)


def test_agreement_makes_better_probabilities(cancer: Data) -> None:
    """With six labels the log loss falls; over three draws of them, so that no lucky draw decides."""

    def loss(weight: float) -> float:
        method = MeanTeacher(consistency_weight=weight)
        models = [
            method.fit(cancer.with_labels(6, seed, draw="stratified"), budget=150, seed=seed) for seed in range(3)
        ]
        return float(np.mean([model.evaluate(cancer.test)["log_loss"] for model in models]))

    assert loss(10.0) < 0.85 * loss(0.0)


def test_agreement_makes_better_numbers(diabetes: Data) -> None:
    def score(weight: float) -> float:
        method = MeanTeacher(consistency_weight=weight)
        models = [
            method.fit(diabetes.with_labels(25, seed, draw="stratified"), budget=150, seed=seed) for seed in range(3)
        ]
        return float(np.mean([model.evaluate(diabetes.test)["r2"] for model in models]))

    assert score(3.0) > score(0.0) + 0.03


def test_unlabelled_rows_change_what_is_learned(cancer: Data) -> None:
    few = cancer.with_labels(20, draw="stratified")
    hidden = np.flatnonzero(~few.labelled & (few.part[few.rows] == 0))
    fewer = few.select(np.setdiff1d(np.arange(len(few)), hidden[100:]))
    models = [MeanTeacher().fit(data, budget=30) for data in (few, fewer)]
    assert not np.allclose(models[0].outputs(cancer.test), models[1].outputs(cancer.test), atol=1e-2)


@pytest.mark.quick
def test_a_whole_step(digits: Data) -> None:
    """The student learns from labels and from the teacher's probabilities of another view; then the teacher moves."""
    method = MeanTeacher(batch_size=4, unlabelled_ratio=2, consistency_weight=3.0, average_decay=0.2)
    step = Step(method, digits.with_labels(40, draw="stratified"), step=1)
    learner, batch = step.by_hand, step.batch
    outputs = learner.network(batch["student"])
    with torch.no_grad():
        teacher = learner.teacher.network.train()(batch["teacher"]).softmax(1)
    apart = (outputs.softmax(1) - teacher).square().mean()
    loss = cross_entropy(outputs[:4], batch["labels"]) + 3.0 * 10 * math.exp(-5 * (1 - 0.1 / 0.2) ** 2) * apart
    step.descend(loss)
    move_average(learner.teacher, learner.network, 2 / 11)
    step.agree(loss)


@pytest.mark.quick
def test_student_and_teacher_see_two_views_of_the_same_rows(digits: Data) -> None:
    method = MeanTeacher(batch_size=4, unlabelled_ratio=2)
    learner = method.begin(digits.with_labels(40, draw="stratified"), None, 0)
    batch = method.draw(learner, 0, generator(0))
    student, teacher = batch["student"]["image"], batch["teacher"]["image"]
    rows = np.concatenate([learner.pick(learner.labelled, 4, 0), learner.pick(learner.unlabelled, 8, 0, 1)])
    shown = learner.take(rows)["image"].float() / 255
    apart = [float((view - shown).abs().mean()) for view in (student, teacher)]
    assert not torch.equal(student, teacher)
    assert max(apart) < float((student - shown.flip(0)).abs().mean()), "they are not views of these rows"
