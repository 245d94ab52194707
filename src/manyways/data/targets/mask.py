"""The class of each pixel of a picture: semantic segmentation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from manyways.checked_json import described
from manyways.data.data import Data
from manyways.data.storage import chunks_of
from manyways.data.targets._masked import PixelTarget, common_part, height_and_width, overlaps_of
from manyways.data.targets.instances_maps import dice_losses
from manyways.errors import DataError, ModelError
from manyways.metrics import fraction

DICE, IOU = fraction("dice"), fraction("iou")
VOID = 255
"""The value of pixels of which nothing is said, where masks hold others besides 0 and it."""
UNKNOWN = 255
"""The code of such pixels, and of all in a row without a label."""


@dataclass(frozen=True)
class MaskTarget(PixelTarget):
    """The class of each pixel. A label is encoded as the places of its pixels' values among all, uint8.

    Of two values the second, higher one is what is looked for: one output a pixel, cross-entropy and Dice. Of more
    there is an output for each. Where masks hold values besides 0 and 255, 255 says that nothing is known there.
    Scores are Dice and intersection over union of all rows' pixels together, of the second of two classes, else the
    mean over classes, at the size that pictures came to.

    Attributes:
        values: The values of pixels, which are the classes.
    """

    kind: ClassVar[str] = "mask"
    column_kind: ClassVar[str] = "mask"
    gives: ClassVar[str] = "segment"
    task: ClassVar[str] = "segmentation"
    metrics: ClassVar[tuple[str, ...]] = ("dice", "iou")
    unknown: ClassVar[int] = UNKNOWN

    values: tuple[int, ...]

    @property
    def maps(self) -> int:
        return 1 if len(self.values) == 2 else len(self.values)

    @property
    def classes(self) -> Sequence[Any]:
        return self.values

    @classmethod
    def fitted(cls, data: Data) -> Self:
        training = data.training
        column = data.label
        rows = training.rows[training.labelled]
        there = np.zeros(256, bool)
        for part in chunks_of(len(rows), row_bytes=int(np.prod(column.values.shape[1:]))):
            there |= np.bincount(column.take(rows[part]).ravel(), minlength=256) > 0
        values = np.flatnonzero(there).tolist()
        if len(values) > 2 and VOID in values:
            values.remove(VOID)
        if len(values) < 2:
            raise DataError(
                f"The masks {column.name!r} of {data.name} hold the value {values[0]} alone in all training rows; "
                "there is nothing to tell apart. Add pictures with something in them."
            )
        return cls(column.name, *height_and_width(data), tuple(values))

    def unlabelled(self, count: int) -> NDArray[Any]:
        return np.full((count, self.height, self.pixels_wide), UNKNOWN, np.uint8)

    def codes_of(self, values: NDArray[Any], rows: Data) -> NDArray[Any]:
        table = np.full(256, -1, np.int16)
        table[list(self.values)] = np.arange(len(self.values))
        if VOID not in self.values:
            table[VOID] = UNKNOWN
        codes = table[values]
        if (codes < 0).any():
            row = int((codes < 0).any(axis=(1, 2)).argmax())
            odd = np.unique(values[row][codes[row] < 0]).tolist()
            raise DataError(
                f"{rows.name}: the mask of row {rows.rows[row]} (rows count from 0) holds the value {odd[0]}, which no "
                f"training row has; the values are {', '.join(map(str, self.values))}. Put some such pictures into "
                "training, or correct the mask."
            )
        return np.asarray(codes, np.uint8)

    def decode(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Masks as the data has them, uint8 [rows, height, width]: values of pixels."""
        table = np.full(256, VOID, np.uint8)
        table[: len(self.values)] = self.values
        return np.asarray(table[codes])

    def shares(self, outputs: Tensor) -> Tensor:
        return outputs.float().sigmoid() if self.maps == 1 else outputs.float().softmax(1)

    def code_of(self, outputs: NDArray[Any]) -> tuple[NDArray[Any], float]:
        if self.maps == 1:
            code = (outputs[0] > 0.5).astype(np.uint8)
            return code, float(np.maximum(outputs[0], 1 - outputs[0]).mean())
        return outputs.argmax(0).astype(np.uint8), float(outputs.max(0).mean())

    def losses(self, outputs: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        logits = outputs[..., : labels.shape[1], : labels.shape[2]].float()
        known = labels != UNKNOWN
        wanted = labels.where(known, torch.zeros_like(labels)).long()
        weight = known.float()
        if self.maps == 1:
            truth = wanted.float() * (1 - smoothing) + smoothing / 2
            wrong = F.binary_cross_entropy_with_logits(logits[:, 0], truth, reduction="none")
            dice = dice_losses(logits[:, 0].sigmoid() * weight, wanted.float() * weight)
        else:
            wrong = F.cross_entropy(logits, wanted, reduction="none", label_smoothing=smoothing)
            shares = logits.softmax(1) * weight[:, None]
            each = [dice_losses(shares[:, code], (wanted == code) * weight) for code in range(self.maps)]
            dice = torch.stack(each).mean(0)
        return (wrong * weight).sum((1, 2)) / weight.sum((1, 2)).clamp_min(1) + dice

    def statistics(self, predicted: Sequence[NDArray[Any]], truth: NDArray[Any], rows: Data) -> NDArray[np.float64]:
        sums = np.zeros((len(truth), 2, len(self.values)))
        for row, (guess, there) in enumerate(zip(predicted, truth, strict=True)):
            known = there != UNKNOWN
            guess, there = guess[known], there[known]  # noqa: PLW2901
            each = [np.bincount(codes, minlength=len(self.values)) for codes in (guess[guess == there], guess, there)]
            sums[row] = each[0], each[1] + each[2]
        return sums.reshape(len(truth), -1)

    def scores_of(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        shared, areas = np.moveaxis(sums.reshape(*sums.shape[:-1], 2, -1), -2, 0)
        first = 1 if self.maps == 1 else 0
        return overlaps_of(shared[..., first:], areas[..., first:])

    def distillation_loss(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """The cross-entropy of the student's pixels against the teacher's, both at `temperature`."""
        student, teacher = common_part(student, teacher)
        wanted = self.shares(teacher.float() / temperature)
        scaled = student.float() / temperature
        if self.maps == 1:
            return F.binary_cross_entropy_with_logits(scaled, wanted) * temperature**2
        return F.cross_entropy(scaled, wanted) * temperature**2

    def pseudo_labels_of(self, outputs: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
        """The most probable class of each pixel; nothing where it is less probable than `threshold`."""
        shares = self.shares(outputs)
        both = torch.cat([1 - shares, shares], 1) if self.maps == 1 else shares
        best, code = both.max(1)
        sure = best >= threshold
        return torch.where(sure, code, UNKNOWN).to(torch.uint8), sure.float().mean((1, 2))

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "name": self.name, "height": self.height, "pixels_wide": self.pixels_wide,
            "values": list(self.values),
        }  # fmt: skip

    @classmethod
    def read(cls, saved: Mapping[str, Any]) -> Self:
        given = described(saved, "the target", ModelError)
        values = tuple(given.all("values", int))
        height, width = given.get("height", int), given.get("pixels_wide", int)
        if len(values) < 2 or not all(0 <= value <= VOID for value in values) or min(height, width) < 1:
            raise ModelError("The target is damaged: a mask has two values at least, each 0 … 255, and a size.")
        return cls(given.get("name", str), height, width, values)
