"""Categories as numbers: one-hot where they are few, several hashes where they are many."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.categories import counts_of, places_in, spelling
from manyways.data.columns import Column
from manyways.data.storage import RowNumbers

if TYPE_CHECKING:
    from manyways.data.data import Data

ONE_HOT = 1024
"""Categories of a column up to so many have a feature each; more of them share as many features."""
MOST_FEATURES = 4096
"""Features of all columns of categories together: where they would be more, a column's share is halved, down to"""
FEWEST_FEATURES = 64
HASHES = 4
"""Features that one of many categories has. Two categories seldom share them all, so a network tells them apart."""


@dataclass(frozen=True)
class CategoryCode:
    """The code of a column of categories; one that training never saw is all zeros.

    Each of `categories` has a feature of its own. Those of `shared` have one in each of HASHES groups of `buckets`
    features, which their spellings choose (feature hashing, Weinberger et al., ICML 2009, with several hashes as in
    Svenstrup et al., Hash embeddings, NeurIPS 2017): each group is a one-hot code of its own.
    """

    column: str
    categories: tuple[Any, ...]
    shared: tuple[Any, ...] = ()
    buckets: int = 0

    @property
    def width(self) -> int:
        return sum(self.widths)

    @property
    def widths(self) -> list[int]:
        """The features of each one-hot code, side by side."""
        return [len(self.categories)] * bool(self.categories) + [self.buckets] * HASHES * bool(self.buckets)

    @cached_property
    def _hashed(self) -> NDArray[np.int64]:
        """The features of each of `shared`, int64 [shared, HASHES]."""
        digests = b"".join(
            hashlib.blake2b(spelling(value).encode("utf-8", "surrogatepass"), digest_size=8 * HASHES).digest()
            for value in self.shared
        )
        chosen = np.frombuffer(digests, "<u8").reshape(-1, HASHES) % max(self.buckets, 1)
        return len(self.categories) + np.arange(HASHES) * self.buckets + chosen.astype(np.int64)

    @property
    def known(self) -> tuple[Any, ...]:
        """All categories that training saw."""
        return (*self.categories, *self.shared)

    def encode(self, values: NDArray[Any]) -> NDArray[np.float32]:
        places = places_in(values, self.known)
        out = np.zeros((len(values), self.width), np.float32)
        own = np.flatnonzero((places >= 0) & (places < len(self.categories)))
        out[own, places[own]] = 1
        hashed = np.flatnonzero(places >= len(self.categories))
        out[hashed[:, None], self._hashed[places[hashed] - len(self.categories)]] = 1
        return out

    def decode(self, values: NDArray[Any]) -> NDArray[Any]:
        """The category with the largest code, [rows]; of hashed ones the one with the largest sum over its features."""
        names = np.empty(len(self.known), object)
        names[:] = self.known
        whole = all(isinstance(name, int) for name in names.tolist())
        best = np.empty(len(values), np.int64)
        for row, code in enumerate(values):
            own = code[: len(self.categories)]
            best[row] = np.concatenate([own, code[self._hashed].mean(axis=1)]).argmax()
        return np.asarray((names.astype(np.int64) if whole else names)[best])

    def to_json(self) -> dict[str, Any]:
        """All that `from_json` needs."""
        saved = {"column": self.column, "categories": list(self.categories)}
        return saved if not self.buckets else {**saved, "shared": list(self.shared), "buckets": self.buckets}

    @staticmethod
    def from_json(saved: Mapping[str, Any]) -> "CategoryCode":
        """The code that `to_json` wrote."""
        shared = tuple(saved.get("shared", ()))
        return CategoryCode(saved["column"], tuple(saved["categories"]), shared, saved.get("buckets", 0))


def category_codes(columns: Sequence[Column], rows: RowNumbers) -> dict[str, CategoryCode]:
    """The codes of `columns` of categories that occur in `rows`, by name.

    Up to 1,024 categories are told apart one by one, as long as all columns have 4,096 features at most.
    """
    codes = {column.name: _sorted(column.take(rows[~column.missing(rows)])) for column in columns}
    most = ONE_HOT
    while most > FEWEST_FEATURES and sum(min(len(each), most) for each in codes.values()) > MOST_FEATURES:
        most //= 2
    return {name: code_of(name, categories, most) for name, categories in codes.items()}


def sharing(data: "Data") -> dict[str, str]:
    """Say of the input columns of `data`, by name, that their categories are so many that they share features."""
    if not data.inputs or not len(data.training):
        return {}
    codes = category_codes([column for column in data.inputs if column.kind == "category"], data.training.rows)
    return {name: said_of_sharing(code) for name, code in codes.items() if code.buckets}


def said_of_sharing(code: CategoryCode) -> str:
    """The features that categories of `code` share, in words."""
    return (
        f"{len(code.shared):,} of its {len(code.known):,} categories share {HASHES * code.buckets:,} features, "
        f"{HASHES} each by hashing: a network tells them apart, a linear method less well"
    )


def code_of(column: str, categories: tuple[Any, ...], most: int) -> CategoryCode:
    """The code of `categories` in `most` features at most."""
    if len(categories) <= most:
        return CategoryCode(column, categories)
    return CategoryCode(column, (), categories, most // HASHES)


def _sorted(values: NDArray[Any]) -> tuple[Any, ...]:
    return tuple(sorted(counts_of(values), key=spelling))
