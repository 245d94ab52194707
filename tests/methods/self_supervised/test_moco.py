"""MoCo: its losses against loops, keys that move slowly, and a queue that holds them."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from manyways.data.data import Data
from manyways.errors import NeedsError, ParameterError
from manyways.methods.self_supervised.moco import MoCo, MoCoLearner, batch_loss, halves, queue_loss
from manyways.randomness import generator
from manyways.training.loop import take_step
from manyways.training.optimizer import make_optimizer

from ..steps import Step


def unit(rows: int, width: int, seed: int) -> torch.Tensor:
    return normalize(torch.randn(rows, width, generator=generator(seed)), dim=1)


@pytest.mark.quick
def test_the_loss_of_a_queue_is_equation_one() -> None:
    query, key, queue = 3 * unit(4, 5, 0), 2 * unit(4, 5, 1), unit(7, 5, 2)
    same = torch.zeros(4, 7, dtype=torch.bool)
    same[1, 3] = True
    total = 0.0
    for row in range(4):
        q, k = (part[row].double() / part[row].double().norm() for part in (query, key))
        similar = [math.exp(float(q @ other.double()) / 0.3) for at, other in enumerate(queue) if (row, at) != (1, 3)]
        own = math.exp(float(q @ k) / 0.3)
        total -= math.log(own / (own + sum(similar))) / 4
    assert float(queue_loss(query, key, queue, same, 0.3)) == pytest.approx(total, rel=1e-5)


@pytest.mark.quick
def test_the_loss_of_a_batch_is_that_of_its_keys_by_twice_the_temperature() -> None:
    query, key = 3 * unit(6, 5, 0), 2 * unit(6, 5, 1)
    total = 0.0
    for row in range(6):
        similar = [math.exp(float(normalize(query, dim=1)[row] @ other) / 0.2) for other in normalize(key, dim=1)]
        total -= math.log(similar[row] / sum(similar)) / 6
    assert float(batch_loss(query, key, 0.2)) == pytest.approx(2 * 0.2 * total, rel=1e-5)


def trail(follower: nn.Module, network: nn.Module, decay: float, of_statistics: float) -> None:
    with torch.no_grad():
        for mine, other in zip(follower.parameters(), network.parameters(), strict=True):
            mine.copy_(decay * mine + (1 - decay) * other)
        for mine, other in zip(follower.buffers(), network.buffers(), strict=True):
            mine.copy_(of_statistics * mine + (1 - of_statistics) * other)


def test_a_whole_step(digits: Data) -> None:
    """Queries find their keys among those of the queue, then the keys' encoder and the queue move."""
    method = MoCo(batch_size=6, queue=10, momentum=0.6, temperature=0.5)
    step = Step(method, digits.select(np.arange(40)), step=3)
    learner, batch = step.by_hand, step.batch
    first, second = ({"image": part} for part in batch["inputs"]["image"].chunk(2))
    query = normalize(learner.projector(learner.network.features(first)), dim=1)
    with torch.no_grad():
        encoder = learner.key_encoder.network
        key = normalize(encoder.projector(encoder.network.features(second)), dim=1)
    losses = []
    for row in range(6):
        others = [at for at in range(10) if learner.queue_rows[at] != batch["rows"][row]]
        logits = torch.cat([query[row] @ key[row][:, None], query[row] @ learner.queue[others].T]) / 0.5
        losses.append(logits.logsumexp(0) - logits[0])
    loss = torch.stack(losses).mean()
    step.descend(loss)
    decay = 1 - 0.4 * (math.cos(math.pi * 3 / 10) + 1) / 2
    trail(encoder.network, learner.network, decay, min(decay, 4 / 13))
    trail(encoder.projector, learner.projector, decay, min(decay, 4 / 13))
    learner.queue[:6], learner.queue_rows[:6] = key, batch["rows"]
    learner.oldest.fill_(6)
    step.agree(loss)


def test_a_whole_step_of_v3(digits: Data) -> None:
    """Both views are query and key in turn, among the keys of the batch; the predictor is of queries alone."""
    method = MoCo(version="v3", batch_size=6, momentum=0.6, temperature=0.5)
    step = Step(method, digits.select(np.arange(40)), step=3)
    learner, batch = step.by_hand, step.batch
    queries = learner.predictor(learner.projector(learner.network.features(batch["inputs"])))
    with torch.no_grad():
        keys = learner.key_encoder.network(batch["inputs"])
    loss = sum(
        batch_loss(queries.chunk(2)[at], keys.chunk(2)[1 - at], 0.5) for at in range(2)
    )  # batch_loss itself is tried above
    step.descend(loss)
    decay = 1 - 0.4 * (math.cos(math.pi * 3 / 10) + 1) / 2
    trail(learner.key_encoder.network.network, learner.network, decay, min(decay, 4 / 13))
    trail(learner.key_encoder.network.projector, learner.projector, decay, min(decay, 4 / 13))
    assert learner.queue.numel() == 0
    step.agree(loss)


