"""Labels that have something for each word of a sentence: codes [rows, words, …], -1 where nothing is known."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from manyways.data.data import Data
from manyways.data.kinds.sentences import WORDS, lengths_of
from manyways.data.sentences import NO_BREAK, split
from manyways.data.targets.structured import StructuredTarget
from manyways.errors import DataError
from manyways.whole import whole

UNKNOWN = -1
"""The code of a word without a label, and of what lies behind the last word."""
SURE = 1e-6
"""The confidence of a prediction lies within (0, 1) by so much."""


@dataclass(frozen=True)
class WordLabelTarget(StructuredTarget):
    """Something for each word: codes int64 [rows, words] or [rows, words, more], -1 behind the last word.

    A row weighs in a loss as the words that it has.
    """

    longest: int = 1

    @property
    def per_word(self) -> tuple[int, ...]:
        """The shape of the code of a word."""
        return ()

    def unlabelled(self, count: int) -> NDArray[Any]:
        return np.full((count, self.longest, *self.per_word), UNKNOWN, np.int64)

    def encode(self, data: Data, *, hidden: bool = False) -> NDArray[Any]:
        """As of other kinds; the second axis is as long as the longest label that was learned from, or of these."""
        longest = max([1, *lengths_of(data.take(self.name))]) if self.name in data.columns else 1
        if longest > self.longest:
            return replace(self, longest=int(longest)).encode(data, hidden=hidden)
        return super().encode(data, hidden=hidden)

    def lengths(self, codes: NDArray[Any]) -> NDArray[np.int64] | None:
        """None: the words say it."""
        return None

    def known(self, labels: Tensor) -> Tensor:
        return known_words(labels).any(1)

    def loss(self, outputs: Any, labels: Tensor, weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
        """The mean over the words that have a label, by the sample weights [rows] of their rows."""
        counts = known_words(labels).sum(1).float()
        sums = self.losses(outputs, labels, smoothing) * counts
        return (sums if weights is None else weights * sums).sum() / counts.sum().clamp_min(1)


def known_words(labels: Tensor) -> Tensor:
    """True for each word that has a label, [rows, words], of codes [rows, words, …]."""
    return (labels if labels.ndim == 2 else labels[..., 0]) >= 0


def as_long(labels: Tensor, length: int) -> Tensor:
    """Codes [rows, length, …], cut or padded to `length` words."""
    labels = labels[:, :length]
    missing = length - labels.shape[1]
    return labels if not missing else pad(labels, [0, 0] * (labels.ndim - 2) + [0, missing], value=UNKNOWN)


def mean_per_row(values: Tensor, known: Tensor) -> Tensor:
    """The mean [rows] of `values` [rows, words] over the words that are `known`; 0 where none is."""
    return (values * known).sum(1) / known.sum(1).clamp_min(1)


def lengths_in(codes: NDArray[Any]) -> NDArray[np.int64]:
    """The number of words of each row that have a label, of codes [rows, words, …]."""
    first = codes if codes.ndim == 2 else codes[..., 0]
    return np.asarray((first >= 0).sum(1))


def geometric(log_probabilities: Tensor, mask: Tensor) -> list[float]:
    """The geometric mean over words of their probabilities, within (0, 1): the confidence of each row."""
    means: list[float] = mean_per_row(log_probabilities.double(), mask).exp().clamp(SURE, 1 - SURE).tolist()
    return means


def words_of(row: Data) -> list[str]:
    """The words of a row alone; none where no input has them."""
    column = next((column for column in row.inputs if column.kind == WORDS.name), None)
    value = None if column is None else row.take(column.name)[0]
    return [] if value is None else [word.replace(NO_BREAK, " ") for word in split(value)]


def write_columns(
    path: Path, rows: Data, sentences: Sequence[Sequence[Sequence[str]]], *, numbered: bool = False
) -> None:
    """Write a line for each word with its columns, behind its number where `numbered`, and an empty one behind a row.

    Raises DataError where the rows have no words, or the file cannot be written.
    """
    column = next((column for column in rows.inputs if column.kind == WORDS.name), None)
    if column is None:
        raise DataError(
            f"{rows.name} has no column of words to write labels beside. Write them as CSV: predictions.csv."
        )
    advice = "Free some space, or name another folder."
    with (
        whole(path, DataError, f"The labels cannot be written to {path}", advice) as part,
        part.open("w", encoding="utf-8") as file,
    ):
        for value, cells in zip(rows.take(column.name).tolist(), sentences, strict=True):
            words = [] if value is None else [word.replace(NO_BREAK, " ") for word in split(value)]
            for at, (word, more) in enumerate(zip(words, cells, strict=False), 1):
                file.write("\t".join([*([str(at)] if numbered else []), word, *more]) + "\n")
            file.write("\n")
