"""A column: a name, a kind and its values."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.kinds import KINDS, TABLE, ColumnKind, Kind
from manyways.data.storage import RowNumbers, Rows, chunks_of, row_bytes
from manyways.data.window_reading import WindowReading


@dataclass(frozen=True, eq=False)
class Column:
    """One column of a table.

    Values by kind, first axis rows: number: float or int [n] or [n, width]; category and text: objects (str,
    None where missing) or ints [n]; image: uint8 [n, channels, height, width], of files of more than 8 bits with
    `white` as 255; audio: int16 [n, samples] with `rate` samples per second. Arrays of images and sounds have no value
    that means nothing: `absent` [n] says which rows lack theirs; None where none does. `sizes` [n, 2] are height and
    width of images before they came to one size, None where they always had it: boxes and masks are in those pixels.
    Stretches of series say how they were made, `windows`.
    """

    name: str
    kind: Kind
    values: Rows
    rate: int | None = None
    absent: NDArray[np.bool_] | None = None
    white: float | None = None
    sizes: NDArray[np.int32] | None = None
    windows: WindowReading | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def of(self) -> ColumnKind:
        """The kind itself, with all that differs between kinds."""
        return KINDS.find(self.kind)

    def take(self, rows: RowNumbers) -> NDArray[Any]:
        """The values of `rows`, in that order."""
        return np.asarray(self.values[rows])

    def missing(self, rows: RowNumbers) -> NDArray[np.bool_]:
        """True for each of `rows` without a value: NaN, None or an empty string, a blank text, no image or sound."""
        if self.of.decoded:
            return np.zeros(len(rows), bool) if self.absent is None else self.absent[rows]
        return self.of.missing(self.take(rows))

    @cached_property
    def gaps(self) -> NDArray[np.bool_] | None:
        """True for each row without a value; None where all have one."""
        if self.values.dtype.kind not in "fO" and self.absent is None:
            return None
        chunks = chunks_of(len(self), 1 << 16, row_bytes=row_bytes(self.values) if self.absent is None else 1)
        found = np.concatenate([np.zeros(0, bool), *(self.missing(rows) for rows in chunks)])
        return found if found.any() else None

    def select(self, rows: RowNumbers, values: Rows | None = None) -> "Column":
        """The column of `rows` alone; `values` where they are at hand already."""
        absent = None if self.absent is None else self.absent[rows]
        sizes = None if self.sizes is None else self.sizes[rows]
        return replace(self, values=self.take(rows) if values is None else values, absent=absent, sizes=sizes)

    def sizes_of(self, rows: RowNumbers) -> NDArray[np.int32]:
        """Height and width of the images in `rows`, [rows, 2], before they came to one size."""
        if self.sizes is not None:
            return self.sizes[rows]
        return np.tile(np.array(self.values.shape[-2:], np.int32), (len(rows), 1))


def modalities(columns: Iterable[Column]) -> dict[str, list[Column]]:
    """`columns` by modality: numbers and categories are a table together, each other column is its own."""
    groups: dict[str, list[Column]] = {}
    for column in columns:
        groups.setdefault(TABLE if column.of.modality == TABLE else column.name, []).append(column)
    return groups


def row_ids(columns: Iterable[Column], count: int) -> NDArray[np.uint64]:
    """A 128-bit BLAKE2b hash of each row's content as uint64 [count, 2]: equal rows have equal ids."""
    columns = sorted(columns, key=lambda column: column.name)
    fixed = [column for column in columns if column.values.dtype.kind != "O"]
    objects = [column for column in columns if column.values.dtype.kind == "O"]
    prefix = "\x1f".join(f"{column.name}:{column.kind}" for column in columns).encode()
    start = hashlib.blake2b(prefix, digest_size=16)
    out = np.empty((count, 2), np.uint64)
    for rows in chunks_of(count, row_bytes=sum(row_bytes(column.values) for column in fixed)):
        # All cells of fixed size lie side by side, so that a row is hashed in one call.
        blocks = [np.ascontiguousarray(column.take(rows)).reshape(len(rows), -1).view(np.uint8) for column in fixed]
        cells = np.concatenate(blocks, axis=1) if blocks else np.empty((len(rows), 0), np.uint8)
        texts = list(zip(*(column.take(rows) for column in objects), strict=True)) if objects else [()] * len(rows)
        lacking = [(column.name, column.absent[rows]) for column in fixed if column.absent is not None]
        digests = bytearray()
        for place, (row, text) in enumerate(zip(cells, texts, strict=True)):
            hasher = start.copy()
            hasher.update(row.data)
            for name, absent in lacking:
                if absent[place]:  # a picture that is missing is no black one
                    hasher.update(f"{name} is missing".encode())
            for value in text:
                encoded = repr(value).encode()
                hasher.update(len(encoded).to_bytes(8, "little") + encoded)
            digests += hasher.digest()
        out[rows] = np.frombuffer(bytes(digests), np.uint64).reshape(-1, 2)
    return out


def places_of(ids: NDArray[np.uint64], known: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The places of `ids` [n, 2] in `known` [m, 2], int64 [n]; -1 where it does not."""
    order = np.argsort(known[:, 0], kind="stable")
    firsts = known[order, 0]
    ranks = np.searchsorted(firsts, ids[:, 0])
    places = np.full(len(ids), -1, np.int64)
    open_ = np.flatnonzero(ranks < len(firsts))
    while len(open_):  # once, but for ids that share their first half
        open_ = open_[firsts[ranks[open_]] == ids[open_, 0]]
        found = known[order[ranks[open_]], 1] == ids[open_, 1]
        places[open_[found]] = order[ranks[open_[found]]]
        open_ = open_[~found]
        ranks[open_] += 1
        open_ = open_[ranks[open_] < len(firsts)]
    return places


def id_text(row_id: NDArray[np.uint64]) -> str:
    """A row id as 32 hexadecimal digits."""
    return np.ascontiguousarray(row_id).tobytes().hex()


def ids_from_text(texts: Iterable[str]) -> NDArray[np.uint64]:
    """The row ids that `id_text` wrote, uint64 [n, 2]. Raises ValueError for anything else."""
    digits = [bytes.fromhex(text) for text in texts]
    if any(len(each) != 16 for each in digits):
        raise ValueError("a row id has 32 hexadecimal digits")
    return np.frombuffer(b"".join(digits), np.uint64).reshape(-1, 2)