def trained(method: MoCo, data: Data, steps: int) -> MoCoLearner:
    learner = method.begin(data, None, 0)
    learner.steps = steps
    learner.train()
    method.prepare(learner)
    optimizer = make_optimizer(method, learner)
    for step in range(steps):
        take_step(method, learner, optimizer, step, steps, 0)
    return learner


def test_the_queue_holds_the_keys_of_the_newest_batches_and_their_rows(digits: Data) -> None:
    data = digits.select(np.arange(60))
    method = MoCo(batch_size=8, queue=20)
    learner = trained(method, data, 4)
    newest = np.concatenate([learner.pick(learner.everything, 8, step) for step in range(4)])[-20:]
    assert sorted(learner.queue_rows.tolist()) == sorted(newest.tolist())
    torch.testing.assert_close(learner.queue.norm(dim=1), torch.ones(20))
    assert learner.oldest == 32 % 20


def test_it_is_full_of_keys_of_rows_before_the_first_step(digits: Data) -> None:
    learner = MoCo(batch_size=16, queue=40).begin(digits, None, 0)
    MoCo(batch_size=16, queue=40).prepare(learner)
    assert len(set(learner.queue_rows.tolist())) == 40
    torch.testing.assert_close(learner.queue.norm(dim=1), torch.ones(40))


def test_a_row_is_never_its_own_negative(digits: Data) -> None:
    """With as many keys as rows each row's last key is in the queue; it is left out."""
    data = digits.select(np.arange(30))
    rows = len(data.training)
    method = MoCo(batch_size=8, queue=rows)
    learner = method.begin(data, None, 0)
    method.prepare(learner)
    batch = method.draw(learner, 0, generator(0))
    learner.queue_rows.copy_(batch["rows"].repeat(rows)[:rows])
    learner.eval()
    before = method.loss(learner, batch)[0]
    for at, row in enumerate(batch["rows"].tolist()):
        alone = {"inputs": {"image": batch["inputs"]["image"][[at, at + 8]]}, "rows": batch["rows"][[at]]}
        learner.queue_rows.fill_(row)
        assert method.loss(learner, alone)[0].item() == 0.0, "nothing else is in the queue"
    assert before > 0


def test_keys_move_by_the_average_alone_and_the_queries_are_kept(digits: Data) -> None:
    method = MoCo(batch_size=8, momentum=0.9)
    learner = trained(method, digits, 3)
    model = method.make_model(learner)
    kept, keys = dict(model.network.named_parameters()), dict(learner.key_encoder.network.network.named_parameters())
    assert all(torch.equal(value, dict(learner.network.named_parameters())[name]) for name, value in kept.items())
    assert not all(torch.equal(value, kept[name]) for name, value in keys.items())
    assert not any(parameter.requires_grad for parameter in learner.key_encoder.parameters())


def test_features_tell_rows_apart_and_it_says_so(digits: Data) -> None:
    """A key encoder that follows at once lets all keys become one; a slow one does not."""
    scores = MoCo(batch_size=32).fit(digits, budget=30, seed=0).lineage.facts["pretext"]
    assert scores["accuracy"] > 20 * scores["chance"]
    assert scores["spread"] > 0.5


def test_a_collapse_is_said(digits: Data) -> None:
    """Without differences of similarity nothing holds rows apart, and a large rate does the rest."""
    collapsing = MoCo(batch_size=32, momentum=0.0, learning_rate=2e-3)
    facts = collapsing.fit(digits, budget=40, seed=0).lineage.facts
    assert facts["pretext"]["spread"] < 0.03
    assert facts["caution"].startswith("The representation has collapsed")


@pytest.mark.quick
def test_a_queue_longer_than_the_data_is_refused(digits: Data) -> None:
    few = digits.select(np.arange(40))
    rows = len(few.training)
    with pytest.raises(
        NeedsError, match=rf"queue of 4,096 keys is longer than the data, which have {rows} training rows"
    ):
        MoCo(queue=4096).fit(few, budget=1)
    learner = MoCo().begin(few, None, 0)
    assert len(learner.queue) == rows // 2
    assert len(MoCo(batch_size=2).begin(few, None, 0).queue) == min(32, rows // 2)
    with pytest.raises(ParameterError, match="momentum"):
        MoCo(momentum=1.0)


@pytest.mark.quick
def test_the_halves_of_a_batch() -> None:
    first, second = halves({"a": torch.arange(6)})
    assert first["a"].tolist() == [0, 1, 2]
    assert second["a"].tolist() == [3, 4, 5]
    assert replace(MoCo(), version="v3") != MoCo()
