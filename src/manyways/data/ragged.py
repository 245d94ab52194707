"""Rows of different lengths, end to end in one array."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.storage import cache_folder, chunks_of, open_rows, write_rows


@dataclass(frozen=True, eq=False)
class Ragged:
    """int32 values of all rows end to end, mapped from a file where they are many; row i is starts[i] … starts[i+1]."""

    values: NDArray[np.int32]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> NDArray[np.int32]:
        return self.values[self.starts[row] : self.starts[row + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Values in each row."""
        return np.diff(self.starts)


KEPT_IN_MEMORY = 1 << 18
"""Rows: fewer are made again rather than written."""


def ragged(count: int, make: Callable[[NDArray[np.int64]], Sequence[Sequence[int]]], key: str) -> Ragged:
    """The `count` rows that `make` gives for row numbers, made once and kept in the cache under `key`."""
    if count <= KEPT_IN_MEMORY // 64:
        return from_lists(make(np.arange(count)))
    name = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
    places = {part: cache_folder() / f"{name}-{part}.ragged" for part in ("values", "starts")}
    if not all(path.exists() for path in places.values()):
        lengths: list[int] = []

        def chunks() -> Iterator[NDArray[np.int32]]:
            for rows in chunks_of(count):
                made = make(rows)
                lengths.extend(map(len, made))
                yield from_lists(made).values

        parts = list(chunks())
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        write_rows(places["values"], iter(parts), (int(starts[-1]),), np.int32)
        write_rows(places["starts"], iter([starts]), (count + 1,), np.int64)
    starts = np.asarray(open_rows(places["starts"], (count + 1,), np.int64)[np.arange(count + 1)])
    values: Any = open_rows(places["values"], (int(starts[-1]),), np.int32)
    return Ragged(values, starts)


def from_lists(rows: Sequence[Sequence[int]]) -> Ragged:
    """`rows` end to end."""
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    values = np.concatenate([np.asarray(row, np.int32) for row in rows]) if rows else np.empty(0, np.int32)
    return Ragged(values.astype(np.int32), starts)
