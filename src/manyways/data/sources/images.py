"""Images decoded with Pillow to one size, in parallel, into rows uint8 [n, channels, height, width]."""

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from manyways.data.sources.arrays import as_images, scale_of
from manyways.data.sources.base import Options, RawColumn, Table, count_of
from manyways.data.sources.media import Item, items_key
from manyways.data.sources.rows import IN_MEMORY, keep, key_of, load_note, save_note
from manyways.data.storage import RowNumbers, Rows, cache_folder, chunks_of, open_rows, row_bytes, write_rows
from manyways.errors import DataError, ParameterError

LARGEST = 96
"""Pixels of the longer side unless `image_size` asks for more."""

CHUNK = 256
ORIENTATION = 0x0112
GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N", "F"})
DEEP = ("I", "F")
"""How the modes of images of more than 8 bits begin."""
WHITES = (255.0, 1023.0, 4095.0, 16383.0, 65535.0)
"""The largest number of 8, 10, 12, 14 and 16 bits."""
UNDECODABLE = (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError)
"""What Pillow raises for a file that is missing, no image, damaged, cut short or beyond its limit of pixels.
"""


def decode(name: str, items: Sequence[Item], options: Options, where: str) -> tuple[RawColumn, dict[int, str]]:
    """A column uint8 [n, channels, height, width], and why rows could not be decoded (those rows are zero).

    The size is `image_size` or the median height and width, at most 96 pixels; images are stretched to it.
    Grey where all files are grey, RGB otherwise; transparency is laid on white. Images of more than 8 bits have one
    scale: `image_white` is their white, or the largest number of the depth that the brightest of them needs. Rows are
    found again in the cache while names, sizes and times of the files stay. Raises DataError where no image can be
    decoded.
    """
    key = items_key(items, "image", options.image_size, options.channels, "white", options.image_white)
    if note := load_note(key):
        shape = tuple(note["shape"])
        rows = open_rows(cache_folder() / f"{key}.rows", shape, np.uint8)
        bad = {int(row): why for row, why in note["bad"].items()}
        return RawColumn(name, rows, "image", white=note["white"]), bad
    bad = {}
    Image.init()  # before there are threads, which would each think that another has done it
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        headers: list[_Header] = []
        deep: list[Item] = []
        for row, header in enumerate(pool.map(_header, items)):
            if isinstance(header, str):
                bad[row] = header
            else:
                headers.append(header)
                deep += [items[row]] * header.deep
        if not headers:
            raise DataError(
                f"{where}: none of {count_of(len(items), 'image')} can be decoded; {next(iter(bad.values()), '')}"
            )
        height, width = common_size([(each.height, each.width) for each in headers], options.image_size)
        channels = options.channels or (1 if all(each.grey for each in headers) else 3)
        white = (options.image_white or _white(deep, pool)) if deep else None
        shape = (len(items), channels, height, width)
        chunks = _chunks(items, (channels, height, width), white, bad, pool)
        rows = write_rows(cache_folder() / f"{key}.rows", chunks, shape, np.uint8)
    save_note(key, {"shape": shape, "bad": bad, "white": white})
    return RawColumn(name, rows, "image", white=white), bad


def arrays_of(values: Sequence[Any]) -> list[NDArray[Any] | None] | None:
    """Nested lists of numbers as arrays of two or three axes, None where a value is missing; else None."""
    first = next((value for value in values if value is not None), None)
    if not isinstance(first, list | tuple) or not first or not isinstance(first[0], list | tuple):
        return None
    try:
        arrays = [None if value is None else np.array(value) for value in values]
    except ValueError:  # ragged
        return None
    there = [array for array in arrays if array is not None]
    return arrays if all(array.ndim in (2, 3) and array.dtype.kind in "iufb" for array in there) else None


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
    """`table` with all images of the height and width `size`, in pixels; None leaves them as they are."""
    if size is None:
        return table
    height, width = common_size([], size)
    columns = dict(table.columns)
    for name, column in columns.items():
        if column.kind == "image" and column.values.shape[2:] != (height, width):
            columns[name] = replace(column, values=_resized_rows(column.values, height, width))
    return replace(table, columns=columns)


def _resized_rows(images: Rows, height: int, width: int) -> Rows:
    count, channels = images.shape[:2]
    shape = (count, channels, height, width)

    def chunks() -> Iterator[NDArray[np.uint8]]:
        for rows in chunks_of(count, each=row_bytes(images)):
            chunk = np.empty((len(rows), *shape[1:]), np.uint8)
            for out, plane in zip(chunk.reshape(-1, height, width), _planes(images, rows), strict=True):
                image = Image.fromarray(plane)
                out[:] = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0))
            yield chunk

    def key() -> str:
        hasher = hashlib.blake2b(digest_size=16)
        for rows in chunks_of(count, each=row_bytes(images)):
            hasher.update(np.ascontiguousarray(images[rows]).data)
        return key_of("resized", hasher.hexdigest(), shape)

    return keep(chunks(), shape, np.uint8, key() if int(np.prod(shape, dtype=np.int64)) > IN_MEMORY else "")


