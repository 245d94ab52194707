"""Columns of images and sounds: told among other values, and decoded."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.inference.table import TypedColumn
from manyways.data.kinds import Kind
from manyways.data.notation import MISSING_WORDS
from manyways.data.phrases import count_of
from manyways.data.sources.base import Item, Media, Options
from manyways.data.sources.media import IMAGES, SOUNDS, kind_of
from manyways.data.sources.rows import key_of
from manyways.errors import DataError

T = TypeVar("T")
CHUNK = 256
"""Items that are decoded between two writes."""
BEGINNINGS = (
    b"RIFF", b"RF64", b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"FORM", b".snd", b"caff"
)  # fmt: skip
"""First bytes of sounds."""


def items_in(name: str, values: Sequence[Any], folder: Path | None, kind: Kind | None, where: str) -> list[Item] | None:
    """The images or sounds in Python values: names of files, or images some of which lack or differ in size; else None.

    Raises DataError as `files_of` does.
    """
    first = next((value for value in values if value is not None), None)
    if isinstance(first, str):
        words = all(value is None or isinstance(value, str) for value in values)
        return files_of(name, values, folder, kind, where) if words else None
    if first is None or isinstance(first, bool | int | float):
        return None
    from manyways.data.inference import images

    return images.items_of(images.arrays_of(values) or values, name, where)


def decode(
    name: str, items: Sequence[Item], options: Options, where: str, given: Media
) -> tuple[TypedColumn, dict[int, str]]:
    """`items` decoded to one shape: a column of kind image or audio, and why rows could not be decoded.

    A row without an item is none of those: the column says that it is absent. given: what the source says beside.
    """
    from manyways.data.inference import images, sounds

    kind = options.kinds.get(name) or next((_sniff(item) for item in items if item is not None), None)
    if kind is None:
        raise DataError(f"{where}: the column {name!r} has an image or a sound in no row.")
    if kind not in ("image", "audio"):
        raise DataError(f"{where}: the column {name!r} holds images or sounds; it cannot have the kind {kind!r}.")
    if kind == "image":
        column, bad = images.decode(name, items, options, where, given.largest)
        bad |= images.of_other_sizes(column, given.sizes)
    else:
        column, bad = sounds.decode(name, items, options, where)
    absent = np.array([item is None for item in items], bool)
    bad = {row: why for row, why in bad.items() if not absent[row]}
    return replace(column, absent=absent if absent.any() else None), bad


def files_of(
    name: str, values: Sequence[str | None], folder: Path | None, kind: Kind | None, where: str
) -> list[Item] | None:
    """The files that a column of names speaks of; None where it speaks of none.

    A column speaks of files where half of its values at least end like an image or a sound and some exist below
    `folder`, or where `kinds` says so. A row without a name, or with a word such as nan in its place, has no file.
    """
    values = [None if value is None or value.strip().lower() in MISSING_WORDS else value for value in values]
    known = [value for value in values if value is not None]
    if kind not in (None, "image", "audio") or folder is None or not known:
        return None
    if kind is None and not may_be_files(known):
        return None
    items: list[Item] = [None if value is None else folder / value for value in values]
    if not any(isinstance(item, Path) and item.is_file() for item in items):
        if kind is None:
            return None
        raise DataError(f"{where}: the column {name!r} names no file below {folder}; the first is {known[0]!r}.")
    return items


def may_be_files(names: Sequence[str]) -> bool:
    """True if half of `names` at least end like an image or a sound: the others are files that cannot be read."""
    known = [name for name in names if name.strip().lower() not in MISSING_WORDS]
    endings = [f".{name.rpartition('.')[2].lower()}" for name in known]
    return 2 * sum(ending in IMAGES or ending in SOUNDS for ending in endings) >= max(1, len(known))


def headers_of(
    items: Sequence[Item], header: Callable[[Item], T | str], bad: dict[int, str], pool: Executor, noun: str, where: str
) -> dict[int, T]:
    """The headers of items by their rows; the reasons of those that have none go into `bad`.

    Raises DataError where none has one.
    """
    headers: dict[int, T] = {}
    for row, read in enumerate(pool.map(header, items)):
        if isinstance(read, str):
            bad[row] = read
        else:
            headers[row] = read
    if not headers:
        reason = next(iter(bad.values()), "")
        raise DataError(f"{where}: none of {count_of(len(items), noun)} can be decoded; {reason}")
    return headers


def decoded(
    items: Sequence[Item],
    decode_one: Callable[[Item], NDArray[Any] | str],
    blank: NDArray[Any],
    bad: dict[int, str],
    pool: Executor,
) -> Iterator[NDArray[Any]]:
    """Items decoded in chunks, each of at most the shape of `blank`, which a row is that cannot be: see `bad`."""
    for start in range(0, len(items), CHUNK):
        part = items[start : start + CHUNK]
        chunk = np.repeat(blank[None], len(part), axis=0)
        for offset, values in enumerate(pool.map(decode_one, part)):
            if isinstance(values, str):
                bad.setdefault(start + offset, values)
            else:
                chunk[offset, : len(values)] = values
        yield chunk


def _sniff(item: Any) -> Kind | None:
    if isinstance(item, Path):
        return kind_of(item) or "image"
    if not isinstance(item, bytes):
        return "image"
    return "audio" if item.startswith(BEGINNINGS) and item[8:12] != b"WEBP" else "image"


def items_key(items: Sequence[Item], *more: Any) -> str:
    """A cache key that changes when a file's name, size or time of change does, or the bytes of an item."""

    def mark(item: Item) -> Any:
        if isinstance(item, bytes):
            return hashlib.blake2b(item, digest_size=16).hexdigest()
        if not isinstance(item, Path):
            facts = item and [item.mode, item.size, hashlib.blake2b(item.tobytes(), digest_size=16).hexdigest()]
            return facts or None
        try:
            stat = item.stat()
        except FileNotFoundError:
            return [str(item)]
        return [str(item.absolute()), stat.st_size, stat.st_mtime_ns]

    return key_of([mark(item) for item in items], *more)
