"""External memories: a matrix that a recurrent controller reads and writes by soft attention over its slots."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, one_hot, softplus

State = dict[str, Tensor]
"""All that a controller and its memory carry from step to step, each [sequences, …]."""
BLANK = 1e-6
"""The content of a slot that was never written: not 0, of which there is no direction."""
SHORTEST = 1e-8
SHIFTS = 3
"""Places that a Turing machine's weights are shifted by: one back, none, one on."""


def content_weights(memory: Tensor, keys: Tensor, strengths: Tensor) -> Tensor:
    """Softmax over slots of strength · cosine (Graves et al. 2014, equations 5 and 6).

    Args:
        memory: [sequences, slots, width].
        keys: [sequences, heads, width].
        strengths: [sequences, heads].

    Returns:
        Weights [sequences, heads, slots].
    """
    # The product by the norms of slots, as slots that are normalised would be another matrix in every step.
    lengths = torch.linalg.vector_norm(memory, dim=2).clamp_min(SHORTEST)
    wanted = strengths[..., None] * normalize(keys, dim=2)
    weights: Tensor = (wanted @ memory.transpose(1, 2) / lengths[:, None]).softmax(2)
    return weights


def shifted(weights: Tensor, shifts: Tensor) -> Tensor:
    """Weights [..., slots] convolved in a circle with shifts [..., 3]: by −1, 0 and 1 slots (equation 8)."""
    moved = torch.stack([weights.roll(by, -1) for by in (-1, 0, 1)], -1)
    return (moved * shifts[..., None, :]).sum(-1)


def sharpened(weights: Tensor, power: Tensor) -> Tensor:
    """Weights [..., slots] to a `power` [...] of at least 1, summing to 1 again (equation 9)."""
    raised = weights.clamp_min(1e-12) ** power[..., None]
    return raised / raised.sum(-1, keepdim=True)


class ExternalMemory(nn.Module, ABC):
    """A matrix of slots, and the heads by which a controller of `hidden` units reads and writes it.

    slots, width: The slots, and the numbers in each. reads: Read heads.

    Attributes:
        sharp: The strength of a key before anything is learned. At 1 a slot of 128 that fits fully would get 2% of the
            weight.
        writes_keys: True if what is written are the keys that are read by. Then nothing should be the same in all of
            them at first, as it would hide what tells them apart: biases begin at 0.
    """

    sharp: ClassVar[float] = 5.0
    writes_keys: ClassVar[bool] = False

    def __init__(self, hidden: int, slots: int, width: int, reads: int) -> None:
        super().__init__()
        self.hidden, self.slots, self.width, self.reads = hidden, slots, width, reads

    @abstractmethod
    def start(self, count: int) -> State:
        """The state of `count` sequences before their first step; `read` [count, reads · width] is what was read."""

    @abstractmethod
    def forward(self, hidden: Tensor, state: State) -> State:
        """The state after the memory was written, and then read, as units [sequences, hidden] say."""


class LeastUsedMemory(ExternalMemory):
    """Content-based reads; writes to the slots that were read last, or to those used least (Santoro et al. 2016).

    Each head writes the key that it reads by, so that what is like it later finds it: as far as a gate says so to where
    it read in the step before, otherwise to one of the least used slots, which is emptied first. Usage is the sum of
    all weights on a slot, which fades.
    """

    sharp = 10.0
    writes_keys = True
    fading = 0.95
    """The share of its usage that a slot keeps from step to step (γ)."""

    def __init__(self, hidden: int, slots: int, width: int, reads: int) -> None:
        super().__init__(hidden, slots, width, reads)
        self.control = nn.Linear(hidden, reads * (width + 2))
        nn.init.zeros_(self.control.bias)
        with torch.no_grad():
            self.control.bias.view(reads, -1)[:, width] = self.sharp

    def start(self, count: int) -> State:
        blank = self.control.weight.new_zeros(count, self.reads, self.slots)
        return {
            "memory": blank.new_full((count, self.slots, self.width), BLANK),
            "weights": blank,
            "usage": blank[:, 0],
            "read": blank.new_zeros(count, self.reads * self.width),
        }

    def forward(self, hidden: Tensor, state: State) -> State:
        control = self.control(hidden).view(len(hidden), self.reads, -1)
        keys, strengths, gates = torch.split(control, [self.width, 1, 1], 2)
        keys = keys.tanh()
        least = state["usage"].topk(self.reads, 1, largest=False).indices
        unused = one_hot(least, self.slots).to(hidden.dtype)
        gates = gates.sigmoid()
        writes = gates * state["weights"] + (1 - gates) * unused
        kept = state["memory"] * (1 - unused.sum(1))[..., None]
        memory = torch.baddbmm(kept, writes.transpose(1, 2), keys)
        weights = content_weights(memory, keys, softplus(strengths[..., 0]))
        usage = self.fading * state["usage"] + weights.sum(1) + writes.sum(1)
        return {"memory": memory, "weights": weights, "usage": usage, "read": (weights @ memory).flatten(1)}