def _planes(images: Rows, rows: RowNumbers) -> NDArray[np.uint8]:
    """The channels of some images, each as an image."""
    return np.ascontiguousarray(images[rows]).reshape(-1, *images.shape[2:])


def common_size(sizes: Sequence[tuple[int, int]], asked: int | tuple[int, int] | None) -> tuple[int, int]:
    """Height and width for all: as asked, else the medians of `sizes`, scaled so that the longer is at most 96."""
    if asked is not None:
        size = (asked, asked) if isinstance(asked, int) else tuple(asked)
        if len(size) != 2 or min(size) < 1:
            raise ParameterError(f"image_size must be a positive number or (height, width) in pixels; got {asked!r}.")
        return size[0], size[1]
    height, width = (float(median(side)) for side in zip(*sizes, strict=True))
    scale = min(1.0, LARGEST / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _open(item: Item) -> Image.Image:
    if item is None:
        raise OSError("there is no image")
    if isinstance(item, Image.Image):
        return item.copy()
    return Image.open(item if isinstance(item, Path) else io.BytesIO(item))


@dataclass(frozen=True)
class _Header:
    """Height and width in pixels, whether an image is grey, and whether its pixels have more than 8 bits."""

    height: int
    width: int
    grey: bool
    deep: bool


def _header(item: Item) -> _Header | str:
    """What the header alone says of an image; or why it cannot be read."""
    try:
        with _open(item) as image:
            width, height = image.size
            # The base class reads the header alone; PNG's own getexif decodes every pixel.
            if Image.Image.getexif(image).get(ORIENTATION, 1) >= 5:  # turned by a quarter
                width, height = height, width
            grey = image.mode in GREY_MODES or _has_grey_palette(image)
            return _Header(height, width, grey, image.mode.startswith(DEEP))
    except UNDECODABLE as error:
        return _reason(error)


def _has_grey_palette(image: Image.Image) -> bool:
    palette = np.asarray(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3) if image.mode == "P" else None
    return palette is not None and bool((palette == palette[:, :1]).all())


def _chunks(
    items: Sequence[Item],
    shape: tuple[int, int, int],
    white: float | None,
    bad: dict[int, str],
    pool: ThreadPoolExecutor,
) -> Iterator[NDArray[np.uint8]]:
    for start in range(0, len(items), CHUNK):
        chunk = np.zeros((min(CHUNK, len(items) - start), *shape), np.uint8)
        part = items[start : start + CHUNK]
        results = pool.map(lambda item: _pixels(item, shape, white), part)
        for offset, pixels in enumerate(results):
            if isinstance(pixels, str):
                bad.setdefault(start + offset, pixels)
            else:
                chunk[offset] = pixels
        yield chunk


def _pixels(item: Item, shape: tuple[int, int, int], white: float | None) -> NDArray[np.uint8] | str:
    """One image as uint8 `shape` [channels, height, width], or why it cannot be decoded."""
    channels, height, width = shape
    try:
        with _open(item) as opened:
            # JPEG decodes at a half or less directly; twice the size, turned or not, is enough to resize.
            opened.draft("L" if channels == 1 else "RGB", (2 * max(width, height),) * 2)
            image = _flat(ImageOps.exif_transpose(opened), white).convert("L" if channels == 1 else "RGB")
            if image.size != (width, height):
                image = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
            pixels = np.asarray(image, np.uint8)
    except UNDECODABLE as error:
        return _reason(error)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _white(items: Sequence[Item], pool: ThreadPoolExecutor) -> float:
    """What is white in images of more than 8 bits: the largest number of the depth that the brightest of them needs.

    Fractions of at most 1 are parts of white.
    """
    highest = max((high for high in pool.map(_brightest, items) if high is not None), default=0.0)
    fractions = 0 < highest <= 1
    return 1.0 if fractions else next((white for white in WHITES if highest < white + 0.5), WHITES[-1])


def _brightest(item: Item) -> float | None:
    """The highest pixel; None for an image that cannot be decoded, or has pixels that none can have."""
    try:
        with _open(item) as image:
            return float(_deep_pixels(image).max(initial=0))
    except UNDECODABLE:
        return None


def _deep_pixels(image: Image.Image) -> NDArray[np.float64]:
    values: NDArray[np.float64] = np.asarray(image, np.float64)
    if not (np.isfinite(values).all() and values.min(initial=0) >= 0 and values.max(initial=0) < WHITES[-1] + 0.5):
        raise ValueError("its pixels are not in 0 … 255 or 0 … 65535")
    return values


def _flat(image: Image.Image, white: float | None) -> Image.Image:
    """`image` at 8 bits without transparency; `white` is what is white in one of more bits, and what is brighter."""
    if image.mode.startswith(DEEP):
        # convert("L") would cut at 255 instead of scaling.
        scaled = _deep_pixels(image) * (255.0 / (white or WHITES[0]))
        return Image.fromarray(np.minimum(np.round(scaled), 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "La", "PA", "RGBa") or "transparency" in image.info:
        clear = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
    return image


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, UnidentifiedImageError):
        return "it is no image in a known format"
    return str(error) or type(error).__name__
