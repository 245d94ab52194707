"""Several label columns of a row, their codes and outputs side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.checked_json import checked
from manyways.data.data import Data
from manyways.data.targets.base import Target
from manyways.errors import ModelError


@dataclass(frozen=True)
class Targets:
    """Several label columns: what each says, and where its outputs stand among those of all, side by side."""

    members: tuple[Target, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The labels, in order."""
        return tuple(target.name for target in self.members)

    @property
    def width(self) -> int:
        """Outputs of all labels together."""
        return sum(self.widths)

    @property
    def widths(self) -> list[int]:
        """Outputs of each label."""
        return [target.width for target in self.members]

    @property
    def code_widths(self) -> list[int]:
        """Numbers of each encoded label."""
        return [target.code_width for target in self.members]

    @staticmethod
    def fit(data: Data) -> "Targets":
        """The targets of the labels of `data`. Raises DataError as `Target.fit` does, for any of them."""
        return Targets(tuple(Target.fit(data.with_label(label.name)) for label in data.labels))

    def encode(self, data: Data) -> NDArray[np.float32]:
        """The codes of all labels, float32 [rows, code widths]; NaN where a label is missing or hidden."""
        blocks = []
        for target in self.members:
            block = np.full((len(data), target.code_width), np.nan, np.float32)
            if target.name in data.roles.get("label", ()):
                one = data.with_label(target.name)
                seen = one.labelled
                block[seen] = target.pack(target.encode(one)[seen])
            blocks.append(block)
        return np.concatenate(blocks, axis=1)

    def split(self, packed: Tensor) -> list[Tensor]:
        """The encoded labels of each target, of a batch of what `encode` gave."""
        blocks = torch.split(packed, self.code_widths, dim=1)
        return [target.unpack(block) for target, block in zip(self.members, blocks, strict=True)]

    def predict(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Predictions from `outputs` [rows, width]: a structured array [rows] with a field for each label."""
        blocks = np.split(outputs, np.cumsum(self.widths)[:-1], axis=1)
        values = [target.predict(block) for target, block in zip(self.members, blocks, strict=True)]
        rows = np.empty(len(outputs), [(name, column.dtype) for name, column in zip(self.names, values, strict=True)])
        for name, column in zip(self.names, values, strict=True):
            rows[name] = column
        return rows

    def to_json(self) -> list[dict[str, Any]]:
        """All that `from_json` needs."""
        return [target.to_json() for target in self.members]

    @staticmethod
    def from_json(saved: Sequence[Mapping[str, Any]]) -> "Targets":
        """The targets that `to_json` wrote. Raises ModelError for anything else."""
        return Targets(tuple(map(Target.from_json, checked(saved, list, "the targets", ModelError))))
