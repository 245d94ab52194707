"""A question and a text as one sequence of tokens, which know the characters that they stand for."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import Column
from manyways.data.encoders.base import CheckpointTokenizer, Encoder
from manyways.data.encoders.hashed_text import SPECIAL, texts_of
from manyways.data.encoders.text import trained_tokenizer
from manyways.data.specs import Spec, TextSpec
from manyways.data.storage import RowNumbers, Rows
from manyways.errors import DataError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

QUESTION = 64
"""Tokens of a question beyond so many are left out."""
WINDOW, STRIDE = 384, 128
"""Tokens that are read at once, and those from the beginning of one window to that of the next."""
NOTHING = -1
BESIDE = 3
"""Numbers of a token: itself, the character that it begins at, and the one that it ends before."""


@dataclass(frozen=True)
class PairSpec(Spec):
    """A question and a text as int32 [question + text, 3]: tokens, and the characters from which to which they stand.

    The first `question` positions are the question's, all others the text's; -1 where there is no token.

    Attributes:
        text: The tokens, and how many are read at once.
        longest: Tokens of the longest text among the training rows.
        question: Positions of the question.
        before: Tokens that stand before the question; `between`: between both; `after`: behind the text.
    """

    kind: ClassVar[str] = "pair"
    text: TextSpec
    longest: int
    question: int = QUESTION
    before: tuple[int, ...] = ()
    between: tuple[int, ...] = ()
    after: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.question + self.longest, BESIDE)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.int32)

    @property
    def backbone(self) -> str:
        return "pair-reader"

    def lengths(self, rows: NDArray[Any]) -> NDArray[np.int64]:
        return np.asarray((rows[:, :, 0] != NOTHING).sum(axis=1))

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "PairSpec":
        frame = {name: tuple(map(int, saved[name])) for name in ("before", "between", "after")}
        return cls(**{**saved, **frame, "text": TextSpec(**saved["text"])})


class PairRows:
    """Encoded pairs, of which texts that several questions are about are kept once.

    Some of the rows come as long as the longest of them.
    """

    def __init__(
        self, questions: NDArray[np.int32], texts: list[NDArray[np.int32]], numbers: NDArray[np.int64], least: int
    ) -> None:
        self.questions, self.texts, self.numbers, self.least = questions, texts, numbers, least
        self.dtype = np.dtype(np.int32)
        longest = max([least, *map(len, texts)])
        self.shape = (len(questions), questions.shape[1] + longest, BESIDE)

    def __len__(self) -> int:
        return len(self.questions)

    def __getitem__(self, rows: RowNumbers) -> NDArray[Any]:
        questions = self.questions[rows]
        texts = [self.texts[number] for number in self.numbers[rows]]
        width = questions.shape[1]
        out = np.full((len(questions), width + max(map(len, texts), default=0), BESIDE), NOTHING, np.int32)
        out[:, :width] = questions
        for row, text in zip(out, texts, strict=True):
            row[width : width + len(text)] = text
        return out


@dataclass(frozen=True)
class PairEncoder(Encoder):
    """The tokens of a question and of a text, by a tokenizer trained on both or a checkpoint's own."""

    kind: ClassVar[str] = "pair"
    question: str
    context: str
    tokenizer_json: str
    pair: PairSpec

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.question, self.context)

    @property
    def spec(self) -> PairSpec:
        return self.pair

    @cached_property
    def tokenizer(self) -> "Tokenizer":
        """The tokenizer, without padding or truncation of its own."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(self.tokenizer_json)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    @classmethod
    def fit(
        cls, columns: list[Column], rows: RowNumbers, known: CheckpointTokenizer | None = None, *, plain: bool = False
    ) -> "PairEncoder":
        question, context = columns
        if known is None:
            both = np.concatenate([question.take(rows), np.unique(context.take(rows).astype(str)).astype(object)])
            tokenizer = _framed(trained_tokenizer(Column("both", "text", both), np.arange(len(both))))
            window, padding, mask = WINDOW, 0, 2
        else:
            tokenizer, window, padding, mask = known.tokenizer, min(WINDOW, known.limit), known.padding, known.mask
        before, between, after = frame_of(tokenizer)
        text = TextSpec(tokenizer.get_vocab_size(), window, padding, mask)
        spec = PairSpec(text, 1, min(QUESTION, window // 4), before, between, after)
        encoder = cls(question.name, context.name, tokenizer.to_str(), spec)
        longest = max(map(len, encoder.pieces(np.unique(context.take(rows).astype(str)).tolist())), default=1)
        spec = PairSpec(text, longest, spec.question, before, between, after)
        return cls(question.name, context.name, encoder.tokenizer_json, spec)

    def pieces(self, texts: list[str]) -> list[NDArray[np.int32]]:
        """The tokens of each text with the characters that they stand for, int32 [tokens, 3]."""
        encoded = self.tokenizer.encode_batch(texts, add_special_tokens=False)
        return [
            np.array([(token, *place) for token, place in zip(each.ids, each.offsets, strict=True)], np.int32).reshape(
                -1, BESIDE
            )
            for each in encoded
        ]

    def encode(self, columns: list[Column], rows: RowNumbers) -> NDArray[np.int32]:
        encoded = self.rows_of(columns, rows)
        return encoded[np.arange(len(encoded))]

    def store(self, columns: list[Column]) -> Rows:
        return self.rows_of(columns, np.arange(len(columns[0])))

    def rows_of(self, columns: list[Column], rows: RowNumbers) -> PairRows:
        """The encoded `rows`. Raises DataError where a text is empty, naming the row."""
        question, context = (texts_of(column, rows) for column in columns)
        if empty := [row for row, text in zip(rows.tolist(), context, strict=True) if not text.strip()]:
            raise DataError(
                f"The text {self.context!r} is empty in row {empty[0]} (rows count from 0), so that no answer can "
                "stand in it. Fill it in, or leave the row out."
            )
        different = list(dict.fromkeys(context))
        number = {text: place for place, text in enumerate(different)}
        numbers = np.array([number[text] for text in context], np.int64)
        questions = np.full((len(question), self.pair.question, BESIDE), NOTHING, np.int32)
        for row, piece in zip(questions, self.pieces(question), strict=True):
            kept = piece[: self.pair.question]
            row[: len(kept)] = kept
        return PairRows(questions, self.pieces(different), numbers, self.pair.longest)

    def to_json(self) -> dict[str, Any]:
        spec, text = self.pair, self.pair.text
        return {
            "question": self.question, "context": self.context, "tokenizer": self.tokenizer_json,
            "text": {"vocabulary": text.vocabulary, "length": text.length, "padding": text.padding, "mask": text.mask},
            "longest": spec.longest, "positions": spec.question, "before": list(spec.before),
            "between": list(spec.between), "after": list(spec.after),
        }  # fmt: skip

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "PairEncoder":
        names = ("text", "longest", "before", "between", "after")
        spec = PairSpec.from_json({**{name: saved[name] for name in names}, "question": int(saved["positions"])})
        return cls(saved["question"], saved["context"], saved["tokenizer"], spec)


def _framed(tokenizer: "Tokenizer") -> "Tokenizer":
    """A tokenizer trained on rows, which puts its one special token before, between and behind a pair."""
    from tokenizers import processors

    start = SPECIAL[-1]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A",
        pair=f"{start} $A {start} $B:1 {start}:1",
        special_tokens=[(start, tokenizer.token_to_id(start))],
    )
    return tokenizer


def frame_of(tokenizer: "Tokenizer") -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """The tokens that a tokenizer puts before a pair, between its two, and behind it."""
    encoded = tokenizer.encode("a", "b")
    of = encoded.sequence_ids
    if not (0 in of and 1 in of):
        raise DataError("The tokenizer of the checkpoint knows no letters, so that nothing can be read with it.")
    first, last = of.index(0), len(of) - of[::-1].index(1)
    middle = range(len(of) - of[::-1].index(0), of.index(1))
    ids = encoded.ids
    return tuple(ids[:first]), tuple(ids[place] for place in middle), tuple(ids[last:])
