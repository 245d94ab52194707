"""Sentences as words: the number of each, hashed features of its surface, and the sub-words of a checkpoint."""

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import Column
from manyways.data.encoders._word_features import SURFACE, features_of
from manyways.data.encoders.base import CheckpointTokenizer, Encoder
from manyways.data.phrases import count_of
from manyways.data.sentences import split
from manyways.data.specs import Spec
from manyways.data.storage import RowNumbers, Rows
from manyways.errors import DataError, DataWarning

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NOTHING, UNKNOWN, MASKED, SPECIAL = 0, 1, 2, 3
"""Numbers for no word, for one that is not known, for one that is hidden, and of all these."""
MOST_KNOWN = 50_000
"""The most frequent words of the training rows that have numbers of their own, of those that occur twice."""
BUCKETS = 1 << 15
"""Numbers that features of the surface are hashed to."""
BESIDE_CHECKPOINT = 1 << 14
"""The same beside a checkpoint."""
PIECES = 8
"""Sub-words of a word beyond so many are left out."""


@dataclass(frozen=True)
class WordsSpec(Spec):
    """Sentences as int32 [length, slots]: for each word its number, its surface features, its sub-words.

    The first slot is 0 where there is no word, 1 for a word that is not known, 2 for one that is hidden. The features
    behind it are numbers below `vocabulary`, too, 0 where a word has fewer. The last `pieces` slots are 1 + the
    sub-words that a checkpoint knows it by.

    Attributes:
        vocabulary: Words and features that have numbers.
        length: Words of the longest training row.
        pieces: Slots for sub-words; 0 without a checkpoint.
        before: Tokens that a checkpoint reads before a sentence; `after`: behind it.
        limit: Tokens that it reads at most, these included.
        mask: The token that hides one; `padding`: the one that rows are padded with.
        tokens: Tokens that it knows.
    """

    kind: ClassVar[str] = "words"
    vocabulary: int
    length: int
    pieces: int = 0
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    limit: int = 0
    mask: int = 0
    padding: int = 0
    tokens: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.length, 1 + SURFACE + self.pieces)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.int32)

    @property
    def backbone(self) -> str:
        return "bilstm"

    def lengths(self, rows: NDArray[Any]) -> NDArray[np.int64]:
        return np.asarray((rows[:, :, 0] != NOTHING).sum(axis=1))

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "WordsSpec":
        return cls(**{**saved, "before": tuple(saved["before"]), "after": tuple(saved["after"])})


class WordRows:
    """Encoded sentences [rows, length, slots], as the numbers of different words and a table of these.

    Some of the rows come as `least` words, or more where one of them is longer: what is drawn for a batch of training
    rows, none of which is, must not depend on the length of others.
    """

    def __init__(self, numbers: NDArray[np.int32], table: NDArray[np.int32], least: int) -> None:
        self.numbers, self.table, self.least = numbers, table, least
        self.shape, self.dtype = (*numbers.shape, table.shape[1]), np.dtype(np.int32)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rows: RowNumbers) -> NDArray[Any]:
        numbers = self.numbers[rows]
        longest = int((numbers > 0).any(axis=0).sum())
        return self.table[numbers[:, : max(self.least, longest)]]


