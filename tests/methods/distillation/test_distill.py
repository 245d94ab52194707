"""Distill: its loss by hand, and students of any size that say what their teacher says."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from manyways.data.data import Data
from manyways.data.targets.classes import kl_distillation
from manyways.methods.distillation.distill import Distill
from manyways.methods.semi_supervised.label_propagation import LabelPropagation
from manyways.methods.supervised.supervised import Supervised
from manyways.models.model import Model


@pytest.fixture(scope="module")
def teacher(digits: Data) -> Model:
    return Supervised().fit(digits, budget=200)


@pytest.fixture(scope="module")
def unlabelled(digits: Data) -> Data:
    """The digits without their label column."""
    return replace(
        digits, roles={"input": ("image",)}, columns={"image": digits.columns["image"]},
        visible=np.zeros(len(digits.part), bool),
    )  # fmt: skip


@pytest.mark.quick
@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_loss_by_hand(temperature: float) -> None:
    student, teacher = [[1.0, 0.0, -1.0], [0.0, 0.0, 3.0]], [[2.0, 1.0, 0.0], [1.0, -1.0, 0.5]]
    total = 0.0
    for told, taught in zip(student, teacher, strict=True):
        p, q = (_softmax([x / temperature for x in row]) for row in (taught, told))
        total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    loss = kl_distillation(torch.tensor(student), torch.tensor(teacher), temperature)
    assert float(loss) == pytest.approx(temperature**2 * total / 2, rel=1e-5)


def _softmax(values: list[float]) -> list[float]:
    powers = [math.exp(value) for value in values]
    return [power / sum(powers) for power in powers]


@pytest.mark.quick
def test_loss_is_nothing_between_equals() -> None:
    logits = torch.tensor([[1.0, -2.0, 0.3]])
    assert float(kl_distillation(logits, logits + 5, 3.0)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("size", [0.5, 1.5])
def test_student_of_another_size_says_what_the_teacher_says(
    size: float, digits: Data, unlabelled: Data, teacher: Model
) -> None:
    """From rows without a single label it comes to agree with the teacher on rows that neither has seen."""
    student = Distill(size=size).fit(unlabelled, teacher, budget=200)
    untrained = Distill(size=size, learning_rate=1e-12).fit(unlabelled, teacher, budget=1)
    taught = teacher.predict(digits.test)
    agree, at_first = ((model.predict(digits.test) == taught).mean() for model in (student, untrained))
    assert agree > 0.9
    assert at_first < 0.4
    assert (student.parameters > teacher.parameters) == (size > 1)
    assert student.parameters != teacher.parameters


def test_student_learns_the_teacher_and_not_the_labels(digits: Data) -> None:
    """A teacher that takes each digit for the next one makes a student that does."""
    turned = digits.with_label_values(np.arange(len(digits)), (digits.take("label") + 1) % 10)
    wrong = Supervised().fit(turned, budget=150)
    student = Distill(label_weight=0.0).fit(digits, wrong, budget=150)
    assert ((digits.test.take("label") + 1) % 10 == student.predict(digits.test)).mean() > 0.8


def test_label_weight_of_one_is_the_labels_alone(digits: Data) -> None:
    turned = digits.with_label_values(np.arange(len(digits)), (digits.take("label") + 1) % 10)
    wrong = Supervised().fit(turned, budget=30)
    student = Distill(label_weight=1.0).fit(digits, wrong, budget=150)
    assert student.evaluate(digits.test)["accuracy"] > 0.85


def test_a_network_learns_from_a_method_that_has_none(digits: Data) -> None:
    """The teacher need not be a network: labels that flowed over a graph teach one."""
    few = digits.with_labels(40, draw="stratified")
    flowing = LabelPropagation().fit(few)
    student = Distill().fit(few, flowing, budget=150)
    agree = (student.predict(digits.test) == flowing.predict(digits.test)).mean()
    assert agree > 0.8
    assert student.gives == {"classify", "embed"}


def test_numbers_are_distilled(diabetes: Data) -> None:
    teacher = Supervised().fit(diabetes, budget=150)
    student = Distill(size=0.5).fit(diabetes.with_labels(10, draw="stratified"), teacher, budget=150)
    gap = np.abs(student.predict(diabetes.test) - teacher.predict(diabetes.test)).mean()
    assert gap < 0.4 * diabetes.test.take("label").std()
    assert student.gives == {"regress", "embed"}


def test_temperature_changes_what_is_learned(digits: Data, teacher: Model) -> None:
    sharp, soft = (Distill(temperature=t, label_weight=0.0).fit(digits, teacher, budget=10) for t in (0.5, 10.0))
    assert not np.allclose(sharp.outputs(digits.test), soft.outputs(digits.test), atol=1e-2)
