"""EWC: the Fisher information and the penalty by hand and by another way, and that less is forgotten."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

import manyways as mw
from manyways.data.data import Data
from manyways.errors import ParameterError
from manyways.methods.bases.tasks_in_order import ContinualLearner
from manyways.methods.continual.ewc import EWC, added, elastic_penalty
from manyways.methods.continual.sequential_fine_tune import SequentialFineTune
from manyways.training.accuracy_matrix import AccuracyMatrix
from manyways.training.run import Run

from ..steps import Step


@pytest.fixture(scope="module")
def split() -> Data:
    """Digits in five tasks of two digits."""
    return mw.read("digits").with_test(0.25).with_tasks(5)


@pytest.mark.quick
def test_the_penalty_by_hand() -> None:
    weights, importance, anchor = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 0.5]), torch.tensor([0.0, 4.0])
    assert float(elastic_penalty(weights, importance, anchor)) == pytest.approx(0.5 * (3 * 1 + 0.5 * 4))


@pytest.mark.quick
def test_one_penalty_stands_for_those_of_all_tasks() -> None:
    """Its gradient is that of the sum of separate ones; its value differs by a constant."""
    rng = torch.Generator().manual_seed(0)
    fishers = [torch.rand(6, generator=rng) for _ in range(4)]
    fishers[0][2] = fishers[1][2] = 0.0
    anchors = [torch.randn(6, generator=rng) for _ in range(4)]
    importance, anchor = torch.zeros(6), torch.zeros(6)
    for fisher, where in zip(fishers, anchors, strict=True):
        importance, anchor = added(importance, anchor, fisher, where)

    def separate(weights: Tensor) -> Tensor:
        parts = [elastic_penalty(weights, f, a) for f, a in zip(fishers, anchors, strict=True)]
        return torch.stack(parts).sum()

    differences = []
    for _ in range(3):
        weights = torch.randn(6, generator=rng, requires_grad=True)
        one, several = elastic_penalty(weights, importance, anchor), separate(weights)
        torch.testing.assert_close(torch.autograd.grad(one, weights)[0], torch.autograd.grad(several, weights)[0])
        differences.append(float((several - one).detach()))
    assert np.ptp(differences) < 1e-5
    assert differences[0] > 0


def exact_fisher(learner: ContinualLearner, task: int, classes: list[int]) -> Tensor:
    """Σ over classes of p(y|x) times the squared gradient of ln p(y|x), row by row, the mean over rows."""
    network = learner.network.eval()
    rows = learner.tasks.rows[task]
    total = None
    for row in rows:
        outputs = network(learner.take(np.array([row])))[0, classes]
        logs = outputs.log_softmax(0)
        for at in range(len(classes)):
            parts = torch.autograd.grad(logs[at], list(network.parameters()), retain_graph=True)
            squared = torch.cat([part.flatten() for part in parts]).square() * logs[at].exp().detach()
            total = squared if total is None else total + squared
    assert total is not None
    return total / len(rows)


def test_the_fisher_information_is_that_of_single_rows(split: Data) -> None:
    """Estimated from the sums of batches under drawn labels; against the exact expectation, row by row."""
    few = split.select(np.flatnonzero(split.part[split.rows] == 0)[::12])
    method = EWC(size=0.25, scenario="task", fisher_batches=600)
    torch.manual_seed(0)
    learner = method.begin(few, None, 0)
    learner.network.eval()
    estimated, exact = method.fisher(learner, 0), exact_fisher(learner, 0, [0, 1])
    assert float(estimated.sum()) == pytest.approx(float(exact.sum()), rel=0.15)
    large = exact > exact.quantile(0.9)
    ratio = estimated[large] / exact[large]
    assert float(ratio.mean()) == pytest.approx(1, abs=0.1)
    assert float(torch.corrcoef(torch.stack([estimated, exact]))[0, 1]) > 0.98


@pytest.mark.quick
def test_outputs_of_other_tasks_do_not_matter_to_a_task(split: Data) -> None:
    """Told the task, the biases of other classes have no Fisher information."""
    learner = EWC(scenario="task").begin(split, None, 0)
    fisher = EWC(scenario="task", fisher_batches=4).fisher(learner, 1)
    of_bias = fisher[-10:]
    assert (of_bias[[2, 3]] > 0).all()
    assert (of_bias[[0, 1, 4, 5, 6, 7, 8, 9]] == 0).all()


@pytest.mark.quick
def test_the_anchor_is_where_the_task_ended(split: Data) -> None:
    method = EWC(fisher_batches=2)
    learner = method.begin(split, None, 0)
    learner.steps = 50
    for step in range(9):
        method.after(learner, step)
    assert float(learner.get_buffer("importance").sum()) == 0
    method.after(learner, 9)
    weights = torch.cat([p.detach().flatten() for p in learner.network.parameters()])
    held = learner.get_buffer("importance") > 0
    torch.testing.assert_close(learner.get_buffer("anchor")[held], weights[held])


@pytest.mark.quick
def test_online_importances_fade(split: Data) -> None:
    method = EWC(online=True, decay=0.5, fisher_batches=2)
    learner = method.begin(split, None, 0)
    method.end_of_task(learner, 0)
    first = learner.get_buffer("importance").clone()
    second = method.fisher(learner, 1)
    method.end_of_task(learner, 1)
    torch.testing.assert_close(learner.get_buffer("importance"), 0.5 * first + second)


@pytest.mark.quick
def test_after_the_last_task_nothing_is_computed(split: Data) -> None:
    learner = EWC(fisher_batches=2).begin(split, None, 0)
    EWC(fisher_batches=2).end_of_task(learner, 4)
    assert float(learner.get_buffer("importance").sum()) == 0


@pytest.mark.quick
def test_a_decay_is_of_the_online_variant() -> None:
    with pytest.raises(ParameterError, match=r"EWC\.decay is of the online variant: set online=True"):
        EWC(decay=0.9)


def test_without_a_penalty_it_is_plain_fine_tuning(split: Data) -> None:
    one = EWC(penalty=0.0, fisher_batches=1).fit(split, budget=20)
    other = SequentialFineTune().fit(split, budget=20)
    assert np.array_equal(one.outputs(split.test), other.outputs(split.test))


@pytest.mark.parametrize("online", [False, True])
def test_less_is_forgotten_where_the_task_is_told(online: bool) -> None:
    """Tasks that fight over the same weights: two tables whose classes are told apart by opposite rules."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1200, 8))
    task = np.repeat([0, 1, 2], 400)
    rule = np.stack([x[:, 0] + x[:, 1], -x[:, 0] + x[:, 2], -x[:, 1] - x[:, 2]])[task, np.arange(1200)]
    label = 2 * task + (rule > 0)
    columns = {f"x{at}": x[:, at] for at in range(8)}
    data = mw.read({**columns, "label": label, "task": task}, task="task").with_test(0.25)
    plain, held = AccuracyMatrix(data), AccuracyMatrix(data)
    SequentialFineTune(scenario="task").fit(data, budget=450, run=Run(listeners=[plain]))
    EWC(scenario="task", online=online).fit(data, budget=450, run=Run(listeners=[held]))
    assert held.forgetting < plain.forgetting - 0.02, (held.forgetting, plain.forgetting)
    assert held.average_accuracy > plain.average_accuracy


@pytest.mark.quick
def test_a_whole_step(split: Data) -> None:
    """In the second task the classes seen so far are told apart, plus λ/2 Σ F (θ − θ*)²; nothing else moves."""
    torch.manual_seed(0)
    method = EWC(penalty=30.0, fisher_batches=2, batch_size=16, clip=None)
    count = sum(p.numel() for p in method.begin(split, None, 0).network.parameters())
    importance, anchor = torch.rand(count), torch.randn(count) / 10

    def after_a_task(learner: ContinualLearner) -> None:
        learner.begun.fill_(1)
        learner.get_buffer("importance").copy_(importance)
        learner.get_buffer("anchor").copy_(anchor)

    step = Step(method, split, step=13, steps=50, change=after_a_task)
    learner, batch = step.by_hand, step.batch
    outputs = learner.network(batch["inputs"])
    assert set(batch["labels"].tolist()) == {2, 3}
    weights = torch.cat([p.flatten() for p in learner.network.parameters()])
    held = 30.0 / 2 * (importance * (weights - anchor) ** 2).sum()
    loss = cross_entropy(outputs[:, :4], batch["labels"]) + held
    step.descend(loss)
    learner.begun.fill_(2)
    step.agree(loss)
