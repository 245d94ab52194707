"""External memories: their equations by hand, and what only a memory can carry from step to step."""

import pytest
import torch
from torch import Tensor, nn

from manyways.models.external_memory import (
    LeastUsedMemory,
    MemoryController,
    TuringMemory,
    content_weights,
    sharpened,
    shifted,
)

pytestmark = pytest.mark.quick


def test_content_weights_by_hand() -> None:
    memory = torch.tensor([[[3.0, 0.0], [0.0, 2.0], [1.0, 1.0]]])
    weights = content_weights(memory, torch.tensor([[[5.0, 0.0]]]), torch.tensor([[4.0]]))
    cosines = torch.tensor([1.0, 0.0, 0.5**0.5])
    torch.testing.assert_close(weights[0, 0], (4 * cosines).softmax(0))


def test_shifts_go_round() -> None:
    weights = torch.tensor([0.0, 0.0, 0.0, 1.0])
    assert shifted(weights, torch.tensor([0.0, 0.0, 1.0])).tolist() == [1, 0, 0, 0]
    assert shifted(weights, torch.tensor([1.0, 0.0, 0.0])).tolist() == [0, 0, 1, 0]
    torch.testing.assert_close(shifted(weights, torch.tensor([0.1, 0.7, 0.2])), torch.tensor([0.2, 0.0, 0.1, 0.7]))


def test_sharpening_by_hand() -> None:
    sharp = sharpened(torch.tensor([0.2, 0.3, 0.5]), torch.tensor(2.0))
    torch.testing.assert_close(sharp, torch.tensor([0.04, 0.09, 0.25]) / 0.38)


def set_control(memory: LeastUsedMemory | TuringMemory, control: list[float]) -> None:
    """Let the heads say `control`, whatever the units are."""
    with torch.no_grad():
        memory.control.weight.zero_()
        memory.control.bias.copy_(torch.tensor(control))


def test_the_least_used_slots_are_emptied_and_written() -> None:
    memory = LeastUsedMemory(4, slots=5, width=2, reads=1)
    # The key, which is written, too, its strength, and a gate that is shut: to the least used slot.
    set_control(memory, [9.0, -9.0, 20.0, -20.0])
    state = memory.start(1)
    state |= {"memory": torch.full((1, 5, 2), 7.0), "usage": torch.tensor([[0.5, 0.1, 0.9, 0.05, 0.4]])}
    after = memory(torch.zeros(1, 4), state)
    expected = torch.full((5, 2), 7.0)
    expected[3] = torch.tensor([1.0, -1.0])
    torch.testing.assert_close(after["memory"][0], expected)
    assert after["weights"][0, 0].argmax() == 3, "it is read by content"
    torch.testing.assert_close(after["read"][0], expected[3], rtol=0, atol=1e-3)
    used = 0.95 * state["usage"][0] + torch.eye(5)[3] + after["weights"][0, 0]
    torch.testing.assert_close(after["usage"][0], used)


def test_an_open_gate_writes_where_it_read_last() -> None:
    memory = LeastUsedMemory(4, slots=5, width=2, reads=1)
    set_control(memory, [9.0, 9.0, 1.0, 30.0])
    state = memory.start(1)
    state |= {"memory": torch.zeros(1, 5, 2), "weights": torch.tensor([[[0.0, 0.25, 0.75, 0.0, 0.0]]])}
    after = memory(torch.zeros(1, 4), state)
    expected = torch.tensor([0.0, 0.25, 0.75, 0.0, 0.0])[:, None].expand(5, 2)
    torch.testing.assert_close(after["memory"][0], expected, rtol=0, atol=1e-5)


def head(key: float, gate: float, shift: int) -> list[float]:
    """What a head of a Turing machine says: a key, its strength, the gate, sharpening, and a shift by −1, 0 or 1."""
    return [key, -key, 20.0, gate, 5.0, *(60.0 if at == shift else 0.0 for at in (-1, 0, 1))]


