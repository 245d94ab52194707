"""Bitmaps as bytes (RoaringFormatSpec), looked through before they are read: the library trusts what it is given."""

import struct

import numpy as np
from numpy.typing import NDArray

WITH_RUNS, WITHOUT_RUNS = 12347, 12346
"""What a bitmap begins with."""
SPARSE = 4096
"""Numbers in a container up to which they are listed; more are bits."""
FEW = 4
"""Containers of a bitmap with runs, below which it does not say where they begin."""
DENSE_BYTES = 8192


def is_bitmap(bits: bytes) -> bool:
    """Whether `bits` are a bitmap in every part, to their end.

    A container that holds more numbers than it states would be written past its place in memory.
    """
    try:
        return _is_bitmap(bits)
    except (struct.error, ValueError, IndexError):  # it ends too early
        return False


def _is_bitmap(bits: bytes) -> bool:
    count, runs, at = _head(bits)
    heads = _listed(bits, 2 * count, at).reshape(-1, 2)
    at += 4 * count
    sound = bool((np.diff(heads[:, 0]) > 0).all())
    begins = None
    if not runs or count >= FEW:
        begins = np.frombuffer(bits, "<u4", count, at)
        at += 4 * count
    if begins is not None and not runs and bool((heads[:, 1] < SPARSE).all()):
        return sound and _all_sparse(bits, at, heads[:, 1] + 1, begins)
    for number, held in enumerate((heads[:, 1] + 1).tolist()):
        sound &= begins is None or int(begins[number]) == at
        if runs and runs[number // 8] >> number % 8 & 1:
            length = _runs(bits, at, held)
        else:
            length = _sparse(bits, at, held) if held <= SPARSE else _dense(bits, at, held)
        sound &= length > 0
        at += length
    return sound and at == len(bits)


def _all_sparse(bits: bytes, at: int, held: NDArray[np.int64], begins: NDArray[np.uint32]) -> bool:
    """As for one container after the other, for the many bitmaps that are small."""
    ends = np.cumsum(held)
    if len(bits) != at + 2 * int(ends[-1] if len(ends) else 0):
        return False
    rises = np.diff(_listed(bits, int(ends[-1]) if len(ends) else 0, at)) > 0
    rises[ends[:-1] - 1] = True  # between the last of one container and the first of the next
    return bool(rises.all()) and bool((begins == at + 2 * (ends - held)).all())


def _head(bits: bytes) -> tuple[int, bytes, int]:
    """How many containers there are, which have runs, and where what follows begins."""
    (cookie,) = struct.unpack_from("<I", bits)
    if cookie & 0xFFFF == WITH_RUNS:
        count = (cookie >> 16) + 1
        end = 4 + (count + 7) // 8
        return count, bits[4:end], end
    if cookie != WITHOUT_RUNS:
        raise ValueError
    return struct.unpack_from("<I", bits, 4)[0], b"", 8


def _listed(bits: bytes, count: int, at: int) -> NDArray[np.int64]:
    held = np.frombuffer(bits, "<u2", count, at) if count else np.empty(0, np.uint16)
    return held.astype(np.int64)


def _runs(bits: bytes, at: int, held: int) -> int:
    """The bytes of a container of runs; 0 where it is none that holds as many numbers."""
    (count,) = struct.unpack_from("<H", bits, at)
    runs = _listed(bits, 2 * count, at + 2).reshape(-1, 2)
    ends = runs.sum(1)
    apart = bool((runs[1:, 0] > ends[:-1] + 1).all()) and bool((ends < 1 << 16).all())
    return 2 + 4 * count if apart and int((runs[:, 1] + 1).sum()) == held else 0


def _sparse(bits: bytes, at: int, held: int) -> int:
    """The bytes of a container that lists its numbers; 0 where they are in no order."""
    return 2 * held if bool((np.diff(_listed(bits, held, at)) > 0).all()) else 0


def _dense(bits: bytes, at: int, held: int) -> int:
    """The bytes of a container of bits; 0 where they are not as many as it states."""
    part = bits[at : at + DENSE_BYTES]
    return DENSE_BYTES if len(part) == DENSE_BYTES and int.from_bytes(part, "little").bit_count() == held else 0
