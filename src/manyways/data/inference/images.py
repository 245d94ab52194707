"""Images decoded with Pillow to one size, in parallel, into rows uint8 [n, channels, height, width]."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from manyways.data.inference import masks
from manyways.data.inference.arrays import as_images, scale_of
from manyways.data.inference.media import decoded, headers_of, items_key
from manyways.data.inference.objects import array_of
from manyways.data.inference.pixels import header_of, pixels_of, white_of
from manyways.data.inference.table import Table, TypedColumn, sizes_of
from manyways.data.sources.base import Item, Options
from manyways.data.sources.rows import IN_MEMORY, keep, key_of_rows, load_note, save_note
from manyways.data.storage import RowNumbers, Rows, cache_folder, chunks_of, open_rows, row_bytes, write_rows
from manyways.errors import ParameterError

LARGEST = 96
"""Pixels of the longer side unless `image_size` asks for more."""


def decode(
    name: str, items: Sequence[Item], options: Options, where: str, largest: int = 0
) -> tuple[TypedColumn, dict[int, str]]:
    """A column uint8 [n, channels, height, width], and why rows could not be decoded (those rows are zero).

    The size is `image_size` or the median height and width, at most 96 pixels or `largest`; images are stretched to it,
    and the column remembers which sizes they had.
    Grey where all files are grey, RGB otherwise; transparency is laid on white. Images of more than 8 bits have one
    scale: `image_white` is their white, or the largest number of the depth that the brightest of them needs. Rows are
    found again in the cache while names, sizes and times of the files stay. Raises DataError where no image can be
    decoded.
    """
    key = items_key(items, "image", options.image_size, options.channels, "white", options.image_white, largest)
    if note := load_note(key):
        shape = tuple(note["shape"])
        rows = open_rows(cache_folder() / f"{key}.rows", shape, np.uint8)
        bad = {int(row): why for row, why in note["bad"].items()}
        return TypedColumn(name, rows, "image", white=note["white"], sizes=np.array(note["sizes"], np.int32)), bad
    bad = {}
    largest = largest or LARGEST
    Image.init()  # before there are threads, which would each think that another has done it
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        headers = headers_of(items, header_of, bad, pool, "image", where)
        deep = [items[row] for row, header in headers.items() if header.deep]
        sizes = np.zeros((len(items), 2), np.int32)
        for row, header in headers.items():
            sizes[row] = header.height, header.width
        height, width = common_size(sizes[list(headers)].tolist(), options.image_size, largest)
        channels = options.channels or (1 if all(header.grey for header in headers.values()) else 3)
        white = (options.image_white or white_of(deep, pool)) if deep else None
        shape = (len(items), channels, height, width)
        blank = np.zeros((channels, height, width), np.uint8)
        chunks = decoded(items, lambda item: pixels_of(item, blank.shape, white), blank, bad, pool)
        rows = write_rows(cache_folder() / f"{key}.rows", chunks, shape, np.uint8)
    save_note(key, {"shape": shape, "bad": bad, "white": white, "sizes": sizes.tolist()})
    return TypedColumn(name, rows, "image", white=white, sizes=sizes), bad


def of_other_sizes(column: TypedColumn, stated: Sequence[tuple[int, int] | None]) -> dict[int, str]:
    """Reasons why rows cannot be used: the picture's size is not the one `stated` by its annotation."""
    sizes = sizes_of(column).tolist() if stated else []
    return {
        row: f"the picture has {size[1]}x{size[0]} pixels, its annotation states {wanted[1]}x{wanted[0]}"
        for row, (size, wanted) in enumerate(zip(sizes, stated, strict=True))
        if wanted is not None and any(size) and tuple(size) != wanted
    }


def arrays_of(values: Sequence[Any]) -> list[NDArray[Any] | None] | None:
    """Nested lists of numbers as arrays of two or three axes, None where a value is missing; else None."""
    first = next((value for value in values if value is not None), None)
    if not isinstance(first, list | tuple) or not first or not isinstance(first[0], list | tuple):
        return None
    arrays = [array_of(value) if isinstance(value, list | tuple | np.ndarray) else None for value in values]
    there = [array for value, array in zip(values, arrays, strict=True) if value is not None]
    return arrays if all(array is not None and array.ndim in (2, 3) for array in there) else None


def items_of(values: Sequence[Any], name: str, where: str) -> list[Item] | None:
    """Images in memory, of Pillow or arrays as `as_images` reads them, that differ in size or lack some; else None."""
    known = [value for value in values if value is not None]
    shapes = {value.shape if isinstance(value, np.ndarray) else None for value in known}
    if not known or not all(shape is None or len(shape) in (2, 3) for shape in shapes):
        return None
    if not all(isinstance(value, np.ndarray | Image.Image) for value in known):
        return None
    if len(known) == len(values) and len(shapes) == 1 and None not in shapes:
        return None
    arrays = [value for value in known if isinstance(value, np.ndarray)]
    scale = scale_of(np.concatenate([array.ravel() for array in arrays]), name, where) if arrays else 1.0
    return [_item(value, scale, name, where) if isinstance(value, np.ndarray) else value for value in values]


def _item(array: NDArray[Any], scale: float, name: str, where: str) -> Image.Image:
    pixels = as_images(array[None], name, where, "", scale)[np.arange(1)][0]
    return Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))


def resized(table: Table, size: int | tuple[int, int] | None) -> Table:
    """`table` with all images and masks of the height and width `size`, in pixels; None leaves them as they are."""
    if size is None:
        return table
    height, width = common_size([], size)
    columns = dict(table.columns)
    for name, column in columns.items():
        if column.kind in masks.TYPES and column.values.shape[1:] != (height, width):
            columns[name] = masks.resized(column, height, width)
        if column.kind == "image" and column.values.shape[2:] != (height, width):
            values = _resized_rows(column.values, height, width)
            columns[name] = replace(column, values=values, sizes=sizes_of(column))
    return replace(table, columns=columns)


def _resized_rows(images: Rows, height: int, width: int) -> Rows:
    count, channels = images.shape[:2]
    shape = (count, channels, height, width)

    def chunks() -> Iterator[NDArray[np.uint8]]:
        for rows in chunks_of(count, row_bytes=row_bytes(images)):
            chunk = np.empty((len(rows), *shape[1:]), np.uint8)
            for out, plane in zip(chunk.reshape(-1, height, width), _planes(images, rows), strict=True):
                image = Image.fromarray(plane)
                out[:] = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0))
            yield chunk

    large = int(np.prod(shape, dtype=np.int64)) > IN_MEMORY
    return keep(chunks(), shape, np.uint8, key_of_rows(images, "resized", shape) if large else "")


def _planes(images: Rows, rows: RowNumbers) -> NDArray[np.uint8]:
    """The channels of some images, each as an image."""
    return np.ascontiguousarray(images[rows]).reshape(-1, *images.shape[2:])


def common_size(
    sizes: Sequence[Sequence[int]], wanted: int | tuple[int, int] | None, largest: int = LARGEST
) -> tuple[int, int]:
    """Height and width for all: as `wanted`, else the medians of `sizes`, scaled so that the longer is in `largest`."""
    if wanted is not None:
        size = (wanted, wanted) if isinstance(wanted, int) else tuple(wanted)
        if len(size) != 2 or min(size) < 1:
            raise ParameterError(f"image_size must be a positive number or (height, width) in pixels; got {wanted!r}.")
        return size[0], size[1]
    height, width = (float(median(side)) for side in zip(*sizes, strict=True))
    scale = min(1.0, largest / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))
