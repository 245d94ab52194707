"""NTM: a memory that is addressed by content and location, on sequences whose labels come one step late."""

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

import manyways as mw
from manyways.methods.meta.ntm import NTM
from manyways.models.external_memory import MemoryController, TuringMemory
from manyways.randomness import generator

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


@pytest.mark.slow
def test_sequences_are_copied_from_memory_also_longer_ones_than_any_that_was_learned() -> None:
    """Graves et al. 2014, section 4.1: up to 6 numbers of 4 bits in training, and 12 afterwards."""
    torch.manual_seed(0)
    controller = MemoryController(6, 64, TuringMemory(64, slots=16, width=8, reads=1))
    output = nn.Linear(controller.width, 4)
    parameters = [*controller.parameters(), *output.parameters()]
    optimizer = torch.optim.RMSprop(parameters, lr=1e-3, momentum=0.9)

    def logits_of(count: int, length: int, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        bits = torch.randint(2, (count, length, 4), generator=rng).float()
        inputs = torch.zeros(count, 2 * length + 1, 6)
        inputs[:, :length, :4], inputs[:, length, 4] = bits, 1
        return output(controller(inputs)[0][:, -length:]), bits

    for step in range(1000):
        rng = generator(0, step)
        logits, bits = logits_of(32, int(torch.randint(1, 7, (1,), generator=rng)), rng)
        optimizer.zero_grad()
        binary_cross_entropy_with_logits(logits, bits).backward()
        nn.utils.clip_grad_norm_(parameters, 10.0)
        optimizer.step()
    with torch.no_grad():
        for length in (6, 12):
            logits, bits = logits_of(200, length, generator(1, length))
            assert float(((logits > 0) != bits.bool()).float().mean()) < 0.01
