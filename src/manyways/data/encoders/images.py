"""Images as uint8 [channels, height, width]."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import Column
from manyways.data.encoders.base import CheckpointTokenizer, Encoder
from manyways.data.specs import ImageSpec
from manyways.data.storage import RowNumbers
from manyways.errors import DataError


@dataclass(frozen=True)
class ImageEncoder(Encoder):
    """Passes images of the right size through; others are resized and their channels made to fit.

    Attributes:
        white: Level that is read as 255 in images of more than 8 bits.
    """

    kind: ClassVar[str] = "image"
    column: str
    image: ImageSpec
    white: float | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def spec(self) -> ImageSpec:
        return self.image

    @classmethod
    def fit(
        cls, columns: list[Column], rows: RowNumbers, known: CheckpointTokenizer | None = None, *, plain: bool = False
    ) -> "ImageEncoder":
        column = columns[0]
        _, channels, height, width = column.values.shape
        return ImageEncoder(column.name, ImageSpec(channels, height, width), column.white)

    def already_encoded(self, columns: list[Column]) -> bool:
        self._check(columns[0])
        return columns[0].values.shape[1:] == (self.image.channels, self.image.height, self.image.width)

    def _check(self, column: Column) -> None:
        if column.kind != "image":
            raise DataError(f"The column {column.name!r} holds {column.kind}, but the model was trained on images.")

    def encode(self, columns: list[Column], rows: RowNumbers) -> NDArray[np.uint8]:
        import torch
        from torch.nn.functional import interpolate

        self._check(columns[0])
        images = torch.from_numpy(columns[0].take(rows))
        if images.shape[1] != self.image.channels:
            images = (
                images.expand(-1, 3, -1, -1)
                if self.image.channels == 3
                else images.float().mean(1, keepdim=True).round().to(torch.uint8)
            )
        size = (self.image.height, self.image.width)
        if tuple(images.shape[2:]) != size:
            images = interpolate(images, size, mode="bilinear", antialias=True)
        return np.asarray(images.numpy())

    def decode(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        return [np.asarray(values, np.uint8)]

    def to_json(self) -> dict[str, Any]:
        saved = {"column": self.column, "shape": [self.image.channels, self.image.height, self.image.width]}
        return saved if self.white is None else {**saved, "white": self.white}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "ImageEncoder":
        return cls(saved["column"], ImageSpec(*saved["shape"]), saved.get("white"))
