"""Bitmaps as bytes (RoaringFormatSpec), looked through before they are read: the library trusts what it is given."""

import struct

import numpy as np
from numpy.typing import NDArray

WITH_RUNS, WITHOUT_RUNS = 12347, 12346
"""Cookies that a bitmap begins with."""
SPARSE = 4096
"""Numbers in a container up to which they are listed; more are bits."""
FEW = 4
"""Containers of a bitmap with runs, below which it does not say where they begin."""
DENSE_BYTES = 8192


def is_bitmap(bits: bytes) -> bool:
    """True if `bits` are a bitmap in every part, to their end.

    A container that holds more numbers than it states would be written past its place in memory.
    """
    try:
        return _is_bitmap(bits)
    except (struct.error, ValueError, IndexError):  # it ends too early
        return False


def _is_bitmap(bits: bytes) -> bool:
    count, runs, offset = _head(bits)
    heads = _listed(bits, 2 * count, offset).reshape(-1, 2)
    offset += 4 * count
    sound = bool((np.diff(heads[:, 0]) > 0).all())
    begins = None
    if not runs or count >= FEW:
        begins = np.frombuffer(bits, "<u4", count, offset)
        offset += 4 * count
    if begins is not None and not runs and bool((heads[:, 1] < SPARSE).all()):
        return sound and _all_sparse(bits, offset, heads[:, 1] + 1, begins)
    for number, size in enumerate((heads[:, 1] + 1).tolist()):
        sound &= begins is None or int(begins[number]) == offset
        if runs and runs[number // 8] >> number % 8 & 1:
            length = _runs(bits, offset, size)
        else:
            length = _sparse(bits, offset, size) if size <= SPARSE else _dense(bits, offset, size)
        sound &= length > 0
        offset += length
    return sound and offset == len(bits)


def _all_sparse(bits: bytes, offset: int, sizes: NDArray[np.int64], begins: NDArray[np.uint32]) -> bool:
    """True if all containers are sparse ones; looked at together, for the many bitmaps that are small."""
    ends = np.cumsum(sizes)
    if len(bits) != offset + 2 * int(ends[-1] if len(ends) else 0):
        return False
    rises = np.diff(_listed(bits, int(ends[-1]) if len(ends) else 0, offset)) > 0
    rises[ends[:-1] - 1] = True  # between the last of one container and the first of the next
    return bool(rises.all()) and bool((begins == offset + 2 * (ends - sizes)).all())


def _head(bits: bytes) -> tuple[int, bytes, int]:
    """The number of containers, the flags of those that have runs, and the position behind the head."""
    (cookie,) = struct.unpack_from("<I", bits)
    if cookie & 0xFFFF == WITH_RUNS:
        count = (cookie >> 16) + 1
        end = 4 + (count + 7) // 8
        return count, bits[4:end], end
    if cookie != WITHOUT_RUNS:
        raise ValueError
    return struct.unpack_from("<I", bits, 4)[0], b"", 8


def _listed(bits: bytes, count: int, offset: int) -> NDArray[np.int64]:
    values = np.frombuffer(bits, "<u2", count, offset) if count else np.empty(0, np.uint16)
    return values.astype(np.int64)


def _runs(bits: bytes, offset: int, size: int) -> int:
    """The bytes of a container of runs; 0 where it is none that holds as many numbers."""
    (count,) = struct.unpack_from("<H", bits, offset)
    runs = _listed(bits, 2 * count, offset + 2).reshape(-1, 2)
    ends = runs.sum(1)
    apart = bool((runs[1:, 0] > ends[:-1] + 1).all()) and bool((ends < 1 << 16).all())
    return 2 + 4 * count if apart and int((runs[:, 1] + 1).sum()) == size else 0


def _sparse(bits: bytes, offset: int, size: int) -> int:
    """The bytes of a container that lists its numbers; 0 where they are in no order."""
    return 2 * size if bool((np.diff(_listed(bits, size, offset)) > 0).all()) else 0


def _dense(bits: bytes, offset: int, size: int) -> int:
    """The bytes of a container of bits; 0 where they are not as many as it states."""
    part = bits[offset : offset + DENSE_BYTES]
    return DENSE_BYTES if len(part) == DENSE_BYTES and int.from_bytes(part, "little").bit_count() == size else 0
