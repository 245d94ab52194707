"""Masks drawn: of a file whose pixels are numbers, of files with an object each, of polygons and run lengths."""

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from manyways.data.inference.pixels import MOST_PIXELS, open_image
from manyways.data.sources.base import MaskItem, Shapes

Mask = NDArray[np.int32]


def drawn(item: MaskItem, *, instances: bool) -> Mask:
    """The mask int32 [height, width] at the size of its own.

    Values are those of the pixels of a file, 0 for nothing. Of files with an object each, and of shapes, they are the
    class's code, 1 where there are no classes, or with `instances` numbers from 1, of which the objects drawn first are
    the largest, so that what lies in front of them stays whole.

    Raises:
        ValueError: It cannot be drawn; the message says why.
    """
    if isinstance(item, Path):
        return _of_file(item)
    if isinstance(item, tuple):
        return _of_files(item, instances=instances)
    if item is None:
        raise ValueError("there is no mask")
    return _of_shapes(item, instances=instances)


def extents_of(files: Sequence[Path] | MaskItem) -> tuple[tuple[int, int] | None, list[tuple[int, int, int, int]]]:
    """The common height and width of files with an object each, and left, top, right and bottom of each object.

    Raises:
        ValueError: A file cannot be read or has another size; or one is empty.
    """
    size: tuple[int, int] | None = None
    extents = []
    for path in files if isinstance(files, tuple | list) else ():
        covered = _of_file(path) > 0
        size = _same_size(size, covered.shape, path)
        rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
        if not len(rows):
            raise ValueError(f"the mask {path.name} covers nothing")
        extents.append((int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1))
    return size, extents


def shrunk(mask: Mask, height: int, width: int) -> Mask:
    """`mask` at another size, each pixel as the nearest one: numbers of classes are never mixed."""
    if mask.shape == (height, width):
        return mask
    resized = Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(resized, np.int32)


def _of_file(path: Path) -> Mask:
    try:
        with open_image(path) as image:
            if image.mode not in ("1", "L", "P", "I", "I;16", "I;16L", "I;16B"):
                image = _grey(image)  # noqa: PLW2901
            values = np.asarray(image)
    except FileNotFoundError:
        raise ValueError(f"there is no mask {path.name}") from None
    except Exception as error:  # Pillow's decoders document none of what they raise for bytes that nobody expected
        raise ValueError(f"the mask {path.name} cannot be read: {error}") from error
    return values.astype(np.int32)


def _grey(image: Image.Image) -> Image.Image:
    """An image of three equal channels as one. Raises ValueError for colours."""
    channels = np.asarray(image.convert("RGB"))
    if (channels != channels[..., :1]).any():
        raise ValueError(
            "its pixels are colours; a mask holds the number of a class in each pixel, as in a grey or palette PNG"
        )
    return Image.fromarray(np.ascontiguousarray(channels[..., 0]))


def _of_files(paths: Sequence[Path], *, instances: bool) -> Mask:
    size: tuple[int, int] | None = None
    objects = []
    for path in paths:
        covered = _of_file(path) > 0
        size = _same_size(size, covered.shape, path)
        objects.append(covered)
    if size is None:
        raise ValueError("there are no masks, which say the size")
    return _laid(size, [(1, covered) for covered in objects], instances=instances)


def _of_shapes(shapes: Shapes, *, instances: bool) -> Mask:
    height, width = shapes.size
    if height < 1 or width < 1 or height * width > MOST_PIXELS:
        raise ValueError(f"its size {width}x{height} is none of a picture")
    objects = [(code, _covered(each, height, width)) for code, each in shapes.objects]
    return _laid(shapes.size, objects, instances=instances)


def _laid(size: tuple[int, int], objects: Sequence[tuple[int, NDArray[np.bool_]]], *, instances: bool) -> Mask:
    mask = np.zeros(size, np.int32)
    numbered = sorted(enumerate(objects, 1), key=lambda each: -int(each[1][1].sum()))
    for number, (code, covered) in numbered:
        mask[covered] = number if instances else code
    return mask


def _covered(segmentation: Any, height: int, width: int) -> NDArray[np.bool_]:
    if isinstance(segmentation, Mapping):
        return _of_runs(segmentation, height, width)
    if not isinstance(segmentation, list):
        raise ValueError("a segmentation is a list of polygons or an object with counts")
    canvas = Image.new("1", (width, height))
    draw = ImageDraw.Draw(canvas)
    for polygon in segmentation:
        points = _points(polygon)
        # Corners lie between pixels; Pillow's are pixels, of which it fills those on the border, too.
        draw.polygon([(x - 0.5, y - 0.5) for x, y in points], fill=1)
    return np.asarray(canvas, bool)


def _points(polygon: Any) -> list[tuple[float, float]]:
    try:
        sides = [float(side) for side in polygon]
    except (TypeError, ValueError):
        raise ValueError("a polygon is a list of numbers: x, y, x, y, …") from None
    if len(sides) < 6 or len(sides) % 2 or not all(map(isfinite, sides)) or max(map(abs, sides)) > MOST_PIXELS:
        raise ValueError(f"a polygon has {len(sides)} numbers; it needs three corners at least, each x and y")
    return list(zip(sides[::2], sides[1::2], strict=True))


def _of_runs(runs: Mapping[str, Any], height: int, width: int) -> NDArray[np.bool_]:
    """Run lengths down the columns, first those of nothing: whole numbers, or COCO's text of them."""
    if list(runs.get("size", ())) != [height, width]:
        raise ValueError(f"its run lengths are of the size {runs.get('size')}, not of {[height, width]}")
    counts = runs.get("counts")
    lengths = _unpacked(counts) if isinstance(counts, str) else counts
    if not isinstance(lengths, list) or not all(isinstance(each, int) and each >= 0 for each in lengths):
        raise ValueError("its run lengths are no whole numbers")
    if sum(lengths) != height * width:
        raise ValueError(f"its run lengths cover {sum(lengths):,} pixels of {height * width:,}")
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape(width, height).T


def _unpacked(text: str) -> list[int]:
    """Run lengths of COCO's text: digits of 5 bits, the lowest first; from the third on differences to two before."""
    lengths: list[int] = []
    value = shift = 0
    for character in text:
        digit = ord(character) - 48
        if not 0 <= digit < 64 or shift > 35:
            raise ValueError("its run lengths are damaged")
        value |= (digit & 31) << shift
        shift += 5
        if digit & 32:
            continue
        if digit & 16:
            value -= 1 << shift
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("its run lengths end within a number")
    return lengths


def _same_size(size: tuple[int, int] | None, shape: tuple[int, ...], path: Path) -> tuple[int, int]:
    height, width = shape
    if size is not None and size != (height, width):
        raise ValueError(f"the mask {path.name} has {width}x{height} pixels, those before it {size[1]}x{size[0]}")
    return height, width