@dataclass(frozen=True)
class WordsEncoder(Encoder):
    """Words by their numbers and surfaces, and where there is a checkpoint by its sub-words, too."""

    kind: ClassVar[str] = "words"
    column: str
    known: tuple[str, ...]
    buckets: int
    words: WordsSpec
    tokenizer_json: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def spec(self) -> WordsSpec:
        return self.words

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each known word, by its small letters."""
        return {word: SPECIAL + at for at, word in enumerate(self.known)}

    @cached_property
    def tokenizer(self) -> "Tokenizer":
        """The tokenizer of the checkpoint."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(self.tokenizer_json)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    @classmethod
    def fit(
        cls, columns: list[Column], rows: RowNumbers, known: CheckpointTokenizer | None = None, *, plain: bool = False
    ) -> "WordsEncoder":
        """Learn which words occur twice; a `plain` encoder learns none."""
        column = columns[0]
        sentences = sentences_of(column, rows)
        counts = Counter(word.lower() for words in sentences for word in words)
        frequent = [] if plain else [word for word, count in counts.most_common(MOST_KNOWN) if count > 1]
        length = max([1, *map(len, sentences)])
        buckets = BUCKETS if known is None else BESIDE_CHECKPOINT
        vocabulary = SPECIAL + len(frequent) + buckets
        if known is None:
            return cls(column.name, tuple(frequent), buckets, WordsSpec(vocabulary, length))
        before, after = around(known.tokenizer)
        size = known.tokenizer.get_vocab_size()
        spec = WordsSpec(vocabulary, length, PIECES, before, after, known.limit, known.mask, known.padding, size)
        return cls(column.name, tuple(frequent), buckets, spec, known.tokenizer.to_str())

    def encode(self, columns: list[Column], rows: RowNumbers) -> NDArray[np.int32]:
        encoded = self.rows_of(columns[0], rows)
        return encoded[np.arange(len(encoded))]

    def store(self, columns: list[Column]) -> Rows:
        return self.rows_of(columns[0], np.arange(len(columns[0])))

    def rows_of(self, column: Column, rows: RowNumbers) -> WordRows:
        """The encoded `rows`; the second axis is as long as the longest sentence that was learned from, or of these."""
        sentences = sentences_of(column, rows)
        places: dict[str, int] = {}
        numbers = np.zeros((len(rows), max([self.words.length, *map(len, sentences)])), np.int32)
        for row, words in enumerate(sentences):
            numbers[row, : len(words)] = [places.setdefault(word, 1 + len(places)) for word in words]
        encoded = WordRows(numbers, self._table(list(places)), self.words.length)
        if self.words.pieces:
            self._say_long(encoded, column.name)
        return encoded

    def _say_long(self, rows: WordRows, name: str) -> None:
        """Warn of sentences that a checkpoint reads in several pieces, as they are longer than it can be shown."""
        pieces = (rows.table[:, 1 + SURFACE :] > 0).sum(axis=1)
        most = self.words.limit - len(self.words.before) - len(self.words.after)
        if long := int((pieces[rows.numbers].sum(axis=1) > most).sum()):
            warnings.warn(
                f"{count_of(long, 'sentence')} in the column {name!r} {'is' if long == 1 else 'are'} longer than the "
                f"{most} sub-words that the checkpoint reads at once; read in several pieces, of which none sees the "
                "words of the others. Cut them into shorter ones, or take a checkpoint that reads more.",
                DataWarning,
                stacklevel=2,
            )

    def _table(self, words: Sequence[str]) -> NDArray[np.int32]:
        """The numbers of each different word, behind a row for none."""
        from sklearn.utils import murmurhash3_32

        table = np.zeros((1 + len(words), self.words.shape[1]), np.int32)
        first, hashes = SPECIAL + len(self.known), dict[str, int]()
        for at, word in enumerate(words, 1):
            features = features_of(word)
            for feature in features:
                if feature not in hashes:
                    hashes[feature] = first + murmurhash3_32(feature, seed=0, positive=True) % self.buckets
            table[at, 0] = self.numbers.get(word.lower(), UNKNOWN)
            table[at, 1 : 1 + len(features)] = [hashes[feature] for feature in features]
        if self.words.pieces:
            for at, pieces in enumerate(pieces_of(self.tokenizer, words, self.words.mask), 1):
                kept = pieces[: self.words.pieces]
                table[at, 1 + SURFACE : 1 + SURFACE + len(kept)] = [1 + piece for piece in kept]
        return table

    def to_json(self) -> dict[str, Any]:
        spec = self.words
        saved: dict[str, Any] = {"column": self.column, "known": list(self.known), "buckets": self.buckets,
                                 "length": spec.length}  # fmt: skip
        if not spec.pieces:
            return saved
        checkpoint = {
            "pieces": spec.pieces, "before": list(spec.before), "after": list(spec.after), "limit": spec.limit,
            "mask": spec.mask, "padding": spec.padding, "tokens": spec.tokens,
        }  # fmt: skip
        return {**saved, "tokenizer": self.tokenizer_json, "checkpoint": checkpoint}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "WordsEncoder":
        known, buckets = tuple(map(str, saved["known"])), int(saved["buckets"])
        checkpoint = {"before": (), "after": (), **saved.get("checkpoint", {})}
        sizes = {"vocabulary": SPECIAL + len(known) + buckets, "length": int(saved["length"])}
        spec = WordsSpec.from_json({**sizes, **checkpoint})
        return cls(saved["column"], known, buckets, spec, saved.get("tokenizer", ""))


def sentences_of(column: Column, rows: RowNumbers) -> list[list[str]]:
    """The words of each of `rows`; none where it is missing. Raises DataError for a column of anything else."""
    if column.kind != "words":
        raise DataError(f"The column {column.name!r} holds {column.kind}, but the model was trained on sentences.")
    return [[] if value is None else split(value) for value in column.take(rows)]


def around(tokenizer: "Tokenizer") -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The tokens that a tokenizer puts before and behind a text."""
    whole, alone = (tokenizer.encode("a", add_special_tokens=special).ids for special in (True, False))
    if not alone or not set(alone) <= set(whole):
        return (), ()
    start = whole.index(alone[0])
    return tuple(whole[:start]), tuple(whole[start + len(alone) :])


def pieces_of(tokenizer: "Tokenizer", words: Iterable[str], unknown: int) -> list[list[int]]:
    """The sub-words of each word, as it stands behind a blank; one that has none is `unknown`."""
    spaced = [f" {word}" for word in words]
    ids = [encoding.ids for encoding in tokenizer.encode_batch(spaced, add_special_tokens=False)]
    return [each or [unknown] for each in ids]
