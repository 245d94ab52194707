"""Head of an external memory: the classes of a sequence are told by what was written on the way."""

import copy
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from manyways.errors import ModelError
from manyways.models.external_memory import ExternalMemory, LeastUsedMemory, MemoryController, State, TuringMemory
from manyways.models.heads import Head

Addressing = Literal["least-used", "turing"]
ROWS_AT_ONCE = 256


class MemoryHead(Head):
    """A controller with an external memory over a sequence of features, each beside the label of the row before.

    A row alone is answered from the state that the head holds: the one before the first row, or that after the rows
    which it was shown (`remembering`). What it answers does not change that.

    Args:
        width: Features of a row.
        labels: Classes that it can tell apart in a sequence.
        outputs: The classes among them that it answers.
        hidden: Units of the controller.
        slots: Slots of the memory; 0: there is none.
        slot_width: Numbers in a slot.
        reads: Read heads.
        addressing: How slots are found.
    """

    name = "memory"

    def __init__(
        self, width: int, labels: int, outputs: int, hidden: int, slots: int, slot_width: int, reads: int,
        addressing: Addressing,
    ) -> None:  # fmt: skip
        super().__init__()
        self.config = {
            "width": width, "labels": labels, "outputs": outputs, "hidden": hidden, "slots": slots,
            "slot_width": slot_width, "reads": reads, "addressing": addressing,
        }  # fmt: skip
        self.labels, self.outputs = labels, outputs
        kind: type[ExternalMemory] = LeastUsedMemory if addressing == "least-used" else TuringMemory
        memory = kind(hidden, slots, slot_width, reads) if slots else None
        self.controller = MemoryController(width + labels, hidden, memory)
        self.classifier = nn.Linear(self.controller.width, labels)
        self._names = tuple(self.controller.start(1))
        for name, tensor in self.controller.start(1).items():
            self.register_buffer(f"state_{name}", tensor[0].clone())
        self.register_buffer("label_before", torch.zeros(labels))

    def follow(self, features: Tensor, labels: Tensor) -> tuple[Tensor, State]:
        """Logits [sequences, rows, labels] of each row before its label is seen, and the state after the last row.

        Args:
            features: [sequences, rows, width].
            labels: The classes of the rows, int64 [sequences, rows]; that of a row comes with the next one.
        """
        before = one_hot(labels, self.labels).to(features.dtype).roll(1, 1)
        before[:, 0] = 0
        outputs, state = self.controller(torch.cat([features, before], 2))
        logits: Tensor = self.classifier(outputs)
        return logits, state

    def answer(self, features: Tensor, state: State, label: Tensor) -> Tensor:
        """Logits [rows, outputs] of features [rows, width], each after a state of its own and the `label` before it."""
        outputs, _ = self.controller(torch.cat([features, label], 1)[:, None], state)
        logits: Tensor = self.classifier(outputs[:, 0])
        return logits[:, : self.outputs]

    def forward(self, features: Tensor) -> Tensor:
        parts = [
            self.answer(
                rows.float(),
                {name: self.get_buffer(f"state_{name}").expand(len(rows), *[-1] * dims) for name, dims in self._dims()},
                self.get_buffer("label_before").expand(len(rows), -1),
            )
            for rows in torch.split(features, ROWS_AT_ONCE)
        ]
        return torch.cat(parts) if parts else features.new_zeros(0, self.outputs)

    def remembering(self, features: Tensor, labels: Tensor, classes: int) -> "MemoryHead":
        """A head that was shown features [rows, width] and their classes [rows], and answers so many `classes`."""
        self.check(classes)
        head = copy.deepcopy(self)
        head.config = {**self.config, "outputs": classes}
        head.outputs = classes
        _, state = self.follow(features[None], labels[None])
        for name, tensor in state.items():
            head.get_buffer(f"state_{name}").copy_(tensor[0])
        head.get_buffer("label_before").copy_(one_hot(labels[-1], self.labels))
        return head

    def check(self, classes: int) -> None:
        """Raise ModelError where it cannot tell so many `classes` apart."""
        if classes > self.labels:
            raise ModelError(
                f"The model tells {self.labels} classes apart, and {classes} are asked for. Give {self.labels} at "
                f"most, or train a model for more: ways={classes}."
            )

    def _dims(self) -> list[tuple[str, int]]:
        return [(name, self.get_buffer(f"state_{name}").ndim) for name in self._names]
