"""DER: logits are kept as they were when a row came by, and hold the network to them later."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

import manyways as mw
from manyways.data.data import Data
from manyways.methods.continual.der import DER
from manyways.methods.continual.sequential_fine_tune import SequentialFineTune
from manyways.training.accuracy_matrix import AccuracyMatrix
from manyways.training.loop import take_step
from manyways.training.optimizer import make_optimizer
from manyways.training.run import Run

from ..steps import Step, begun


@pytest.fixture(scope="module")
def split() -> Data:
    """Digits in five tasks of two digits."""
    return mw.read("digits").with_test(0.25).with_tasks(5)


def outputs(learner: Any, rows: Any) -> torch.Tensor:
    """The logits of the network in evaluation."""
    with torch.no_grad():
        found: torch.Tensor = learner.network.eval()(learner.take(np.asarray(rows)))
    learner.network.train()
    return found


@pytest.mark.quick
def test_rows_are_kept_with_the_logits_of_their_time(split: Data) -> None:
    method = DER(memory=64, batch_size=12)
    learner = begun(method, split, None, 50)
    optimizer = make_optimizer(method, learner)
    take_step(method, learner, optimizer, 0, 50, 0)
    assert len(learner.kept) == int(learner.seen) == 12, "without a memory the whole batch is new"
    first = outputs(learner, learner.kept)
    torch.testing.assert_close(learner.logits[:12], first)
    take_step(method, learner, optimizer, 3, 50, 0)
    assert len(learner.kept) == len(set(learner.kept.tolist())) == 16, "a third of the batch is new"
    torch.testing.assert_close(learner.logits[:12], first, msg="later steps change them")
    torch.testing.assert_close(learner.logits[12:16], outputs(learner, learner.kept[12:]))
    assert not torch.allclose(outputs(learner, learner.kept[:12]), first)
    assert not learner.logits[16:].any()


@pytest.mark.quick
def test_a_batch_has_new_rows_and_two_draws_of_the_memory(split: Data) -> None:
    method = DER(memory=30, batch_size=20, memory_share=0.5)
    learner = begun(method, split, None, 50)
    old = learner.tasks.rows[0][:30]
    learner.memory.copy_(torch.from_numpy(old))
    learner.logits.copy_(torch.arange(30.0)[:, None].expand(-1, 10))
    batch = method.draw(learner, 13, torch.Generator())
    assert batch["replayed"] == 5
    assert set(batch["labels"][:10].tolist()) == {2, 3}
    assert set(batch["labels"][10:].tolist()) <= {0, 1}
    pixels = learner.take(old[batch["kept_logits"][:, 0].long().numpy()])["image"]
    assert torch.equal(batch["inputs"]["image"][10:15], pixels), "logits are those of the rows that are shown"
    assert not torch.equal(batch["inputs"]["image"][15:], pixels), "labels are learned of other rows"


@pytest.mark.quick
@pytest.mark.parametrize(("scenario", "own"), [("class", range(10)), ("task", (2, 3))])
def test_classes_among_which_rows_are_asked(split: Data, scenario: Any, own: Any) -> None:
    method = DER(scenario=scenario, batch_size=9)
    learner = begun(method, split, None, 50)
    allowed = method.allowed(learner, learner.tasks.rows[1][:4], 1)
    assert [row.nonzero()[:, 0].tolist() for row in allowed] == [list(own)] * 4


@pytest.mark.parametrize("label_weight", [0.5, 0.0])
def test_less_is_forgotten(split: Data, label_weight: float) -> None:
    plain, held = AccuracyMatrix(split), AccuracyMatrix(split)
    SequentialFineTune().fit(split, budget=100, run=Run(listeners=[plain]))
    method = DER(memory=60, label_weight=label_weight, logit_weight=1.0)
    model = method.fit(split, budget=100, run=Run(listeners=[held]))
    assert held.average_accuracy > plain.average_accuracy + 0.3
    assert held.forgetting < plain.forgetting - 0.3
    assert len(set(model.lineage.facts["memory"])) == 60


@pytest.mark.quick
def test_a_whole_step(split: Data) -> None:
    """New rows by all classes, α times the squared distance to kept logits, β times the labels; then rows are kept."""
    method = DER(memory=20, batch_size=12, logit_weight=0.3, label_weight=0.7, clip=None)
    wanted = torch.randn(20, 10, generator=torch.Generator().manual_seed(1))

    def after_a_task(learner: Any) -> None:
        learner.begun.fill_(1)
        learner.seen.fill_(4)
        learner.memory[:4] = torch.from_numpy(learner.tasks.rows[0][:4])
        learner.logits[:4] = wanted[:4]

    step = Step(method, split, step=13, steps=50, change=after_a_task)
    learner, batch = step.by_hand, step.batch
    logits = learner.network(batch["inputs"])
    squares = (logits[4:8] - batch["kept_logits"]).square().sum(1).mean() / 10
    loss = (
        cross_entropy(logits[:4], batch["labels"][:4]) + 0.3 * squares
        + 0.7 * cross_entropy(logits[8:], batch["labels"][8:])
    )  # fmt: skip
    step.descend(loss)
    learner.begun.fill_(2)
    new = np.sort(method.choose(learner, 1, 13))
    learner.memory[4:8] = torch.from_numpy(new)
    learner.logits[4:8] = outputs(learner, new)
    learner.seen.fill_(8)
    step.agree(loss)
