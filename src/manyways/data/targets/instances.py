"""Objects in a picture, pixel by pixel, each apart from the others: instance segmentation."""

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
from manyways.data.targets import instances_maps as maps
from manyways.data.targets._masked import PixelTarget, common_part, height_and_width, overlaps_of
from manyways.errors import DataError, ModelError
from manyways.metrics import fraction

AP_50 = fraction("ap_50")


@dataclass(frozen=True)
class InstanceTarget(PixelTarget):
    """Objects of one kind, told apart (the border between two is predicted, as in Ronneberger et al., 2015).

    A label is encoded as it is: numbers from 1 in the pixels of objects. Two outputs a pixel say if it lies inside an
    object, and if on the border between two. Scores are the average precision at an overlap of 0.5 as the Data Science
    Bowl 2018 has it, TP / (TP + FP + FN) of each picture, averaged over pictures, and Dice and intersection over union
    of all rows' pixels together, at the size that pictures came to. Pictures may be turned any way.
    """

    kind: ClassVar[str] = "instances"
    column_kind: ClassVar[str] = "instances"
    gives: ClassVar[str] = "segment-instances"
    task: ClassVar[str] = "instance-segmentation"
    metrics: ClassVar[tuple[str, ...]] = ("ap_50", "dice", "iou")
    upright: ClassVar[bool] = False
    unknown: ClassVar[int] = maps.UNKNOWN

    @property
    def maps(self) -> int:
        return 2

    @classmethod
    def fitted(cls, data: Data) -> Self:
        training = data.training
        rows, column = training.rows[training.labelled], data.label
        size = 4 * int(np.prod(column.values.shape[1:]))
        if not any(column.take(rows[part]).any() for part in chunks_of(len(rows), row_bytes=size)):
            raise DataError(
                f"No training row of {data.name} has an object in the column {column.name!r}; there is nothing to "
                "learn. Add pictures with objects."
            )
        return cls(column.name, *height_and_width(data))

    def unlabelled(self, count: int) -> NDArray[Any]:
        return np.full((count, self.height, self.pixels_wide), maps.UNKNOWN, np.int32)

    def codes_of(self, values: NDArray[Any], rows: Data) -> NDArray[Any]:
        return values

    def decode(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Masks of numbered objects, int32 [rows, height, width]."""
        return codes.astype(np.int32)

    def shares(self, outputs: Tensor) -> Tensor:
        return outputs.float().sigmoid()

    def code_of(self, outputs: NDArray[Any]) -> tuple[NDArray[Any], float]:
        inside, border = outputs
        return maps.objects_of(inside, border), float(np.maximum(inside, 1 - inside).mean())

    def losses(self, outputs: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        return maps.losses_of(outputs, labels)

    def statistics(self, predicted: Sequence[NDArray[Any]], truth: NDArray[Any], rows: Data) -> NDArray[np.float64]:
        return np.array([_sums(guess, there) for guess, there in zip(predicted, truth, strict=True)]).reshape(-1, 4)

    def scores_of(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        with np.errstate(invalid="ignore"):
            precision = np.asarray(sums[..., 0] / sums[..., 1])
        return {"ap_50": precision, **overlaps_of(sums[..., 2:3], sums[..., 3:4])}

    def distillation_loss(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """The cross-entropy of the student's pixels against the teacher's at `temperature`, summed over outputs."""
        student, teacher = common_part(student, teacher)
        wanted = (teacher.float() / temperature).sigmoid()
        wrong = F.binary_cross_entropy_with_logits(student.float() / temperature, wanted, reduction="none")
        return wrong.sum(1).mean() * temperature**2

    def pseudo_labels_of(self, outputs: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
        """The objects that are predicted; nothing where it is less probable than `threshold` that a pixel is inside."""
        shares = self.shares(outputs)
        numbers = np.stack([maps.objects_of(*row) for row in shares.cpu().numpy()])
        inside = shares[:, 0]
        sure = torch.maximum(inside, 1 - inside) >= threshold
        labels = torch.where(sure, torch.from_numpy(numbers).to(outputs.device), maps.UNKNOWN)
        return labels, sure.float().mean((1, 2))

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "height": self.height, "pixels_wide": self.pixels_wide}

    @classmethod
    def read(cls, saved: Mapping[str, Any]) -> Self:
        given = described(saved, "the target", ModelError)
        height, width = given.get("height", int), given.get("pixels_wide", int)
        if min(height, width) < 1:
            raise ModelError("The target is damaged: its pictures have no size.")
        return cls(given.get("name", str), height, width)


def _sums(guess: NDArray[Any], truth: NDArray[Any]) -> tuple[float, float, float, float]:
    """The precision of a picture, 1 where it and its prediction are empty; one picture; pixels of both, and of each."""
    pairs, predicted, there = maps.pairs_of(guess, truth)
    objects = predicted + there - pairs
    covered, wanted = guess > 0, truth > 0
    areas = float((covered & wanted).sum()), float(covered.sum() + wanted.sum())
    return pairs / objects if objects else 1.0, 1.0, *areas
