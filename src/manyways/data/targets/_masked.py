"""All that labels in every pixel of a picture share: how they are encoded, moved, and brought back to its size."""

import io
import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from manyways.data.categories import as_objects
from manyways.data.data import Data
from manyways.data.pictures import coloured, data_uri, picture_column
from manyways.data.targets.base import EVERYTHING, Outputs, Recipe
from manyways.data.targets.structured import Prediction, StructuredTarget
from manyways.data.views.joint import in_place, moved_masks
from manyways.errors import DataError
from manyways.whole import write_whole

DEEPEST_PNG = 65535

if TYPE_CHECKING:
    from manyways.data.views import Views


@dataclass(frozen=True)
class PixelTarget(StructuredTarget):
    """A label in each pixel: encoded, numbers [height, width] at the size that the pictures came to.

    Attributes:
        height: Height of the pictures that were learned from, in pixels, and so `pixels_wide`.
    """

    head: ClassVar[str] = "pixels"
    recipe: ClassVar[Recipe] = Recipe(batch_size=8, average=0.998, backbone="unet")
    supports: ClassVar[frozenset[str]] = EVERYTHING
    lies_in: ClassVar[str] = "picture"
    endings: ClassVar[tuple[str, ...]] = ("",)
    upright: ClassVar[bool] = True
    """True if weak views leave what is up and down."""
    unknown: ClassVar[int]
    """The code of a pixel of which nothing is known."""

    height: int
    pixels_wide: int

    @property
    @abstractmethod
    def maps(self) -> int:
        """Outputs for every pixel."""

    @abstractmethod
    def code_of(self, outputs: NDArray[Any]) -> tuple[NDArray[Any], float]:
        """The predicted code of a row, of probabilities [maps, height, width], and how sure it is."""

    @abstractmethod
    def shares(self, outputs: Tensor) -> Tensor:
        """The probabilities [rows, maps, height, width] of outputs of that shape."""

    def encode(self, data: Data, *, hidden: bool = False) -> NDArray[Any]:
        if self.name not in data.columns:
            return super().encode(data, hidden=hidden)
        column = data.columns[self.name]
        known = ~column.missing(data.rows)
        seen = known if hidden else data.labelled & known
        codes = self.unlabelled(len(data))
        if seen.any():
            masks = column.take(data.rows[seen])
            self._check_size(masks, data)
            codes[seen] = self.codes_of(masks, data.select(seen))
        return codes

    def _check_size(self, masks: NDArray[Any], data: Data) -> None:
        if masks.shape[1:] != (self.height, self.pixels_wide):
            raise DataError(
                f"The masks {self.name!r} of {data.name} have {masks.shape[2]}x{masks.shape[1]} pixels, the pictures "
                f"that are learned from {self.pixels_wide}x{self.height}; a mask has the size of its picture. Give "
                f"image_size=({self.height}, {self.pixels_wide}), which brings both to it, or correct the masks."
            )

    def decode_rows(self, codes: Sequence[NDArray[Any]], rows: Data) -> NDArray[Any]:
        """As `decode`, each mask at the size of its picture as it was read."""
        from manyways.data.inference.drawing import shrunk

        sizes = picture_column(rows).sizes_of(rows.rows).tolist()
        masks = [self.decode(code[None])[0] for code in codes]
        return as_objects(
            [shrunk(mask.astype(np.int32), *size).astype(mask.dtype) for mask, size in zip(masks, sizes, strict=True)]
        )

    def seen(
        self, views: "Views", name: str, inputs: Mapping[str, Tensor], labels: Tensor, rng: torch.Generator
    ) -> tuple[dict[str, Tensor], Tensor]:
        return moved_masks(views, name, inputs, labels, rng, upright=self.upright)

    def recoded(self, codes: Sequence[NDArray[Any]], other: StructuredTarget, rows: Data) -> Sequence[NDArray[Any]]:
        return [self.codes_of(other.decode(code[None]), rows)[0] for code in codes]

    def unmoved(
        self, views: "Views", name: str, inputs: Mapping[str, Tensor], rng: torch.Generator
    ) -> dict[str, Tensor]:
        return in_place(views, name, inputs, rng)

    def example(self, row: Data, truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, Any]:
        pixels = picture_column(row).take(row.rows)[0]
        masks = {"truth": self.decode(np.asarray(truth)[None])[0], "predicted": self.decode(predicted[None])[0]}
        return {"image": data_uri(pixels), **{name: data_uri(coloured(mask)) for name, mask in masks.items()}}

    def cell(self, label: Any) -> str:
        """Run lengths, row by row: the size, and each run's value and length."""
        pixels = np.asarray(label).ravel()
        starts = np.flatnonzero(np.diff(pixels, prepend=pixels[:1] - 1))
        lengths = np.diff(np.append(starts, len(pixels)))
        runs = np.stack([pixels[starts].astype(np.int64), lengths], axis=1).tolist()
        return json.dumps({"size": list(np.shape(label)), "runs": runs}, separators=(",", ":"))

    def write(self, rows: Data, labels: NDArray[Any], path: Path) -> None:
        """As PNG files in a folder, called by the numbers of their rows: grey, of 16 bits where numbers need them."""
        numbers = rows.source_rows.tolist()
        path.mkdir(parents=True, exist_ok=True)
        digits = len(str(max(numbers, default=0)))
        for number, mask in zip(numbers, labels, strict=True):
            if mask.max(initial=0) > DEEPEST_PNG:
                raise DataError(f"The mask of row {number} numbers more than {DEEPEST_PNG:,} objects, as a PNG can.")
            narrow = mask.astype(np.uint8 if mask.max(initial=0) <= 255 else np.uint16)
            written = io.BytesIO()
            Image.fromarray(narrow).save(written, "PNG")
            write_whole(path / f"{number:0{digits}}.png", written.getvalue())

    def predictions(self, outputs: Outputs) -> list[Prediction]:
        shares = self.shares(outputs)[..., : self.height, : self.pixels_wide].cpu().numpy()
        return [Prediction(code, float(np.clip(sure, 1e-6, 1 - 1e-6))) for code, sure in map(self.code_of, shares)]

    def known(self, labels: Tensor) -> Tensor:
        return (labels != self.unknown).flatten(1).any(1)

    def consistency_loss(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Squared differences of probabilities, summed over the outputs of a pixel and averaged over pixels."""
        student, teacher = common_part(student, teacher)
        return (self.shares(student) - self.shares(teacher)).square().sum(1).mean()


def common_part(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """The pixels that both outputs have: those of coarse maps may reach over the picture's border."""
    height, width = (min(sides) for sides in zip(first.shape[-2:], second.shape[-2:], strict=True))
    return first[..., :height, :width], second[..., :height, :width]


def height_and_width(data: Data) -> tuple[int, int]:
    """Height and width of the pictures of `data`, which its masks must have, too."""
    height, width = picture_column(data).values.shape[-2:]
    return height, width


def overlaps_of(shared: NDArray[Any], areas: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Dice and intersection over union, of pixels that both have and of the sum of what each has; both [..., classes].

    The mean is over the classes of which there is any pixel.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        dice, iou = 2 * shared / areas, shared / (areas - shared)
        there = areas > 0
        return {
            name: np.asarray(np.where(there, each, 0).sum(-1) / there.sum(-1))
            for name, each in (("dice", dice), ("iou", iou))
        }
