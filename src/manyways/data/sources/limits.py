"""Limits for what a file claims, unpacks to, or takes in memory; and decoders of others, whose errors become ours."""

import gzip
import io
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from manyways.errors import DataError, ManywaysError

UNPACKED = 64 << 20
"""Bytes to which a packed file may always unpack in memory, whatever its own size."""
HIGHEST_RATIO = 200
"""Times its own size that a packed file may unpack to beyond that: real tables, images and sounds stay far below."""
DEFLATE = 1032
"""Times its packed size that anything packed by Deflate can be at most."""
MOST_COLUMNS = 100_000
SPARSE = 1 << 26
"""Cells that a table may always have; of one with more, every 200th at least must be given."""
CONTAINER = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)
"""Files below /sys/fs/cgroup that say how much memory a container may take, and takes."""
BLOCK = 16 << 20
"""Bytes that are read at a time where a header says how many there should be."""


def memory() -> int:
    """Bytes of memory that this process may still take: what is free, within the limits of its container."""
    free = [_free_memory()]
    try:
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        if soft != resource.RLIM_INFINITY:
            free.append(soft)
    except ImportError:  # Windows has no such limit
        pass
    for most, used in CONTAINER:
        try:
            limit, taken = (int(Path("/sys/fs/cgroup", name).read_text("ascii")) for name in (most, used))
        except (OSError, ValueError):  # no such container, or one without a limit
            continue
        free.append(max(0, limit - taken))
    return min(free)


def _free_memory() -> int:
    try:
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return 16 << 30  # a system that does not say


def check_memory(need: int, where: str, what: str, instead: str) -> None:
    """Raise DataError where `need` bytes, which `what` takes, are more than the memory that is free."""
    if need > UNPACKED and need > (free := memory()):
        raise DataError(f"{where}: {what} takes about {_size(need)} of memory, and {_size(free)} are free. {instead}")


def check_table(rows: int, columns: int, where: str, given: int | None = None) -> None:
    """Raise DataError for too many columns, or for a table almost all of whose cells are empty.

    given: how many cells hold anything, where it is known.
    """
    if columns > MOST_COLUMNS:
        raise DataError(
            f"{where} has more than {MOST_COLUMNS:,} columns. Save a wide table of numbers as a matrix, which is one "
            "column: numpy.save('x.npy', matrix)."
        )
    cells = rows * columns
    if given is not None and cells > SPARSE and cells > HIGHEST_RATIO * given:
        raise DataError(
            f"{where} makes a table of {columns:,} columns by {rows:,} rows in which {given:,} cells hold anything; "
            f"beyond {SPARSE:,} cells one of {HIGHEST_RATIO} must. Give rows the same keys, or write what differs "
            "into one key as a nested object."
        )


def need_of(shape: tuple[int, ...], dtype: np.dtype[Any], where: str) -> int:
    """The bytes of an array as a header announces it.

    Raises DataError for sizes that no array has, and for rows without values.
    """
    if not all(isinstance(size, int) and not isinstance(size, bool) and size >= 0 for size in shape):
        raise DataError(f"{where} is damaged: its header announces the shape {shape}. Download or save it again.")
    if dtype.itemsize == 0 or dtype.subdtype is not None or (shape and shape[0] > 0 and prod(shape) == 0):
        raise DataError(
            f"{where} announces rows without values: the shape {shape} of type {dtype}. Save it again with a value at "
            "least in each row."
        )
    return prod(shape) * dtype.itemsize


def check_held(need: int, size: int, where: str, *, packed: bool = False) -> None:
    """Raise DataError where a header announces `need` bytes of values, more than the `size` bytes can be.

    packed: whether those are packed by Deflate, by which a byte can hold 1,032.
    """
    most = size * DEFLATE + BLOCK if packed else size
    if need > most:
        how = f"{size:,} packed bytes, which can hold {most:,} at most" if packed else f"{size:,}"
        raise DataError(
            f"{where} is cut short: {need:,} bytes of values are announced, it holds {how}. Download or save it again."
        )


def read_exactly(file: IO[bytes], count: int) -> bytes:
    """The next `count` bytes, or as many as there are: memory is taken as they come, not as they are announced."""
    if count <= BLOCK:
        return file.read(count)
    blocks = []
    while count > 0 and (block := file.read(min(count, BLOCK))):
        blocks.append(block)
        count -= len(block)
    return b"".join(blocks)


def read_whole(path: Path) -> bytes:
    """All bytes of a file, unpacked where its name ends in .gz, within the limits of `opened` and of memory."""
    check_memory(path.stat().st_size, str(path), "reading it whole", "Divide it into smaller files.")
    with opened(path) as file:
        return file.read()


@contextmanager
def opened(path: Path) -> Iterator[io.BufferedReader]:
    """The bytes of a file, unpacked as they are read where its name ends in .gz.

    Raises DataError for one that is damaged, and for one that unpacks to more than 64 MiB and 200 times its packed
    size, or to more than the memory that is free.
    """
    if path.suffix.lower() != ".gz":
        with path.open("rb") as file:
            yield file
        return
    try:
        with gzip.open(path, "rb") as packed, io.BufferedReader(_Bounded(packed, path), 1 << 17) as unpacked:
            yield cast("io.BufferedReader", unpacked)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is damaged: {error}. Check the download, or pack it again.") from error


class _Bounded(io.RawIOBase):
    """The bytes that a packed file unpacks to, up to the limit."""

    def __init__(self, packed: gzip.GzipFile, path: Path) -> None:
        self._packed, self._path, self._size = packed, path, path.stat().st_size
        self._most = max(UNPACKED, min(HIGHEST_RATIO * self._size, memory()))
        with path.open("rb") as file:  # a packed file ends in the size of what it holds; it need not be true
            file.seek(max(0, self._size - 4))
            size = int.from_bytes(file.read(4), "little")
        self._left = self._most
        if UNPACKED < size <= DEFLATE * self._size:
            self._take(size)
            self._left = self._most

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        count = self._packed.readinto(into)
        self._take(count)
        return count

    def _take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise DataError(
                f"{self._path} unpacks to more than the {self._most:,} bytes that one of {self._size:,} bytes may: "
                f"{HIGHEST_RATIO} times its size, within the memory that is free. If you trust it, unpack it yourself "
                f"(gunzip {self._path.name}) and read the file that comes of it."
            )


ADDRESS = re.compile(r" object at 0x[0-9a-f]+")
"""The place of an object in memory, which is another one each time."""


@contextmanager
def decoding(where: str, instead: str = "Download or save it again.", *, fault: str = "is damaged") -> Iterator[None]:
    """A step in which another library decodes bytes: whatever it raises is a DataError that the file is damaged.

    Libraries document none of what they raise for bytes that nobody expected; polars even panics. Nothing of our own
    belongs into such a step.
    """
    try:
        yield
    except ManywaysError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise DataError(f"{where} {fault}: {reason(error)}. {instead}") from error


def reason(error: BaseException) -> str:
    """The message of another library's error, on one line."""
    if isinstance(error, MemoryError):
        return "what it announces does not fit into memory"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    words = ADDRESS.sub("", " ".join(str(error).split()))
    return (words[:200] or type(error).__name__).rstrip(".")


def brief(name: str, most: int = 80) -> str:
    """A name out of a file, short and without what a terminal would act on."""
    text = ascii(name) if not name.isprintable() else repr(name)
    return text if len(text) <= most else f"{text[:most]}…"


def _size(count: int) -> str:
    return f"{count / (1 << 30):,.1f} GiB" if count >= 1 << 30 else f"{count >> 20:,} MiB"
