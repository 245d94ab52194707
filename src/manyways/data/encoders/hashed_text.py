"""Text as numbers of its words that follow from the words alone: nothing is learned from the rows."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import Column
from manyways.data.encoders.base import CheckpointTokenizer, Encoder
from manyways.data.specs import TextSpec
from manyways.data.storage import RowNumbers
from manyways.errors import DataError

SPECIAL = ("[PAD]", "[UNK]", "[MASK]", "[START]")
LONGEST = 256
"""Tokens of a row beyond so many are cut; the length kept is the 99th percentile of the training rows'."""
BUCKETS = 8192
"""Numbers that words are hashed to."""
HASHED = TextSpec(len(SPECIAL) + BUCKETS, LONGEST)
WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class HashedTextEncoder(Encoder):
    """The words of a row, in small letters, hashed (Weinberger et al., Feature hashing, ICML 2009); 256 at most.

    A word's number is that of scikit-learn's HashingVectorizer with 8,192 features, behind the four special tokens.
    """

    kind: ClassVar[str] = "hashed-text"
    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def spec(self) -> TextSpec:
        return HASHED

    @classmethod
    def fit(
        cls, columns: list[Column], rows: RowNumbers, known: CheckpointTokenizer | None = None, *, plain: bool = False
    ) -> "HashedTextEncoder":
        return cls(columns[0].name)

    def encode(self, columns: list[Column], rows: RowNumbers) -> NDArray[np.int32]:
        from sklearn.utils import murmurhash3_32

        known: dict[str, int] = {}
        out = np.full((len(rows), HASHED.length), HASHED.padding, np.int32)
        for row, text in enumerate(texts_of(columns[0], rows)):
            words = WORD.findall(text.lower())[: HASHED.length]
            for word in words:
                if word not in known:
                    known[word] = len(SPECIAL) + abs(murmurhash3_32(word, seed=0)) % BUCKETS
            out[row, : len(words)] = [known[word] for word in words]
        return out

    def to_json(self) -> dict[str, Any]:
        return {"column": self.column}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "HashedTextEncoder":
        return cls(saved["column"])


def texts_of(column: Column, rows: RowNumbers) -> list[str]:
    """The texts in `rows`; missing ones are empty. Raises DataError where the column holds none."""
    if column.kind not in ("text", "category"):
        raise DataError(f"The column {column.name!r} holds {column.kind}, but the model was trained on text.")
    return ["" if value is None else str(value) for value in column.take(rows)]
