"""MANN: labels come one step late, and new classes are answered by what was written on the way."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot

import manyways as mw
from manyways.data.data import Data
from manyways.errors import ModelError, NeedsError, ParameterError
from manyways.methods.meta.mann import MANN
from manyways.methods.meta.ntm import NTM
from manyways.models.external_memory import LeastUsedMemory
from manyways.models.few_shot.memory_head import MemoryHead
from manyways.models.few_shot.remembering import Remembering, by_instance, in_random_order
from manyways.models.memory_model import MemoryModel

from ..steps import Step, begun

SMALL: dict[str, Any] = {"hidden": 12, "slots": 10, "slot_width": 6, "reads": 2, "batch_size": 2}


@pytest.fixture(scope="module")
def digits() -> Data:
    """Digits of 8 pixels."""
    return mw.read("digits").with_test(0.3)


def head_like(seed: int = 0) -> MemoryHead:
    torch.manual_seed(seed)
    return MemoryHead(3, 4, 4, 8, 6, 5, 2, "least-used")


@pytest.mark.quick
def test_a_label_comes_with_the_next_row() -> None:
    head = head_like()
    features, labels = torch.randn(1, 6, 3), torch.tensor([[0, 1, 2, 3, 0, 1]])
    other = labels.clone()
    other[0, 2] = 0
    one, two = (head.follow(features, each)[0] for each in (labels, other))
    assert torch.equal(one[0, :3], two[0, :3]), "a row is answered before its label is seen"
    assert (one[0, 3:] != two[0, 3:]).any(1).all()


@pytest.mark.quick
def test_an_adapted_head_answers_as_the_next_row_of_the_sequence() -> None:
    head = head_like()
    shown, labels, rows = torch.randn(5, 3), torch.tensor([2, 0, 1, 0, 2]), torch.randn(4, 3)
    with torch.no_grad():
        adapted = head.remembering(shown, labels, 3)
        for row, logits in zip(rows, adapted(rows), strict=True):
            whole = torch.cat([shown, row[None]])[None]
            expected = head.follow(whole, torch.cat([labels, torch.tensor([0])])[None])[0][0, -1]
            torch.testing.assert_close(logits, expected[:3])
    assert torch.equal(adapted(rows), adapted(rows)), "answers leave the memory as it is"
    assert not head.get_buffer("state_hidden").any(), "the head that it is made of stays as it was"


@pytest.mark.quick
def test_a_batch_is_sequences_in_random_order_with_shuffled_names(digits: Data) -> None:
    learner = begun(MANN(ways=3, queries=3, **SMALL), digits, None, 10)
    method = MANN(ways=3, queries=3, **SMALL)
    batches = [method.draw(learner, step, torch.Generator().manual_seed(step)) for step in range(4)]
    names: dict[bytes, set[int]] = {}
    true = {row.tobytes(): int(label) for row, label in zip(
        learner.take(learner.everything)["image"].numpy(), learner.labels, strict=True)}  # fmt: skip
    for batch in batches:
        assert batch["labels"].shape == (2, 12)
        assert batch["labels"].sort(1).values.tolist() == [[0] * 4 + [1] * 4 + [2] * 4] * 2
        assert (batch["labels"].diff(dim=1) < 0).any(1).all(), "classes come in no order"
        for images, labels in zip(batch["inputs"]["image"].numpy(), batch["labels"].tolist(), strict=True):
            digits_of = {name: {true[image.tobytes()] for image, each in zip(images, labels, strict=True)
                                if each == name} for name in range(3)}  # fmt: skip
            assert all(len(each) == 1 for each in digits_of.values()), "a name is of one class in a sequence"
            for name, each in digits_of.items():
                names.setdefault(bytes(each), set()).add(name)
    assert max(map(len, names.values())) > 1, "a class has another name in another sequence"


@pytest.mark.quick
def test_a_whole_step(digits: Data) -> None:
    """The loop goes row by row; the loss is the cross-entropy of all rows, the first of a class included."""
    method = MANN(ways=3, queries=2, backbone="flat", clip=None, **SMALL)
    step = Step(method, digits)
    learner, batch = step.by_hand, step.batch
    head, labels = learner.network.head, batch["labels"]
    losses = []
    for episode in range(2):
        features = learner.network.features({name: each[episode] for name, each in batch["inputs"].items()})
        state, before = head.controller.start(1), torch.zeros(1, 3)
        for row, label in zip(features, labels[episode], strict=True):
            outputs, state = head.controller(torch.cat([row[None], before], 1)[:, None], state)
            losses.append(cross_entropy(head.classifier(outputs[:, 0]), label[None]))
            before = one_hot(label[None], 3).float()
    loss = torch.stack(losses).mean()
    step.descend(loss)
    step.agree(loss)
    assert isinstance(head.controller.memory, LeastUsedMemory)


@pytest.mark.quick
def test_accuracy_by_instance_counts_the_rows_of_a_class(digits: Data) -> None:
    """A head that says the label before it is right where a class comes twice in a row."""
    learner = begun(MANN(ways=3, queries=3, **SMALL), digits, None, 10)
    head = learner.network.head

    def parrot(features: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        before = one_hot(labels, 3).float().roll(1, 1)
        before[:, 0] = 0
        return before, {}

    drawn = learner.episodes.draw(300, 3, 4, torch.Generator().manual_seed(0))
    head.follow = parrot
    shares = by_instance(learner.network, learner.rows, drawn)
    assert shares.shape == (300, 4)
    assert set(np.unique(np.round(shares[:, 1:] * 3, 6))) <= {0, 1, 2, 3}
    # The row before is of the same class with probability 3/11, and that makes it no first one.
    assert shares[:, 1:].mean() == pytest.approx(1 / 3 * 3 / 11 * 3 * 4 / 3, abs=0.04)
    assert shares[:, 0].mean() < 0.12, "the first row of a class is right only where nothing came before it"


@pytest.mark.quick
def test_orders_are_of_the_episodes(digits: Data) -> None:
    learner = begun(MANN(ways=3, queries=3, **SMALL), digits, None, 10)
    drawn = learner.episodes.draw(5, 3, 4, torch.Generator().manual_seed(0))
    positions, labels = in_random_order(drawn, 0)
    for episode in range(5):
        for position, label in zip(positions[episode].tolist(), labels[episode].tolist(), strict=True):
            assert position in drawn.positions[episode, label]
        assert sorted(positions[episode].tolist()) == sorted(drawn.positions[episode].ravel().tolist())


def test_it_is_scored_by_instance_adapts_and_is_loaded_again(digits: Data, tmp_path: Path) -> None:
    model = MANN(ways=4, queries=5, **SMALL).fit(digits, budget=3)
    assert isinstance(model, MemoryModel)
    scores = model.evaluate(digits.test, episodes=50)
    assert scores.keys() == {"accuracy", "accuracy_interval", *(f"instance_{at}_accuracy" for at in (1, 2, 3, 5))}
    model.save(tmp_path / "model")
    again = mw.load(tmp_path / "model")
    assert again.evaluate(digits.test, episodes=50) == scores
    labels = digits.test.take("label")
    few = digits.test.select(np.concatenate([np.flatnonzero(labels == digit)[:2] for digit in (7, 8, 9)]))
    adapted = again.adapt(few)
    assert set(adapted.predict(digits.test).tolist()) <= {7, 8, 9}
    adapted.save(tmp_path / "adapted")
    assert np.array_equal(mw.load(tmp_path / "adapted").outputs(digits.test), adapted.outputs(digits.test))
    assert adapted.outputs(digits.test).shape[1] == 3
    with pytest.raises(ModelError, match="tells 4 classes apart, and 10 are asked for"):
        model.adapt(digits.test)


def test_accuracy_alone_is_that_of_adapted_models(digits: Data) -> None:
    """Episodes that are followed together are told as by a model that was adapted to each."""
    model = MANN(ways=3, queries=5, **SMALL).fit(digits, budget=3)
    assert isinstance(model, MemoryModel)
    assert model.adaptation == Remembering()
    learner = begun(MANN(ways=3, queries=5, **SMALL), digits, None, 10)
    support, asked = learner.episodes.draw(1, 3, 6, torch.Generator().manual_seed(0)).split(1)
    share = model.adaptation.accuracies(model.network, learner.rows, support, asked)[0]
    order, labels = in_random_order(support, 0)
    features = model.network.eval().features(learner.take(order[0].numpy()))
    head = model.network.head
    assert isinstance(head, MemoryHead)
    with torch.no_grad():
        adapted = head.remembering(features, labels[0], 3)
        queries = model.network.features(learner.take(asked.positions[0].reshape(-1)))
        right = adapted(queries).argmax(1) == torch.arange(3).repeat_interleave(5)
    assert share == pytest.approx(float(right.float().mean()))


@pytest.mark.quick
def test_bad_fields_and_too_few_rows(digits: Data) -> None:
    with pytest.raises(ParameterError, match=r"mann\.slots must be as many as the read heads, 4, or 0"):
        MANN(slots=3)
    with pytest.raises(NeedsError, match="episodes of 12 classes are asked for, and digits has 10"):
        NTM(ways=12).check(digits, None)


@pytest.mark.quick
def test_it_goes_on_with_a_memory_of_the_same_size(digits: Data) -> None:
    """Trained on short sequences, it may go on with longer ones; a controller of another size begins anew."""
    short = begun(MANN(ways=3, queries=1, **SMALL), digits, None, 10)
    start = MANN(ways=3, queries=1, **SMALL).make_model(short)
    longer = begun(MANN(ways=3, queries=5, **SMALL), digits, start, 10)
    old, new = short.network.head.state_dict(), longer.network.head.state_dict()
    assert all(torch.equal(old[name], new[name]) for name in old)
    wider = begun(MANN(ways=3, queries=5, **{**SMALL, "hidden": 13}), digits, start, 10)
    assert wider.network.head.config["hidden"] == 13
