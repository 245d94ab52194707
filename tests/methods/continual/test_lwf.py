"""LwF: the answers of the last network, of each task among its own, are kept on rows of the new one."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

import manyways as mw
from manyways.data.data import Data
from manyways.methods.continual.lwf import LwF
from manyways.methods.continual.sequential_fine_tune import SequentialFineTune
from manyways.training.accuracy_matrix import AccuracyMatrix
from manyways.training.run import Run

from ..steps import Step, begun


@pytest.fixture(scope="module")
def split() -> Data:
    """Digits in five tasks of two digits."""
    return mw.read("digits").with_test(0.25).with_tasks(5)


@pytest.mark.quick
def test_the_teacher_is_the_network_where_a_task_ended(split: Data) -> None:
    method = LwF()
    learner = begun(method, split, None, 50)
    before = learner.teacher.network.state_dict()["head.linear.weight"].clone()
    for step in range(10):
        with torch.no_grad():
            learner.network.head.linear.weight.add_(1)
        assert torch.equal(learner.teacher.network.head.linear.weight, before), "it does not follow within a task"
        method.after(learner, step)
    assert torch.equal(learner.teacher.network.head.linear.weight, learner.network.head.linear.weight)
    assert not learner.train().teacher.network.training
    assert any(name.startswith("teacher.") for name in learner.state_dict()), "it must outlive a restart"


def test_without_old_answers_it_is_plain_fine_tuning(split: Data) -> None:
    one = LwF(distillation_weight=0.0).fit(split, budget=20)
    other = SequentialFineTune().fit(split, budget=20)
    assert np.array_equal(one.outputs(split.test), other.outputs(split.test))


def of_heads(student: torch.Tensor, teacher: torch.Tensor, own: list[int]) -> torch.Tensor:
    """T² KL at temperature 3 among the classes `own`, summed over them row by row."""
    p, q = (teacher[:, own] / 3).softmax(1), (student[:, own] / 3).softmax(1)
    return 9 * (p * (p / q).log()).sum(1).mean()


@pytest.mark.quick
@pytest.mark.parametrize(
    ("scenario", "heads", "among"),
    [("class", [[0, 1, 2, 3]], [0, 1, 2, 3, 4, 5]), ("task", [[0, 1], [2, 3]], [4, 5])],
)
def test_a_whole_step(split: Data, scenario: Any, heads: list[list[int]], among: list[int]) -> None:
    """In the third task: its labels, and the answers of the network before, of each task alone where it is told."""
    method = LwF(scenario=scenario, temperature=3.0, distillation_weight=0.6, batch_size=16, clip=None)

    def after_two_tasks(learner: Any) -> None:
        learner.begun.fill_(2)
        with torch.no_grad():
            learner.teacher.network.head.linear.weight.mul_(5)

    step = Step(method, split, step=23, steps=50, change=after_two_tasks)
    learner, batch = step.by_hand, step.batch
    assert set(batch["labels"].tolist()) == {4, 5}
    logits, teacher = learner.network(batch["inputs"]), learner.teacher.network(batch["inputs"]).detach()
    labels = cross_entropy(logits[:, among], batch["labels"] - among[0])
    loss = labels + 0.6 * sum((of_heads(logits, teacher, own) for own in heads), torch.zeros(()))
    step.descend(loss)
    learner.begun.fill_(3)
    step.agree(loss)


def test_less_is_forgotten_where_the_task_is_told() -> None:
    """Tasks that fight over the same weights: tables whose classes are told apart by opposite rules."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1200, 8))
    task = np.repeat([0, 1, 2], 400)
    rule = np.stack([x[:, 0] + x[:, 1], -x[:, 0] + x[:, 2], -x[:, 1] - x[:, 2]])[task, np.arange(1200)]
    columns = {f"x{at}": x[:, at] for at in range(8)}
    data = mw.read({**columns, "label": 2 * task + (rule > 0), "task": task}, task="task").with_test(0.25)
    plain, held = AccuracyMatrix(data), AccuracyMatrix(data)
    SequentialFineTune(scenario="task").fit(data, budget=450, run=Run(listeners=[plain]))
    LwF(scenario="task").fit(data, budget=450, run=Run(listeners=[held]))
    assert held.forgetting < plain.forgetting - 0.02, (held.forgetting, plain.forgetting)
    assert held.average_accuracy > plain.average_accuracy
