"""Masks of pictures, as kinds of columns: a number in each pixel, of its class or of its object."""

from typing import Any, ClassVar

import numpy as np

from manyways.data.kinds.base import ColumnKind
from manyways.errors import DataError


class Mask(ColumnKind):
    """The class of each pixel of a picture: uint8 [n, height, width]."""

    name = modality = "mask"
    words, decoded = ("mask", "masks"), True
    what: ClassVar[str] = "class"

    def labels(self, name: str, values: Any) -> Any:
        masks = [np.asarray(value) for value in values]
        for row, mask in enumerate(masks):
            if mask.ndim != 2 or mask.dtype.kind not in "iub":
                raise DataError(
                    f"The label {name!r} is a mask, the {self.what} of each pixel as a whole number [height, width]; "
                    f"got an array of type {mask.dtype} and shape {mask.shape} for row {row} (rows count from 0)."
                )
        return masks

    def shaped(self, labels: Any, shape: tuple[int, ...]) -> Any:
        # As a picture comes to the size of all, so does its mask, each pixel as the nearest one.
        return np.stack([_nearest(mask, shape) for mask in labels])

    def detail(self, shape: tuple[int, ...], rate: int | None) -> str:
        return f"{shape[1]}×{shape[2]} pixels, {self.what} of each"


class Instances(Mask):
    """The object in each pixel of a picture, numbered from 1; 0 where there is none: int32 [n, height, width]."""

    name = modality = "instances"
    words = ("mask of objects", "masks of objects")
    what: ClassVar[str] = "object"


def _nearest(mask: np.ndarray[Any, Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    rows, columns = (
        ((np.arange(wanted) + 0.5) * given / wanted).astype(int)
        for wanted, given in zip(shape, mask.shape, strict=True)
    )
    return np.asarray(mask[rows[:, None], columns])


MASK, INSTANCES = Mask(), Instances()
