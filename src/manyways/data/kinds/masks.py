"""Masks of pictures, as kinds of columns: a number in each pixel, of its class or of its object."""

from manyways.data.kinds.base import ColumnKind


class Mask(ColumnKind):
    """The class of each pixel of a picture: uint8 [n, height, width]."""

    name = modality = "mask"
    words, decoded = ("mask", "masks"), True

    def detail(self, shape: tuple[int, ...], rate: int | None) -> str:
        return f"{shape[1]}×{shape[2]} pixels, a class each"


class Instances(ColumnKind):
    """The object in each pixel of a picture, numbered from 1; 0 where there is none: int32 [n, height, width]."""

    name = modality = "instances"
    words, decoded = ("mask of objects", "masks of objects"), True

    def detail(self, shape: tuple[int, ...], rate: int | None) -> str:
        return f"{shape[1]}×{shape[2]} pixels, an object each"


MASK, INSTANCES = Mask(), Instances()
