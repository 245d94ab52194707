"""Boxes around the objects in a picture, and their classes: object detection."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from manyways.checked_json import described
from manyways.data.boxes import boxes_in
from manyways.data.categories import as_objects
from manyways.data.data import Data
from manyways.data.notation import is_missing
from manyways.data.pictures import data_uri, picture_column
from manyways.data.targets import centres
from manyways.data.targets.base import EVERYTHING, Recipe
from manyways.data.targets.centres import DOUBTFUL, NONE, UNKNOWN, CentreMaps
from manyways.data.targets.detection_scores import (
    MOST_BOXES,
    coco_file,
    coco_objects,
    matches,
    mean_average_precisions,
    require_pycocotools,
)
from manyways.data.targets.structured import Prediction, StructuredTarget
from manyways.data.views.joint import in_place, moved_boxes
from manyways.errors import DataError, ModelError
from manyways.metrics import fraction
from manyways.whole import write_whole

if TYPE_CHECKING:
    from manyways.data.views import Views

MAP_50, MAP, BOX_F1 = fraction("map_50"), fraction("map"), fraction("box_f1")
SHOWN = 0.3
"""Score from which on a box is counted as one that is predicted."""
LEAST = 0.01
"""Score below which no box is kept: it adds nothing to an average precision."""


@dataclass(frozen=True)
class BoxTarget(StructuredTarget):
    """Boxes and their classes. A label is encoded as [most, 5]: class, left, top, right, bottom; see `centres`.

    Sides are parts of the picture's width and height, so that they hold at any size; predictions have a sixth number,
    the score. Scores are COCO's mean average precision, at an overlap of 0.5 and over 0.5 … 0.95, and the F1 of
    boxes of a score of 0.3 and more at an overlap of 0.5.

    Attributes:
        names: The classes.
        most: Boxes of a picture for which there is room.
        height: Height of the pictures that were learned from, in pixels, and so `width`.
    """

    kind: ClassVar[str] = "boxes"
    column_kind: ClassVar[str] = "boxes"
    gives: ClassVar[str] = "detect"
    task: ClassVar[str] = "detection"
    metrics: ClassVar[tuple[str, ...]] = ("map_50", "map", "box_f1")
    head: ClassVar[str] = "centres"
    recipe: ClassVar[Recipe] = Recipe(batch_size=8, average=0.998, backbone="pyramid")
    supports: ClassVar[frozenset[str]] = EVERYTHING
    lies_in: ClassVar[str] = "picture"
    endings: ClassVar[tuple[str, ...]] = (".json",)

    names: tuple[str, ...]
    most: int
    height: int
    pixels_wide: int

    @property
    def classes(self) -> Sequence[Any]:
        return self.names

    @classmethod
    def fitted(cls, data: Data) -> Self:
        require_pycocotools()
        training = data.training
        cells = training.select(training.labelled).take(data.label.name)
        boxes = [boxes_in(cell) for cell in cells]
        names = sorted({box.label for row in boxes for box in row})
        if not names:
            raise DataError(
                f"No training row of {data.name} has a box in the column {data.label.name!r}: all of its pictures are "
                "said to hold nothing. Add pictures with objects."
            )
        height, width = picture_column(data).values.shape[-2:]
        return cls(data.label.name, tuple(names), max(map(len, boxes)), height, width)

    def encode(self, data: Data, *, hidden: bool = False) -> NDArray[Any]:
        if self.name not in data.columns:
            return super().encode(data, hidden=hidden)
        values = data.take(self.name)
        known = ~is_missing(values)
        counts = [len(boxes_in(cell)) for cell in values[known if hidden else data.labelled & known]]
        roomy = replace(self, most=max([self.most, *counts]))
        codes: NDArray[Any] = super(BoxTarget, roomy).encode(data, hidden=hidden)
        return codes

    def unlabelled(self, count: int) -> NDArray[Any]:
        return np.full((count, self.most, 5), UNKNOWN, np.float32)

    def codes_of(self, values: NDArray[Any], rows: Data) -> NDArray[Any]:
        codes = np.full((len(values), self.most, 5), NONE, np.float32)
        places = {name: code for code, name in enumerate(self.names)}
        sizes = picture_column(rows).sizes_of(rows.rows)
        for row, (cell, (height, width)) in enumerate(zip(values, sizes.tolist(), strict=True)):
            for place, box in enumerate(boxes_in(cell)):
                if box.label not in places:
                    raise DataError(
                        f"{rows.name}: row {rows.rows[row]} (rows count from 0) has a box of the class {box.label!r}, "
                        f"of which no training row has one; the classes are {', '.join(self.names)}. Put some such "
                        "pictures into training, or leave the class out."
                    )
                try:
                    left, top, right, bottom = box.cut(height, width).corners
                except ValueError as error:
                    raise DataError(f"{rows.name}, row {rows.rows[row]} (rows count from 0): {error}.") from error
                codes[row, place] = places[box.label], left / width, top / height, right / width, bottom / height
        return codes

    def decode(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Boxes of each row as a list of {"label", "box", "score"}, in pixels of the size that was learned from."""
        sizes = np.tile(np.array([self.height, self.pixels_wide], np.int32), (len(codes), 1))
        return self._listed(list(codes), sizes)

    def decode_rows(self, codes: Sequence[NDArray[Any]], rows: Data) -> NDArray[Any]:
        """As `decode`, in pixels of the pictures of `rows` as they were read."""
        return self._listed(codes, picture_column(rows).sizes_of(rows.rows))

    def _listed(self, codes: Sequence[NDArray[Any]], sizes: NDArray[np.int32]) -> NDArray[Any]:
        out = []
        for boxes, (height, width) in zip(codes, sizes.tolist(), strict=True):
            row: list[dict[str, Any]] = []
            for code, left, top, right, bottom, *score in boxes.astype(np.float64).tolist():
                if code >= 0:
                    sides = (left * width, top * height, right * width, bottom * height)
                    box = {"label": self.names[int(code)], "box": [round(side, 2) for side in sides]}
                    row.append({**box, "score": round(score[0], 4)} if score else box)
            out.append(row)
        return as_objects(out)

    def seen(
        self, views: "Views", name: str, inputs: Mapping[str, Tensor], labels: Tensor, rng: torch.Generator
    ) -> tuple[dict[str, Tensor], Tensor]:
        return moved_boxes(views, name, inputs, labels, rng)

    def recoded(self, codes: Sequence[NDArray[Any]], other: StructuredTarget, rows: Data) -> Sequence[NDArray[Any]]:
        own = [self.names.index(name) if name in self.names else NONE for name in other.classes]
        out = []
        for boxes in codes:
            boxes = boxes.copy()  # noqa: PLW2901
            boxes[:, 0] = np.array(own, boxes.dtype)[boxes[:, 0].astype(int)]
            out.append(of_row(boxes))
        return out

    def unmoved(
        self, views: "Views", name: str, inputs: Mapping[str, Tensor], rng: torch.Generator
    ) -> dict[str, Tensor]:
        return in_place(views, name, inputs, rng)

    def predictions(self, outputs: CentreMaps) -> list[Prediction]:
        boxes = centres.peaks_of(outputs, max(MOST_BOXES, 2 * self.most)).cpu().numpy()
        found = [row[row[:, 5] >= LEAST] for row in boxes]
        return [Prediction(row, confidence_of(row)) for row in found]

    def statistics(self, predicted: Sequence[NDArray[Any]], truth: NDArray[Any], rows: Data) -> NDArray[np.float64]:
        return np.array(
            [matches(boxes, of_row(there), SHOWN) for boxes, there in zip(predicted, truth, strict=True)], np.float64
        ).reshape(len(truth), 3)

    def scores_of(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        found, predicted, there = sums[..., 0], sums[..., 1], sums[..., 2]
        with np.errstate(invalid="ignore"):
            return {"box_f1": np.asarray(2 * found / (predicted + there))}

    def row_scores(self, predicted: Sequence[NDArray[Any]], truth: NDArray[Any], rows: Data) -> NDArray[np.float64]:
        """The F1 of each row's boxes: an average precision is of many rows."""
        return self.scores_of(self.statistics(predicted, truth, rows))["box_f1"]

    def example(self, row: Data, truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, Any]:
        pixels = picture_column(row).take(row.rows)[0]
        size = np.array([pixels.shape[1:]], np.int32)
        there = [[self.names[each["category_id"] - 1], *each["bbox"]] for each in coco_objects([of_row(truth)], size)]
        shown = coco_objects([predicted[predicted[:, 5] >= SHOWN]], size)
        boxes = [[self.names[each["category_id"] - 1], *each["bbox"], each["score"]] for each in shown]
        height, width = pixels.shape[1:]
        return {"image": data_uri(pixels), "size": [width, height], "truth": there, "predicted": boxes}

    def write(self, rows: Data, labels: NDArray[Any], path: Path) -> None:
        """As a file of COCO's form, whose pictures are called by the numbers of their rows."""
        numbers, sizes = rows.source_rows.tolist(), picture_column(rows).sizes_of(rows.rows).tolist()
        write_whole(path, json.dumps(coco_file(labels, numbers, sizes, self.names), ensure_ascii=False))

    def scores_of_rows(
        self, predicted: Sequence[NDArray[Any]], truth: NDArray[Any], rows: Data, metric: str = ""
    ) -> tuple[dict[str, float], NDArray[np.float64] | None]:
        scores, pseudo_values = super().scores_of_rows(predicted, truth, rows, metric)
        sizes = picture_column(rows).sizes_of(rows.rows)
        boxes = [of_row(there) for there in truth]
        averages, of_map_50 = mean_average_precisions(
            predicted, boxes, len(self.names), sizes, by_row=metric == "map_50"
        )
        return {**averages, **scores}, of_map_50 if metric == "map_50" else pseudo_values

    def known(self, labels: Tensor) -> Tensor:
        return labels[:, 0, 0] != UNKNOWN

    def losses(self, outputs: CentreMaps, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        return centres.losses_of(outputs, labels)

    def consistency_loss(self, student: CentreMaps, teacher: CentreMaps) -> Tensor:
        """Squared differences of heat, summed over classes and averaged over places, and of sides where it is hot."""
        heat, wanted = student.heat.float().sigmoid(), teacher.heat.float().sigmoid()
        hot = wanted.amax(1, keepdim=True)
        sides = ((student.sides.float() - teacher.sides.float()).square() * hot).sum() / hot.sum().clamp_min(1)
        return (heat - wanted).square().sum(1).mean() + sides

    def distillation_loss(self, student: CentreMaps, teacher: CentreMaps, temperature: float) -> Tensor:
        """Cross-entropy of the heat at `temperature`, and the L1 distance of the sides at the teacher's centres."""
        teacher = centres.resampled(teacher, *student.heat.shape[2:])
        wanted = (teacher.heat.float() / temperature).sigmoid()
        heat = F.binary_cross_entropy_with_logits(student.heat.float() / temperature, wanted, reduction="none")
        hot = teacher.heat.float().sigmoid().amax(1, keepdim=True)
        sides = ((student.sides.float() - teacher.sides.float()).abs() * hot).sum() / hot.sum().clamp_min(1)
        return heat.sum(1).mean() * temperature**2 + sides

    def pseudo_labels_of(self, outputs: CentreMaps, threshold: float) -> tuple[Tensor, Tensor]:
        """The boxes of a score of at least `threshold`; where some are half as sure nothing is learned."""
        boxes = centres.peaks_of(outputs.detach(), max(MOST_BOXES, 2 * self.most))
        code, score = boxes[..., 0], boxes[..., 5]
        sure, half = score >= threshold, score >= threshold / 2
        labels = boxes[..., :5].clone()
        labels[..., 0] = torch.where(sure, code, torch.where(half, DOUBTFUL - code, NONE))
        return labels, sure.sum(1) / half.sum(1).clamp_min(1)

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "name": self.name, "names": list(self.names), "most": self.most, "height": self.height,
            "pixels_wide": self.pixels_wide,
        }  # fmt: skip

    @classmethod
    def read(cls, saved: Mapping[str, Any]) -> Self:
        given = described(saved, "the target", ModelError)
        names = tuple(given.all("names", str))
        sides = [given.get(key, int) for key in ("most", "height", "pixels_wide")]
        if not names or min(sides) < 1:
            raise ModelError("The target is damaged: it has no class, or a size below 1.")
        return cls(given.get("name", str), names, *sides)


def of_row(codes: NDArray[Any]) -> NDArray[Any]:
    """The boxes that are there in an encoded row, without the padding."""
    return codes[codes[:, 0] >= 0]


def confidence_of(boxes: NDArray[Any]) -> float:
    """The mean score of the boxes that are counted; where there are none, how sure it is that there are none."""
    scores = boxes[:, 5]
    counted = scores[scores >= SHOWN]
    sure = counted.mean() if len(counted) else 1 - scores.max(initial=0.0)
    return float(np.clip(sure, 1e-6, 1 - 1e-6))
