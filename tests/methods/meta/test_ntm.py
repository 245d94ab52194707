"""NTM: a memory that is addressed by content and location, on sequences whose labels come one step late."""

import pytest
import torch
from torch.nn.functional import cross_entropy

import manyways as mw
from manyways.methods.meta.ntm import NTM
from manyways.models.external_memory import TuringMemory

from ..steps import Step


@pytest.mark.quick
def test_a_whole_step() -> None:
    """As MANN's, with the other memory."""
    method = NTM(ways=3, queries=2, backbone="flat", clip=None, hidden=12, slots=10, slot_width=6, batch_size=1)
    step = Step(method, mw.read("digits").with_test(0.3))
    learner, batch = step.by_hand, step.batch
    head = learner.network.head
    assert isinstance(head.controller.memory, TuringMemory)
    features = learner.network.features({name: each[0] for name, each in batch["inputs"].items()})
    logits, _ = head.follow(features[None], batch["labels"])
    loss = cross_entropy(logits[0], batch["labels"][0])
    step.descend(loss)
    step.agree(loss)
    assert {name for name in head.state_dict() if name.startswith("state_")} == {
        "state_hidden", "state_cell", "state_memory", "state_weights", "state_read",
    }  # fmt: skip
    assert torch.equal(head.state_dict()["state_weights"], torch.eye(10)[[0, 0]])
