"""Rows made of other rows, and rows kept in memory or in the cache."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from manyways.data.storage import RowNumbers, Rows, cache_folder, chunks_of, loaded, open_rows, row_bytes, write_rows
from manyways.errors import DataError
from manyways.permissions import tighten

IN_MEMORY = 64 << 20
"""Arrays of more bytes than this are kept in a file of the cache and mapped."""

VERSION = 1
"""Part of every cache key: raised when what is stored changes."""


class JoinedRows:
    """The rows of several arrays, one after the other."""

    def __init__(self, parts: Sequence[Rows]) -> None:
        self.dtype = np.result_type(*(part.dtype for part in parts))
        self._parts = parts
        self._ends = np.cumsum([len(part) for part in parts])
        self.shape = (int(self._ends[-1]), *parts[0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, numbers: RowNumbers) -> NDArray[Any]:
        numbers = _as_numbers(numbers, len(self))
        which = np.searchsorted(self._ends, numbers, side="right")
        out = np.empty((len(numbers), *self.shape[1:]), self.dtype)
        start = 0
        for index, part in enumerate(self._parts):
            here = which == index
            if here.any():
                out[here] = part[numbers[here] - start]
            start = int(self._ends[index])
        return out


class SelectedRows:
    """Some rows of an array, by number."""

    def __init__(self, rows: Rows, chosen: RowNumbers) -> None:
        self._rows, self._chosen = rows, chosen
        self.dtype, self.shape = rows.dtype, (len(chosen), *rows.shape[1:])

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, numbers: RowNumbers) -> NDArray[Any]:
        return self._rows[self._chosen[numbers]]


def _as_numbers(numbers: RowNumbers, count: int) -> RowNumbers:
    numbers = np.asarray(numbers)
    if len(numbers) and not (numbers.min() >= 0 and numbers.max() < count):
        raise IndexError(f"row numbers must be in [0, {count}); got {numbers.min()} … {numbers.max()}")
    return numbers


def join(parts: Sequence[Rows]) -> Rows:
    """`parts` one after the other: copied together where small, else looked up in place."""
    size = sum(int(np.prod(part.shape, dtype=np.int64)) * part.dtype.itemsize for part in parts)
    if size <= IN_MEMORY or all(len(part.shape) == 1 for part in parts):
        return np.concatenate([loaded(part) for part in parts])
    return JoinedRows(parts)


def select(rows: Rows, chosen: RowNumbers) -> Rows:
    """The rows `chosen`: copied where small, else looked up in place."""
    size = int(np.prod(rows.shape[1:], dtype=np.int64)) * rows.dtype.itemsize * len(chosen)
    return rows[chosen] if size <= IN_MEMORY or len(rows.shape) == 1 else SelectedRows(rows, chosen)


def keep(chunks: Iterable[NDArray[Any]], shape: tuple[int, ...], dtype: DTypeLike, key: str) -> Rows:
    """`chunks` as one array: in memory where small, else in the cache under `key`, found again there."""
    if int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize > IN_MEMORY:
        path = cache_folder() / f"{key}.rows"
        return open_rows(path, shape, dtype) if path.exists() else write_rows(path, chunks, shape, dtype)
    out = np.empty(shape, dtype)
    start = 0
    for chunk in chunks:
        if start + len(chunk) > len(out):
            raise DataError(f"More than the {shape[0]:,} rows that were announced.")
        out[start : start + len(chunk)] = chunk
        start += len(chunk)
    if start != shape[0]:
        raise DataError(f"{start:,} rows were found, {shape[0]:,} announced.")
    return out


def key_of(*parts: Any) -> str:
    """A cache key: a hash of anything that JSON can write."""
    text = json.dumps([VERSION, *parts], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def key_of_rows(rows: Rows, *more: Any) -> str:
    """A cache key that follows from the content of `rows`."""
    hasher = hashlib.blake2b(digest_size=16)
    for numbers in chunks_of(len(rows), row_bytes=row_bytes(rows)):
        hasher.update(np.ascontiguousarray(rows[numbers]).data)
    return key_of(str(rows.dtype), hasher.hexdigest(), *more)


def key_of_file(path: Path, *more: Any) -> str:
    """A cache key that changes when the file does: its path, size and time of change."""
    stat = path.stat()
    return key_of(str(path.resolve()), stat.st_size, stat.st_mtime_ns, *more)


def load_note(key: str) -> dict[str, Any] | None:
    """The note that `save_note` kept under `key`; None where it kept nothing or its rows are gone."""
    folder = cache_folder()
    note = folder / f"{key}.json"
    if not note.exists() or not (folder / f"{key}.rows").exists():
        return None
    saved: dict[str, Any] = json.loads(note.read_text("utf-8"))
    return saved


def save_note(key: str, note: Mapping[str, Any]) -> None:
    """Keep `note` beside the rows under `key`, written last so that it speaks for whole rows only."""
    path = cache_folder() / f"{key}.json"
    part = path.with_suffix(".json.part")
    part.write_text(json.dumps(note), "utf-8")
    tighten(part).replace(path)
