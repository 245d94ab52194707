"""Files of images and sounds: their endings, and items in other forms."""

from pathlib import Path
from typing import Any

from manyways.data.kinds import Kind
from manyways.data.sources.base import Item

IMAGES = frozenset(
    {
        ".apng", ".avif", ".bmp", ".dib", ".gif", ".ico", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpf", ".jpg",
        ".jpx", ".pbm", ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".qoi", ".sgi", ".tga", ".tif", ".tiff", ".webp",
    }
)  # fmt: skip
"""Endings of images that Pillow decodes by itself; others (.eps, .pdf) are programs, or need one."""
SOUNDS = frozenset(
    {
        ".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".rf64", ".snd", ".w64",
        ".wav", ".wave",
    }
)  # fmt: skip
"""Endings of sounds that soundfile decodes."""


def kind_of(path: Path) -> Kind | None:
    """`image` or `audio` by the ending of a file's name; None for any other file."""
    ending = path.suffix.lower()
    return "image" if ending in IMAGES else "audio" if ending in SOUNDS else None


def item_of(value: Any, folder: Path | None = None) -> Item:
    """The item in a mapping of `bytes` and `path`, as Hugging Face stores images and sounds."""
    if value is None or (value.get("bytes") is None and not value.get("path")):
        return None
    data: bytes | None = value.get("bytes")
    return data if data is not None else (folder or Path()) / value["path"]
