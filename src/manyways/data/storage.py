"""Rows of one shape in a file: written once, then indexed without being loaded."""

import math
import os
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from manyways.errors import DataError
from manyways.permissions import ensured_folder, private_folder_inside, tighten
from manyways.whole import whole

RowNumbers = NDArray[np.int64]

CHUNK_BYTES = 16 << 20
"""Whole passes over the rows hold about so many bytes of them at a time."""


class Rows(Protocol):
    """An array whose first axis is rows; `rows[numbers]` gives the rows asked for, in that order."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, numbers: RowNumbers, /) -> NDArray[Any]: ...


class FileRows:
    """Rows read on demand from a file of fixed-size rows; takes no address space for what is not read."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: DTypeLike, offset: int = 0) -> None:
        self.path, self.shape, self.dtype, self.offset = path, shape, np.dtype(dtype), offset
        self._file = path.open("rb", buffering=0)
        weakref.finalize(self, self._file.close)
        self._row_bytes = row_bytes(self)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, numbers: RowNumbers) -> NDArray[Any]:
        numbers = row_numbers(numbers, len(self))
        out = np.empty((len(numbers), *self.shape[1:]), self.dtype)
        # Neighbouring rows come in one read: whole passes over the data ask for them in order.
        breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
        for run in np.split(np.arange(len(numbers)), breaks):
            if len(run):
                part = out[run[0] : run[-1] + 1].reshape(-1).view(np.uint8).data
                offset = self.offset + int(numbers[run[0]]) * self._row_bytes
                while part:
                    count = os.preadv(self._file.fileno(), [part], offset)
                    if count == 0:
                        raise DataError(f"{self._file.name} ends before row {numbers[run[-1]]}; read it again.")
                    part, offset = part[count:], offset + count
        return out


def loaded(rows: Rows) -> NDArray[Any]:
    """All of `rows` as an array in memory."""
    return rows if isinstance(rows, np.ndarray) else rows[np.arange(len(rows))]


def home_folder() -> Path:
    """The folder for what Manyways makes: $MANYWAYS_HOME, else the user's cache folder."""
    if place := os.environ.get("MANYWAYS_HOME"):
        return Path(place)
    import platformdirs

    return Path(platformdirs.user_cache_dir("manyways", appauthor=False))


def store_folder() -> Path:
    """The folder of models with their lineage: in $MANYWAYS_HOME, else in the user's data folder."""
    if place := os.environ.get("MANYWAYS_HOME"):
        return Path(place) / "store"
    import platformdirs

    return Path(platformdirs.user_data_dir("manyways", appauthor=False)) / "store"


def cache_folder() -> Path:
    """The folder for encoded rows; anything in it can be deleted and is made again when needed."""
    return make_folder(home_folder() / "cache")


def make_folder(folder: Path) -> Path:
    """`folder` in Manyways' home, which its owner alone may enter, made where it is missing.

    Raises DataError where it cannot be.
    """
    home = home_folder()
    try:
        if home not in folder.parents:
            return ensured_folder(folder)
        return private_folder_inside(home / folder.relative_to(home).parts[0], folder)
    except OSError as error:
        raise DataError(
            f"{folder} cannot be made: {error.strerror}. Set MANYWAYS_HOME to a folder that can be written."
        ) from error


def _address_space() -> float:
    """The bytes of address space this process may use; infinite where there is no limit."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return float("inf")
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return float("inf") if soft == resource.RLIM_INFINITY else float(soft)


def open_rows(path: Path, shape: tuple[int, ...], dtype: DTypeLike, offset: int = 0) -> Rows:
    """Rows of `shape[1:]` in the file at `path` from byte `offset`; mapped, or read on demand where space is tight.

    Raises DataError if the file is shorter than `shape` says.
    """
    need = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    size = path.stat().st_size - offset
    if size < need:
        raise DataError(f"{path} holds {size:,} bytes of rows; {need:,} were expected. Delete it and read again.")
    if need == 0:
        return np.empty(shape, dtype)
    # A mapping counts against the address space even when few of its pages are used.
    if need > _address_space() / 8:
        return FileRows(path, shape, dtype, offset)
    # Copy-on-write: torch wants writable memory, and the file must stay as it is.
    return np.memmap(path, dtype, mode="c", offset=offset, shape=shape)


def write_rows(path: Path, chunks: Iterable[NDArray[Any]], shape: tuple[int, ...], dtype: DTypeLike) -> Rows:
    """Write `chunks` one after the other into `path`, all or nothing, and open them.

    Raises DataError if the disk is full or the chunks do not add up to `shape`; nothing is left behind then.
    """
    make_folder(path.parent)
    advice = "Free some space, or set MANYWAYS_HOME to a folder on another disk."
    needed, written = math.prod(shape) * np.dtype(dtype).itemsize, 0
    with whole(path, DataError, f"The encoded rows {path} cannot be written", advice, needed) as part:
        with part.open("wb") as file:
            for chunk in chunks:
                if chunk.shape[1:] != shape[1:]:
                    raise DataError(f"{path.name}: rows of shape {chunk.shape[1:]} among rows of {shape[1:]}.")
                file.write(np.ascontiguousarray(chunk, dtype).data)
                written += len(chunk)
        tighten(part)
        if written != shape[0]:
            raise DataError(f"{path.name}: {written:,} rows were made, {shape[0]:,} expected.")
    return open_rows(path, shape, dtype)


def row_numbers(which: NDArray[Any], count: int) -> RowNumbers:
    """`which` of `count` rows, numbers (from the end where negative) or a mask, as numbers in [0, count)."""
    which = np.asarray(which)
    if which.dtype == bool or (which < 0).any():
        numbers: RowNumbers = np.arange(count)[which]
        return numbers
    if len(which) and which.max() >= count:
        raise IndexError(f"row numbers must be below {count}; got {which.max()}")
    return np.asarray(which, np.int64)


def row_bytes(rows: Rows) -> int:
    """The bytes of one row."""
    return int(np.prod(rows.shape[1:], dtype=np.int64)) * rows.dtype.itemsize


def is_run(rows: RowNumbers) -> bool:
    """True if `rows` are one after the other, so that a slice gives them."""
    return len(rows) > 0 and int(rows[-1]) - int(rows[0]) + 1 == len(rows) and bool((rows[1:] > rows[:-1]).all())


def view_of(values: Rows, rows: RowNumbers) -> NDArray[Any]:
    """The `rows` of `values`, not copied where they are one after the other: not to be written to."""
    if isinstance(values, np.ndarray) and is_run(rows):
        return values[int(rows[0]) : int(rows[-1]) + 1]
    return np.asarray(values[rows])


def chunks_of(count: int, size: int = 4096, *, row_bytes: int = 1) -> Iterable[RowNumbers]:
    """Row numbers 0 … count-1 in runs of at most `size`, fewer where rows of `row_bytes` would fill `CHUNK_BYTES`."""
    size = max(1, min(size, CHUNK_BYTES // max(1, row_bytes)))
    for start in range(0, count, size):
        yield np.arange(start, min(start + size, count))