def test_a_turing_machine_erases_adds_and_moves_on() -> None:
    memory = TuringMemory(4, slots=4, width=2, reads=1)
    state = memory.start(1) | {"memory": torch.full((1, 4, 2), 5.0)}
    # The write head moves on by one from the first slot, erases its first number and adds to its second.
    control = [*head(0.0, -60.0, 1), *head(0.0, -60.0, 0), 60.0, -60.0, 0.0, 9.0]
    set_control(memory, control)
    after = memory(torch.zeros(1, 4), state)
    expected = torch.full((4, 2), 5.0)
    expected[1] = torch.tensor([0.0, 6.0])
    torch.testing.assert_close(after["memory"][0], expected, rtol=0, atol=1e-3)
    torch.testing.assert_close(after["read"][0], expected[0], rtol=0, atol=1e-3)
    again = memory(torch.zeros(1, 4), after)
    assert again["weights"][0, 0].argmax() == 2, "by location it goes on from where it was"


def test_a_turing_machine_finds_by_content() -> None:
    memory = TuringMemory(4, slots=4, width=2, reads=1)
    content = torch.tensor([[[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]]])
    set_control(memory, [*head(0.0, -60.0, 0), *head(9.0, 60.0, 0), -60.0, -60.0, 0.0, 0.0])
    after = memory(torch.zeros(1, 4), memory.start(1) | {"memory": content})
    torch.testing.assert_close(after["read"][0], content[0, 2], rtol=0, atol=1e-3)
    set_control(memory, [*head(0.0, -60.0, 0), *head(9.0, 60.0, 1), -60.0, -60.0, 0.0, 0.0])
    after = memory(torch.zeros(1, 4), memory.start(1) | {"memory": content})
    torch.testing.assert_close(after["read"][0], content[0, 3], rtol=0, atol=1e-3)


def test_without_a_memory_it_is_an_lstm() -> None:
    controller = MemoryController(3, 5, None)
    cell = nn.LSTM(3, 5, batch_first=True)
    with torch.no_grad():
        cell.weight_ih_l0.copy_(controller.given.weight)
        cell.weight_hh_l0.copy_(controller.carried.weight)
        cell.bias_ih_l0.copy_(controller.given.bias)
        cell.bias_hh_l0.zero_()
    # torch orders the gates input, forget, cell, output.
    swap = torch.cat([torch.arange(10), torch.arange(15, 20), torch.arange(10, 15)])
    with torch.no_grad():
        for weight in (cell.weight_ih_l0, cell.weight_hh_l0, cell.bias_ih_l0):
            weight.copy_(weight[swap])
    x = torch.randn(2, 7, 3)
    torch.testing.assert_close(controller(x)[0], cell(x)[0])


@pytest.mark.parametrize("kind", [LeastUsedMemory, TuringMemory])
def test_steps_in_two_calls_are_those_in_one(kind: type[LeastUsedMemory] | type[TuringMemory]) -> None:
    torch.manual_seed(0)
    controller = MemoryController(3, 5, kind(5, 6, 4, 2))
    x = torch.randn(2, 8, 3)
    whole, end = controller(x)
    first, state = controller(x[:, :3])
    second, last = controller(x[:, 3:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)
    assert all(torch.equal(end[name], last[name]) for name in end)


@pytest.mark.parametrize("kind", [LeastUsedMemory, TuringMemory])
def test_gradients_reach_what_was_written_long_ago(kind: type[LeastUsedMemory] | type[TuringMemory]) -> None:
    """Through the memory alone: the units are cut off from those of the step before."""
    torch.manual_seed(0)
    controller = MemoryController(3, 5, kind(5, 12, 4, 2))
    x = torch.randn(1, 8, 3, requires_grad=True)
    _, state = controller(x[:, :1])
    carried: dict[str, Tensor] = {
        name: part.detach() if name in ("hidden", "cell", "read") else part for name, part in state.items()
    }
    outputs, _ = controller(x[:, 1:], carried)
    outputs[:, -1].sum().backward()
    assert x.grad is not None
    assert x.grad[0, 0].abs().sum() > 0
