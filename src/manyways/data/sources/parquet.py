"""Claims of a Parquet file, told from its footer and the headers of its pages before anything is unpacked.

The format: `PAR1`, pages, a footer in Thrift's compact protocol, its length as a little-endian uint32, `PAR1`.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from manyways.data.sources.limits import HIGHEST_RATIO, MOST_COLUMNS, SPARSE, UNPACKED, check_memory, decoding
from manyways.errors import DataError

MAGIC = b"PAR1"
DEEPEST = 32
HEADER = 1 << 16
"""Bytes within which the header of a page lies, but for statistics of long texts."""
CELL = 16
AGAIN = "Write it again, or check the download."

ROWS, GROUPS, COLUMNS, CHUNK = 3, 4, 1, 3
VALUES, UNPACKED_SIZE, PACKED_SIZE, FIRST_PAGE, DICTIONARY = 5, 6, 7, 9, 11
PAGE_UNPACKED, PAGE_PACKED = 2, 3
"""Numbers of the fields that are looked at, of the file, a group of rows, a column's chunk and a page."""

Struct = Mapping[int, Any]


def check_parquet(content: Path | bytes, path: Path) -> None:
    """Raise DataError where the file at `path` claims more rows or bytes than it may, or its footer is damaged.

    Beyond 67 million values and 64 MiB, a file may hold 200 values, and unpack to 200 bytes, for each of its bytes;
    and no more than fit into the memory that is free.
    """
    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        with decoding(str(path), AGAIN, fault="cannot be read as Parquet"):
            footer = _footer(file, size)
            chunks = [chunk[CHUNK] for group in footer.get(GROUPS, []) for chunk in group[COLUMNS]]
            columns = max((len(group[COLUMNS]) for group in footer.get(GROUPS, [])), default=0)
            rows = footer[ROWS]
            values = max(rows * columns, sum(chunk[VALUES] for chunk in chunks))
            unpacked = sum(max(chunk[UNPACKED_SIZE], _unpacked(file, chunk, size)) for chunk in chunks)
            if min(rows, values, unpacked, *(chunk[VALUES] for chunk in chunks)) < 0:
                raise ValueError("it claims less than no rows")
    if columns > MOST_COLUMNS:
        raise DataError(f"{path} has {columns:,} columns; allowed are {MOST_COLUMNS:,}. Save it as lists of numbers.")
    if values > max(SPARSE, HIGHEST_RATIO * size) or unpacked > max(UNPACKED, HIGHEST_RATIO * size):
        raise DataError(
            f"{path} claims {rows:,} rows, {values:,} values and {unpacked:,} bytes of them; a file of {size:,} bytes "
            f"may claim {max(SPARSE, HIGHEST_RATIO * size):,} values and {max(UNPACKED, HIGHEST_RATIO * size):,} "
            "bytes. If you trust it, write it again as CSV."
        )
    check_memory(CELL * values + unpacked, str(path), f"a table of {values:,} values", "Divide it into smaller files.")


def _footer(file: BinaryIO, size: int) -> Struct:
    file.seek(max(0, size - 8))
    end = file.read(8)
    length = int.from_bytes(end[:4], "little")
    if size < 12 or end[4:] != MAGIC:
        raise ValueError("it does not end in PAR1, as every Parquet file does")
    if length > size - 12:
        raise ValueError(f"its footer claims {length:,} bytes, more than there are")
    file.seek(size - 8 - length)
    return _Thrift(file.read(length)).struct()


def _unpacked(file: BinaryIO, chunk: Struct, size: int) -> int:
    """The bytes to which the headers of a chunk's pages say that they unpack."""
    start = chunk.get(DICTIONARY) or chunk[FIRST_PAGE]
    end, total = start + chunk[PACKED_SIZE], 0
    if not 0 <= start <= end <= size:
        raise ValueError("it is cut short: a column lies beyond its end")
    while start < end:
        file.seek(start)
        thrift = _Thrift(file.read(min(HEADER, end - start)))
        try:
            header = thrift.struct()
        except IndexError:
            file.seek(start)
            thrift = _Thrift(file.read(end - start))
            header = thrift.struct()
        if header[PAGE_PACKED] < 0 or header[PAGE_UNPACKED] < 0:
            raise ValueError("a page claims less than no bytes")
        total += header[PAGE_UNPACKED]
        start += thrift.position + header[PAGE_PACKED]
    return total


class _Thrift:
    """Values of Thrift's compact protocol, by the numbers of their fields; IndexError where the bytes end."""

    def __init__(self, content: bytes) -> None:
        self._content, self.position = content, 0

    def struct(self, depth: int = 0) -> Struct:
        if depth > DEEPEST:
            raise ValueError("it is nested too deeply")
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            kind = head & 15
            fields[number] = kind == 1 if kind in (1, 2) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (1, 2, 3):
            return self._byte()
        if kind in (4, 5, 6):
            return self._zigzag()
        if kind in (7, 8):
            return self._skipped(8 if kind == 7 else self._varint())
        return self.struct(depth + 1) if kind == 12 else self._several(kind, depth)

    def _several(self, kind: int, depth: int) -> list[Any]:
        if kind in (9, 10):
            head = self._byte()
            count = self._varint() if head >> 4 == 15 else head >> 4
            return [self._value(head & 15, depth + 1) for _ in range(self._count(count))]
        if kind == 11:
            count = self._count(self._varint())
            kinds = self._byte() if count else 0
            return [(self._value(kinds >> 4, depth + 1), self._value(kinds & 15, depth + 1)) for _ in range(count)]
        raise ValueError(f"its footer has a field of the unknown type {kind}")

    def _count(self, count: int) -> int:
        if count > len(self._content) - self.position:
            raise IndexError("a list ends behind the bytes")
        return count

    def _byte(self) -> int:
        self.position += 1
        return self._content[self.position - 1]

    def _skipped(self, count: int) -> bytes:
        if count > len(self._content) - self.position:
            raise IndexError("a text ends behind the bytes")
        self.position += count
        return self._content[self.position - count : self.position]

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
            if shift > 63:
                raise ValueError("a number has more than 64 bits")
        return value | byte << shift

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
