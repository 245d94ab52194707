"""The column of pictures in which a label of boxes or masks lies, and pictures as text."""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import DataError

LONGEST_SIDE = 384
"""Pixels of the longer side of a picture that is drawn in a report."""


def data_uri(pixels: NDArray[np.uint8]) -> str:
    """A picture uint8 [channels, height, width] as a data: URI, made smaller where it is larger than it is drawn."""
    from PIL import Image

    drawn = Image.fromarray(np.ascontiguousarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)))
    drawn.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    written = io.BytesIO()
    drawn.save(written, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(written.getvalue()).decode()


def coloured(mask: NDArray[Any]) -> NDArray[np.uint8]:
    """A mask [height, width] as a picture [3, height, width]: black where it is 0, else a colour for each number."""
    numbers = np.asarray(mask, np.int64)
    hue = (numbers * 0.61803398875) % 1.0  # steps of the golden ratio: neighbours in number are far apart in hue
    wheel = (hue[..., None] * 6 + np.array([0.0, 4.0, 2.0])) % 6
    colours = np.clip(np.abs(wheel - 3) - 1, 0, 1) * 0.75 + 0.25
    colours[numbers == 0] = 0
    return np.ascontiguousarray(np.round(colours * 255).astype(np.uint8).transpose(2, 0, 1))


def picture_column(data: Data) -> Column:
    """The only image among the inputs of `data`.

    Raises:
        DataError: There is none, or several.
    """
    images = [column for column in data.inputs if column.kind == "image"]
    if len(images) != 1:
        raise DataError(
            f"Boxes and masks lie in one column of images; the inputs of {data.name} hold "
            f'{", ".join(column.name for column in images) or "none"}. Name the one that they lie in: input="…".'
        )
    return images[0]
