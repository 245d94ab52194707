"""Rows that are computed once, some at a time, by whichever process needs them first."""

import os
import random
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from manyways.data.storage import RowNumbers, cache_folder, open_rows
from manyways.errors import DataError
from manyways.permissions import FILE

PORTION = 1024
"""Rows that are computed before they are kept and it is looked at what others have computed."""


class RowCache:
    """A file of float32 [count, width], each row with its checksum: rows without a right one are not there yet.

    Several processes may fill it at once. Each computes the rows in another order and leaves out what others did, so
    that they share the work without waiting for each other; the same row is the same whoever computes it.
    """

    def __init__(self, key: str, count: int, width: int) -> None:
        self.path: Path = cache_folder() / f"{key}.features"
        self.count, self.width = count, width
        self._bytes = width * np.dtype(np.float32).itemsize
        self._sums = count * self._bytes
        try:
            self._open()
        except OSError as error:
            raise _unwritten(self.path, error) from error

    def _open(self) -> None:
        file = os.open(self.path, os.O_RDWR | os.O_CREAT, FILE)
        try:
            size = self._sums + self.count * np.dtype(np.uint32).itemsize
            if os.fstat(file).st_size != size:  # new, or damaged: what is cut off or added has no right checksum
                os.ftruncate(file, size)
        finally:
            os.close(file)

    def rows(self, numbers: RowNumbers, compute: Callable[[RowNumbers], NDArray[np.float32]]) -> NDArray[np.float32]:
        """The rows `numbers`, [numbers, width]; `compute` gives those that are not there yet.

        Raises:
            DataError: The file cannot be written.
        """
        missing = np.unique(numbers[~self.present(numbers)])
        portions = np.array_split(missing, -(-len(missing) // PORTION)) if len(missing) else []
        random.Random(os.getpid()).shuffle(portions)
        for portion in portions:
            left = portion[~self.present(portion)]
            if len(left):
                self._write(left, compute(left))
        return self._read(numbers)

    def present(self, numbers: RowNumbers) -> NDArray[np.bool_]:
        """True for each of the rows `numbers` that is there and undamaged."""
        sums = open_rows(self.path, (self.count,), np.uint32, self._sums)[numbers]
        there: NDArray[np.bool_] = sums != 0
        if there.any():
            rows = self._read(numbers[there])
            right = np.fromiter((_checksum(row) for row in rows), np.uint32, len(rows))
            there[there] = right == sums[there]
        return there

    def _read(self, numbers: RowNumbers) -> NDArray[np.float32]:
        return np.asarray(open_rows(self.path, (self.count, self.width), np.float32)[numbers])

    def _write(self, numbers: RowNumbers, rows: NDArray[np.float32]) -> None:
        rows = np.ascontiguousarray(rows, np.float32)
        if rows.shape != (len(numbers), self.width):
            raise DataError(f"{self.path.name}: rows of shape {rows.shape}; {(len(numbers), self.width)} expected.")
        sums = np.fromiter((_checksum(row) for row in rows), np.uint32, len(rows))
        try:
            file = os.open(self.path, os.O_WRONLY)
            try:
                for number, row in zip(numbers.tolist(), rows, strict=True):
                    os.pwrite(file, row.data, number * self._bytes)
                for number, each in zip(numbers.tolist(), sums, strict=True):
                    os.pwrite(file, each.tobytes(), self._sums + number * each.itemsize)
            finally:
                os.close(file)
        except OSError as error:
            raise _unwritten(self.path, error) from error


def _checksum(row: NDArray[np.float32]) -> int:
    """A checksum other than 0, which stands for a row that is not there."""
    return zlib.crc32(row.data) or 1


def _unwritten(path: Path, error: OSError) -> DataError:
    return DataError(
        f"The features {path} cannot be written: {error.strerror}. Free some space, or set MANYWAYS_HOME to a folder "
        "on another disk."
    )