class TuringMemory(ExternalMemory):
    """Heads that find slots by content and by location: the memory of a neural Turing machine (Graves et al. 2014).

    The weights of a head are those by content, mixed with those of the step before by a gate, shifted by up to one slot
    and sharpened. One head writes: it erases, then adds.
    """

    def __init__(self, hidden: int, slots: int, width: int, reads: int) -> None:
        super().__init__(hidden, slots, width, reads)
        self.control = nn.Linear(hidden, (reads + 1) * (width + 3 + SHIFTS) + 2 * width)
        with torch.no_grad():
            self.control.bias[: -2 * width].view(reads + 1, -1)[:, width] += self.sharp

    def start(self, count: int) -> State:
        weights = self.control.weight.new_zeros(count, self.reads + 1, self.slots)
        weights[..., 0] = 1  # all heads begin at the first slot
        memory = weights.new_full((count, self.slots, self.width), BLANK)
        return {"memory": memory, "weights": weights, "read": (weights[:, 1:] @ memory).flatten(1)}

    def forward(self, hidden: Tensor, state: State) -> State:
        control = self.control(hidden)
        heads = control[:, : -2 * self.width].view(len(hidden), self.reads + 1, -1)
        erased, added = control[:, -2 * self.width :].view(len(hidden), 2, self.width).unbind(1)
        write = self.addressed(heads[:, :1], state["memory"], state["weights"][:, :1])
        memory = state["memory"] * (1 - write[:, 0, :, None] * erased.sigmoid()[:, None])
        memory = memory + write[:, 0, :, None] * added.tanh()[:, None]
        reads = self.addressed(heads[:, 1:], memory, state["weights"][:, 1:])
        return {"memory": memory, "weights": torch.cat([write, reads], 1), "read": (reads @ memory).flatten(1)}

    def addressed(self, heads: Tensor, memory: Tensor, before: Tensor) -> Tensor:
        """The weights of `heads` on the slots of `memory`, after those of the step `before`."""
        keys, strengths, gates, powers, shifts = torch.split(heads, [self.width, 1, 1, 1, SHIFTS], 2)
        by_content = content_weights(memory, keys.tanh(), softplus(strengths[..., 0]))
        gates = gates.sigmoid()
        mixed = gates * by_content + (1 - gates) * before
        return sharpened(shifted(mixed, shifts.softmax(2)), 1 + softplus(powers[..., 0]))


class MemoryController(nn.Module):
    """An LSTM (Hochreiter & Schmidhuber 1997) that reads and writes an external memory in every step.

    The memory is written and read by the units of the step; what was read goes into the outputs, and into the next
    step. Without a memory it is the LSTM alone.

    Args:
        inputs: Numbers that it is given in a step.
        hidden: Units.
        memory: The memory.
    """

    def __init__(self, inputs: int, hidden: int, memory: ExternalMemory | None) -> None:
        super().__init__()
        self.hidden, self.memory = hidden, memory
        read = memory.reads * memory.width if memory else 0
        self.width = hidden + read
        """Numbers of an output: the units, and what was read."""
        self.given = nn.Linear(inputs, 4 * hidden)
        self.carried = nn.Linear(hidden + read, 4 * hidden, bias=False)
        with torch.no_grad():
            if memory is not None and memory.writes_keys:
                self.given.bias.zero_()
            else:
                self.given.bias[hidden : 2 * hidden] += 1  # gates that forget begin open (Jozefowicz et al. 2015)

    def start(self, count: int) -> State:
        """The state of `count` sequences before their first step."""
        zero = self.carried.weight.new_zeros(count, self.hidden)
        return {"hidden": zero, "cell": zero, **(self.memory.start(count) if self.memory else {})}

    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Outputs [sequences, steps, width] for `inputs` [sequences, steps, inputs], and the state after them."""
        state = self.start(len(inputs)) if state is None else state
        outputs = []
        for given in self.given(inputs).unbind(1):  # of all steps at once: it does not follow from the state
            output, state = self._step(given, state)
            outputs.append(output)
        return torch.stack(outputs, 1), state

    def _step(self, given: Tensor, state: State) -> tuple[Tensor, State]:
        read = [state["read"]] if self.memory else []
        gates = given + self.carried(torch.cat([state["hidden"], *read], 1))
        enter, keep, leave, new = gates.chunk(4, 1)
        cell = keep.sigmoid() * state["cell"] + enter.sigmoid() * new.tanh()
        hidden = leave.sigmoid() * cell.tanh()
        after = {"hidden": hidden, "cell": cell}
        if self.memory is None:
            return hidden, after
        after |= self.memory(hidden, state)
        return torch.cat([hidden, after["read"]], 1), after
