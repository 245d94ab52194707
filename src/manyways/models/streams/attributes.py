"""Attributes of a stream's rows: numbers as they are, and categories as codes rather than one-hot."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

NUMBER = -1
"""The cardinality of an attribute that is a number."""
UNKNOWN = -1.0
"""The code of a category that is missing or was never seen."""


@dataclass(frozen=True)
class Attributes:
    """Where the attributes lie in the features [rows, width].

    `nominal` has for each column of categories its first feature, the number of its features, and how many of them are
    categories of their own; further features are shared by hashing, and all categories there are one. All other
    features are numbers.
    """

    width: int
    nominal: tuple[tuple[int, int, int], ...] = ()

    @classmethod
    def of_json(cls, width: int, nominal: Sequence[Sequence[int]]) -> "Attributes":
        """Those that a head's config states."""
        blocks = []
        for start, features, own in nominal:
            blocks.append((int(start), int(features), int(own)))
        return cls(width, tuple(blocks))

    @cached_property
    def cardinalities(self) -> NDArray[np.int64]:
        """The number of categories of each attribute, int64 [attributes]; NUMBER for a number."""
        sizes = [NUMBER if block is None else block[2] + (block[1] > block[2]) for _, block in self._walk()]
        return np.array(sizes, np.int64)

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """The place of each attribute's first category among those of all, int64 [attributes]."""
        sizes = np.maximum(self.cardinalities, 0)
        return np.cumsum(sizes) - sizes

    @property
    def categories(self) -> int:
        """The number of categories of all attributes."""
        return int(np.maximum(self.cardinalities, 0).sum())

    def of(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """The attributes of each row, float32 [rows, attributes]: a number, the code of a category, or UNKNOWN."""
        if not self.nominal:
            return features
        columns = []
        for place, block in self._walk():
            if block is None:
                columns.append(features[:, place])
                continue
            start, width, own = block
            codes = np.full(len(features), UNKNOWN, np.float32)
            row, code = np.nonzero(features[:, start : start + own])
            codes[row] = code
            codes[features[:, start + own : start + width].any(1)] = own
            columns.append(codes)
        return np.ascontiguousarray(np.stack(columns, 1))

    def _walk(self) -> Iterator[tuple[int, tuple[int, int, int] | None]]:
        """The first feature of each attribute in order, and its block, None for a number."""
        place = 0
        for block in self.nominal:
            yield from ((number, None) for number in range(place, block[0]))
            yield block[0], block
            place = block[0] + block[1]
        yield from ((number, None) for number in range(place, self.width))
