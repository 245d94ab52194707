"""iCaRL: exemplars by herding, the nearest of their means, and outputs that are distilled from task to task."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

import manyways as mw
from manyways.data.data import Data
from manyways.errors import NeedsError
from manyways.methods.continual.icarl import ICaRL, NearestMeanHead, herding
from manyways.methods.continual.sequential_fine_tune import SequentialFineTune
from manyways.training.accuracy_matrix import AccuracyMatrix
from manyways.training.run import Run

from ..steps import Step, begun


@pytest.fixture(scope="module")
def split() -> Data:
    """Digits in five tasks of two digits."""
    return mw.read("digits").with_test(0.25).with_tasks(5)


@pytest.mark.quick
def test_herding_by_trying_every_row() -> None:
    features = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
    chosen: list[int] = []
    for _ in range(12):
        others = [row for row in range(12) if row not in chosen]
        away = [float((features[[*chosen, row]].mean(0) - features.mean(0)).norm()) for row in others]
        chosen.append(others[int(np.argmin(away))])
    assert herding(features, 12).tolist() == chosen
    assert herding(features, 4).tolist() == chosen[:4]
    assert len(herding(features, 99)) == 12


@pytest.mark.quick
def test_the_nearest_mean_by_hand() -> None:
    head = NearestMeanHead(2, 3)
    head.means[:2] = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    logits = head(torch.tensor([[3.0, 0.0], [1.0, 2.0]]))
    torch.testing.assert_close(logits[0, :2], torch.tensor([0.0, -2.0]))
    assert logits.argmax(1).tolist() == [0, 1]
    assert (logits[:, 2] == -1e4).all(), "a class that was not seen is not predicted"


@pytest.mark.quick
def test_exemplars_are_shared_among_the_classes_so_far(split: Data) -> None:
    method = ICaRL(memory=24)
    learner = begun(method, split, None, 50)
    firsts: dict[int, list[int]] = {}
    for task, each in enumerate((12, 6, 4)):
        method.after(learner, 10 * task + 9)
        labels = learner.labels.numpy()[learner.kept]
        assert np.bincount(labels).tolist() == [each] * (2 * task + 2)
        for code in range(2 * task + 2):
            rows = learner.kept[labels == code].tolist()
            assert firsts.setdefault(code, rows)[:each] == rows, "of each class the first of its herd stay"


@pytest.mark.quick
def test_exemplars_are_the_herd_of_the_rows_of_their_class(split: Data) -> None:
    method = ICaRL(memory=20)
    learner = begun(method, split, None, 50)
    method.after(learner, 9)
    labels, rows = learner.labels.numpy(), learner.tasks.rows[0]
    for code in (0, 1):
        of_class = np.sort(rows[labels[rows] == code])
        with torch.no_grad():
            features = normalize(learner.network.eval().features(learner.take(of_class)).float(), dim=1)
        herd = of_class[herding(features, 10)]
        assert sorted(learner.kept[labels[learner.kept] == code].tolist()) == sorted(herd.tolist())


@pytest.mark.quick
def test_a_class_of_a_task_under_way_is_predicted_by_its_rows(split: Data) -> None:
    method = ICaRL(memory=20)
    learner = begun(method, split, None, 50)
    for step in range(13):
        method.after(learner, step)
    model = method.make_model(learner)
    head = model.network.head
    assert isinstance(head, NearestMeanHead)
    assert head.means.any(1).tolist() == [True] * 4 + [False] * 6
    assert set(model.predict(split.test).tolist()) <= {0, 1, 2, 3}


@pytest.mark.quick
def test_a_share_of_the_batch_is_of_the_exemplars(split: Data) -> None:
    method = ICaRL(memory=20, batch_size=10, memory_share=0.4)
    learner = begun(method, split, None, 50)
    method.after(learner, 9)
    labels = method.draw(learner, 13, torch.Generator())["labels"]
    assert ((labels < 2).sum(), ((labels == 2) | (labels == 3)).sum()) == (4, 6)
    pool = ICaRL(memory=20).draw(learner, 13, torch.Generator())["labels"]
    assert 0 < (pool < 2).sum() < 20, "otherwise exemplars come as often as other rows"


@pytest.mark.quick
def test_a_memory_of_fewer_rows_than_classes_is_refused(split: Data) -> None:
    with pytest.raises(NeedsError, match="there are 10 classes for memory=9. Keep more: memory=200"):
        ICaRL(memory=9).check(split, None)


def test_less_is_forgotten(split: Data) -> None:
    plain, held = AccuracyMatrix(split), AccuracyMatrix(split)
    SequentialFineTune().fit(split, budget=100, run=Run(listeners=[plain]))
    model = ICaRL(memory=60).fit(split, budget=100, run=Run(listeners=[held]))
    assert held.average_accuracy > plain.average_accuracy + 0.4
    assert held.forgetting < plain.forgetting - 0.4
    assert len(set(model.lineage.facts["memory"])) == 60


def test_the_task_is_told(split: Data) -> None:
    model = ICaRL(memory=60, scenario="task").fit(split, budget=50)
    assert model.kind == "task-predictor"
    assert model.evaluate(split.test)["accuracy"] > 0.9


@pytest.mark.quick
def test_a_whole_step(split: Data) -> None:
    """In the second task: old outputs learn what the network before said, of all rows; the new ones their labels."""
    method = ICaRL(memory=20, batch_size=12, memory_share=0.5, clip=None)

    def after_a_task(learner: Any) -> None:
        learner.begun.fill_(1)
        learner.memory[:20] = torch.from_numpy(learner.tasks.rows[0][:20])
        with torch.no_grad():
            learner.teacher.network.head.linear.weight.mul_(5)

    step = Step(method, split, step=13, steps=50, change=after_a_task)
    learner, batch = step.by_hand, step.batch
    logits, teacher = learner.network(batch["inputs"]), learner.teacher.network(batch["inputs"]).detach()
    losses = []
    for row, label in enumerate(batch["labels"].tolist()):
        wanted = [teacher[row, 0].sigmoid(), teacher[row, 1].sigmoid(), torch.tensor(float(label == 2)),
                  torch.tensor(float(label == 3))]  # fmt: skip
        said = logits[row, :4].sigmoid()
        losses.append(sum(-(w * p.log() + (1 - w) * (1 - p).log()) for w, p in zip(wanted, said, strict=True)))
    loss = torch.stack([torch.as_tensor(each) for each in losses]).mean()
    step.descend(loss)
    learner.begun.fill_(2)
    step.agree(loss)


@pytest.mark.quick
def test_means_are_those_of_the_exemplars(split: Data) -> None:
    method = ICaRL(memory=20)
    learner = begun(method, split, None, 50)
    for step in range(10):
        method.after(learner, step)
    rows = learner.kept[learner.labels.numpy()[learner.kept] == 1]
    features = normalize(learner.network.eval().features(learner.take(rows)), dim=1)
    means = method.finish(learner).head.means
    torch.testing.assert_close(means[1], normalize(features.mean(0), dim=0).detach())
