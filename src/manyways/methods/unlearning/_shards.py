"""Shards and slices: which rows are in which, and several processes that train them side by side."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.parts import TEST
from manyways.data.splits import parts_of
from manyways.permissions import ensured_folder
from manyways.randomness import mix

SHARDS, SLICES, SEEDS = 0x5A4D, 0x511C, 0x5EED
"""Streams of a seed: which shard a row is in, which slice, and by what seed a shard is trained."""


@dataclass(frozen=True, eq=False)
class Division:
    """The shard and slice of each row of `data` that is no test row: by its own id and the seed alone."""

    data: Data
    shards: int
    slices: int
    seed: int

    @cached_property
    def shard(self) -> NDArray[np.int64]:
        """The shard of each row, int64 [rows]; -1 for test rows."""
        shard = parts_of(self.data.ids, self.shards, mix(self.seed, SHARDS))
        return np.where(self.data.part[self.data.rows] == TEST, -1, shard)

    @cached_property
    def piece(self) -> NDArray[np.int64]:
        """The slice of each row, int64 [rows]."""
        return parts_of(self.data.ids, self.slices, mix(self.seed, SLICES))

    def rows(self, shard: int) -> list[Data]:
        """The rows that a shard is trained on, slice after slice: each time those of all slices so far."""
        mine = self.shard == shard
        return [self.data.select(mine & (self.piece <= last)) for last in range(self.slices)]

    def seed_of(self, shard: int) -> int:
        """The seed that a shard is trained by."""
        return mix(self.seed, SEEDS, shard) % 2**32


@contextlib.contextmanager
def claimed(folder: Path | None, *, wait: bool) -> Iterator[bool]:
    """True if this process alone may work in `folder` now; with `wait`, only when it may.

    The system frees the folder when the process ends, however it does. Without a folder, or where the system has no
    such locks, nobody else is expected.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        folder = None
    if folder is None:
        yield True
        return
    ensured_folder(folder)
    with (folder / "lock").open("w") as file:
        yield _locked(file, wait, fcntl)


def _locked(file: IO[str], wait: bool, fcntl: object) -> bool:
    lock = getattr(fcntl, "flock")  # noqa: B009
    try:
        lock(file, getattr(fcntl, "LOCK_EX") | (0 if wait else getattr(fcntl, "LOCK_NB")))  # noqa: B009
    except BlockingIOError:
        return False
    return True
