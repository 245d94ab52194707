"""Masks of pictures, drawn at the size that these came to: files, files of an object each, shapes, and arrays."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from manyways.data.inference.drawing import drawn, shrunk
from manyways.data.inference.media import CHUNK
from manyways.data.inference.table import TypedColumn, sizes_of
from manyways.data.kinds import Kind
from manyways.data.sources.base import Item, MaskItem, Masks
from manyways.data.sources.rows import key_of, load_note, save_note
from manyways.data.storage import Rows, cache_folder, loaded, open_rows, write_rows
from manyways.errors import DataError

TYPES: dict[Kind, type[np.generic]] = {"mask": np.uint8, "instances": np.int32}
"""Kinds of columns that hold masks, and the type of their values."""


def of_items(items: Sequence[Item], name: str) -> Masks:
    """Masks of files that a column names. Raises DataError for masks in other forms."""
    if odd := [item for item in items if not (item is None or isinstance(item, Path))]:
        raise DataError(
            f"The masks {name!r} are of the type {type(odd[0]).__name__}; give names of files, or one array of whole "
            "numbers [n, height, width]."
        )
    return Masks([item for item in items if item is None or isinstance(item, Path)], "")


def pictures_of(masks: Masks, columns: Sequence[TypedColumn | None], name: str, where: str) -> TypedColumn:
    """The column of images that `masks` are of. Raises DataError where there is none, or several."""
    images = [column for column in columns if column is not None and column.kind == "image"]
    named = [column for column in images if column.name == masks.of] or images
    if len(named) != 1:
        raise DataError(
            f"{where}: the masks {name!r} are of the pictures in one column of images; there are "
            f"{', '.join(column.name for column in images) or 'none'}."
        )
    return named[0]


def decode(name: str, masks: Masks, pictures: TypedColumn, kind: Kind) -> tuple[TypedColumn, dict[int, str]]:
    """A column [n, height, width] of the size of `pictures`, and why rows could not be drawn (those are zero).

    A mask has the size of its picture's file, and comes to that of all pictures as they do, each pixel as the nearest
    one. Rows are found again in the cache while the files stay.
    """
    height, width = pictures.values.shape[2:]
    sizes, dtype = sizes_of(pictures), TYPES[kind]
    shape = (len(masks.items), height, width)
    key = key_of(kind, shape, sizes.tolist(), [_mark(item) for item in masks.items])
    absent = np.array([item is None for item in masks.items], bool)
    column = TypedColumn(name, absent, kind, absent=absent if absent.any() else None, sizes=sizes)
    if note := load_note(key):
        rows = open_rows(cache_folder() / f"{key}.rows", shape, dtype)
        return replace(column, values=rows), {int(row): why for row, why in note["bad"].items()}
    bad: dict[int, str] = {}

    def one(row: int) -> NDArray[Any] | str | None:
        item = masks.items[row]
        try:
            return None if item is None else _fitting(item, kind, sizes[row].tolist(), (height, width))
        except ValueError as error:
            return str(error).rstrip(".")

    def chunks(pool: ThreadPoolExecutor) -> Iterator[NDArray[Any]]:
        for start in range(0, len(masks.items), CHUNK):
            rows = range(start, min(start + CHUNK, len(masks.items)))
            chunk = np.zeros((len(rows), height, width), dtype)
            for place, mask in enumerate(pool.map(one, rows)):
                if isinstance(mask, str):
                    bad[rows[place]] = mask
                elif mask is not None:
                    chunk[place] = mask
            yield chunk

    Image.init()  # before there are threads, which would each think that another has done it
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        values = write_rows(cache_folder() / f"{key}.rows", chunks(pool), shape, dtype)
    save_note(key, {"bad": bad})
    return replace(column, values=values), bad


def of_array(values: Rows, name: str, kind: Kind, where: str) -> TypedColumn:
    """An array [n, height, width] of whole numbers or truth values as a column of masks.

    Raises:
        DataError: It has other axes or values.
    """
    shape = values.shape
    if len(shape) == 4 and 1 in (shape[1], shape[3]):
        values = loaded(values).reshape(shape[0], *(shape[2:] if shape[1] == 1 else shape[1:3]))
    if len(values.shape) != 3 or values.dtype.kind not in "iub":
        raise DataError(
            f"{where}: the masks {name!r} have the shape {shape} and the type {values.dtype}; allowed are whole "
            "numbers [n, height, width], the number of the class or the object in each pixel."
        )
    cells = loaded(values)
    highest = 255 if kind == "mask" else np.iinfo(np.int32).max
    if cells.size and not (cells.min() >= 0 and cells.max() <= highest):
        raise DataError(
            f"{where}: the masks {name!r} hold numbers from {cells.min()} to {cells.max()}; those of the kind {kind} "
            f"are 0 … {highest}."
            + (" Objects that are numbered have the kind instances." if kind == "mask" and cells.min() >= 0 else "")
        )
    return TypedColumn(name, cells.astype(TYPES[kind]), kind)


def resized(column: TypedColumn, height: int, width: int) -> TypedColumn:
    """The masks of `column` at another size, each pixel as the nearest one."""
    values = loaded(column.values)
    out = np.zeros((len(values), height, width), values.dtype)
    for row, mask in enumerate(values):
        out[row] = shrunk(mask.astype(np.int32), height, width)
    return replace(column, values=out, sizes=sizes_of(column))


def _fitting(item: MaskItem, kind: Kind, size: list[int], wanted: tuple[int, int]) -> NDArray[Any]:
    if isinstance(item, tuple) and not item:
        return np.zeros(wanted, np.int32)
    mask = drawn(item, instances=kind == "instances")
    if list(mask.shape) != size:
        raise ValueError(f"its mask has {mask.shape[1]}x{mask.shape[0]} pixels, the picture {size[1]}x{size[0]}")
    if kind == "mask" and mask.max(initial=0) > 255:
        raise ValueError(f"its mask holds the value {mask.max()}; classes are 0 … 255, objects are the kind instances")
    return shrunk(mask, *wanted)


def _mark(item: MaskItem) -> Any:
    """All that says if a mask is another one: names, sizes and times of its files, or its shapes."""
    if isinstance(item, Path):
        try:
            stat = item.stat()
        except FileNotFoundError:
            return [str(item)]
        return [str(item.absolute()), stat.st_size, stat.st_mtime_ns]
    if isinstance(item, tuple):
        return [_mark(each) for each in item]
    return None if item is None else [item.size, repr(item.objects)]
