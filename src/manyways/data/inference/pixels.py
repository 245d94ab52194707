"""One image decoded with Pillow: what its header claims, within limits, and its pixels at one size."""

import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from manyways.data.sources.base import Item

Found = TypeVar("Found")

ORIENTATION = 0x0112
GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N", "F"})
CLEAR = ("RGBA", "LA", "La", "PA", "RGBa")
"""Modes of images that are transparent in places."""
_ONE_LARGE = Lock()
DEEP = ("I", "F")
"""First letters of the modes of images of more than 8 bits."""
WHITES = (255.0, 1023.0, 4095.0, 16383.0, 65535.0)
"""The largest number of 8, 10, 12, 14 and 16 bits."""
MOST_PIXELS = 179_000_000
"""Pixels of one image: those of the largest cameras, and what Pillow allows."""
ALWAYS = 1 << 25
"""Pixels that an image may always have; larger ones are decoded one at a time."""
PER_BYTE, PER_BYTE_OF_TWO = 100, 2000
"""Pixels that a byte of a large image stands for at most, and of one of black and white: a scanned page has 700."""
STRIP = 1 << 24
"""Pixels that are worked at together."""


def open_image(item: Item) -> Image.Image:
    """The image with its header read. Raises OSError or ValueError where there is none, or one of too many pixels."""
    if item is None:
        raise OSError("there is no image")
    if isinstance(item, Image.Image):
        return item.copy()
    if isinstance(item, Path) and item.exists() and not item.is_file():
        raise OSError("it is no file, but a folder, a pipe or a device")
    image = Image.open(item if isinstance(item, Path) else io.BytesIO(item))
    pixels = image.width * image.height
    size = item.stat().st_size if isinstance(item, Path) else len(item)
    ratio = PER_BYTE_OF_TWO if image.mode == "1" else PER_BYTE
    most = min(MOST_PIXELS, max(ALWAYS, ratio * size))
    if pixels > most:
        image.close()
        raise ValueError(
            f"it claims {image.width:,}x{image.height:,} pixels; its {size:,} bytes may hold {most:,}. Shrink it first"
        )
    return image


@dataclass(frozen=True)
class Header:
    """Height and width in pixels, whether an image is grey, and whether its pixels have more than 8 bits."""

    height: int
    width: int
    grey: bool
    deep: bool


def header_of(item: Item) -> Header | str:
    """The header of an image, or the reason why it cannot be read."""
    try:
        with open_image(item) as image:
            width, height = image.size
            # The base class reads the header alone; PNG's own getexif decodes every pixel.
            if Image.Image.getexif(image).get(ORIENTATION, 1) >= 5:  # turned by a quarter
                width, height = height, width
            grey = image.mode in GREY_MODES or _has_grey_palette(image)
            return Header(height, width, grey, image.mode.startswith(DEEP))
    except Exception as error:  # Pillow's decoders document none of what they raise for bytes that nobody expected
        return _reason(error)


def _has_grey_palette(image: Image.Image) -> bool:
    palette = np.asarray(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3) if image.mode == "P" else None
    return palette is not None and bool((palette == palette[:, :1]).all())


def pixels_of(item: Item, shape: tuple[int, int, int], white: float | None) -> NDArray[np.uint8] | str:
    """One image as uint8 `shape` [channels, height, width], or why it cannot be decoded."""
    channels, height, width = shape
    mode = "L" if channels == 1 else "RGB"

    def decoded(alone: bool) -> NDArray[np.uint8] | None:
        with open_image(item) as image:
            # JPEG decodes at a half or less directly; twice the size, turned or not, is enough to resize.
            image.draft(mode, (2 * max(width, height),) * 2)
            if _is_large(image) and not alone:
                return None
            ImageOps.exif_transpose(image, in_place=True)
            flat = _flat(image, white, mode)
            if flat.size != (width, height):
                flat = flat.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
            return np.asarray(flat, np.uint8)

    try:
        pixels = _one_at_a_time(decoded)
    except Exception as error:  # Pillow's decoders document none of what they raise for bytes that nobody expected
        return _reason(error)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def white_of(items: Sequence[Item], pool: ThreadPoolExecutor) -> float:
    """White in images of more than 8 bits: the largest number of the depth that the brightest of them needs.

    Fractions of at most 1 are parts of white.
    """
    highest = max((high for high in pool.map(_brightest, items) if high is not None), default=0.0)
    fractions = 0 < highest <= 1
    return 1.0 if fractions else next((white for white in WHITES if highest < white + 0.5), WHITES[-1])


def _brightest(item: Item) -> float | None:
    """The highest pixel; None for an image that cannot be decoded, or has pixels that none can have."""

    def highest(alone: bool) -> float | None:
        with open_image(item) as image:
            return None if _is_large(image) and not alone else float(_deep_pixels(image).max(initial=0))

    try:
        return _one_at_a_time(highest)
    except Exception:
        return None


def _one_at_a_time(work: Callable[[bool], Found | None]) -> Found:
    """The result of `work`; where it gives nothing, as an image is large, then once it is alone with one."""
    result = work(False)
    if result is None:
        with _ONE_LARGE:
            result = work(True)
    assert result is not None
    return result


def _is_large(image: Image.Image) -> bool:
    return image.width * image.height > ALWAYS


def _deep_pixels(image: Image.Image) -> NDArray[Any]:
    values = np.asarray(image)
    low, high = values.min(initial=0), values.max(initial=0)  # NaN where a pixel is
    if not (low >= 0 and high < WHITES[-1] + 0.5):
        raise ValueError("its pixels are not in 0 … 255 or 0 … 65535")
    return values


def _flat(image: Image.Image, white: float | None, mode: str) -> Image.Image:
    """`image` in `mode`, of 8 bits without transparency; `white` is what is white in one of more bits.

    What is larger than `STRIP` is worked at in strips, so that it takes no more memory than its pixels do.
    """
    rows = max(1, STRIP // max(1, image.width))
    if image.mode.startswith(DEEP):
        values, factor = _deep_pixels(image), 255.0 / (white or WHITES[0])
        flat = np.empty(values.shape, np.uint8)
        for top in range(0, len(values), rows):
            # convert("L") would cut at 255 instead of scaling.
            scaled = np.round(values[top : top + rows].astype(np.float64) * factor)
            flat[top : top + rows] = np.minimum(scaled, 255)
        image = Image.fromarray(flat)
    elif image.mode in CLEAR or "transparency" in image.info:
        laid = Image.new("RGB", image.size)
        for top in range(0, image.height, rows):
            clear = image.crop((0, top, image.width, min(top + rows, image.height))).convert("RGBA")
            strip = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
            laid.paste(strip.convert("RGB"), (0, top))
        image = laid
    return image if image.mode == mode else image.convert(mode)


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, UnidentifiedImageError):
        return "it is no image in a known format"
    return str(error) or type(error).__name__
