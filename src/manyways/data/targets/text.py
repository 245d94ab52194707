"""Text: a label that is written token by token: a translation, a summary, a caption, an answer, a transcript."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from manyways.checked_json import described
from manyways.data.categories import as_objects
from manyways.data.data import Data
from manyways.data.encoders.base import CheckpointTokenizer
from manyways.data.encoders.hashed_text import texts_of
from manyways.data.encoders.joint_text import (
    END,
    LONGEST,
    MASK,
    PAD,
    START,
    UNK,
    JointTextEncoder,
    text_of,
    token_rows,
    train_tokenizer,
    vocabulary_size,
    warn_of_cut,
)
from manyways.data.encoders.text import TextEncoder
from manyways.data.storage import chunks_of
from manyways.data.targets.base import CONFIDENCE, Recipe, Target
from manyways.data.targets.structured import Prediction, Structure, StructuredTarget
from manyways.errors import DataError, ModelError
from manyways.text_scores import METRICS, TEXT_METRICS, text_scores, text_statistics
from manyways.whole import write_whole

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

    from manyways.data.encoding import InputEncoding
    from manyways.data.views import Views

WRITTEN = METRICS  # named here, where metrics of labels are looked for
NOTHING = -1
"""The code behind the last token of a row, and of a row without a label."""
MOST_BEAMS = 64
LEAST_ROOM = 16
"""Tokens that rows may have at least, however short the training rows are."""
ROOM = 1.5
"""The multiple of the longest training row's tokens that other rows may have."""


class Sequences(Protocol):
    """Sequences that a search gave, and the mean log-probability of a token of each."""

    @property
    def tokens(self) -> list[NDArray[np.int64]]: ...

    @property
    def log_probs(self) -> NDArray[np.float64]: ...


class Writer(Protocol):
    """The head that writes: what of its memory [rows, tokens, width] follows for labels [rows, positions]."""

    def logits(self, memory: Tensor, mask: Tensor | None, labels: Tensor) -> Tensor:
        """Logits [rows, positions, vocabulary] of each token of the labels, given those before it."""

    def token_losses(self, memory: Tensor, mask: Tensor | None, labels: Tensor, smoothing: float) -> Tensor:
        """The cross-entropy of each real token of the labels, row by row in one vector."""

    def search(self, memory: Tensor, mask: Tensor | None, longest: int, beams: int, length_penalty: float) -> Sequences:
        """The best sequences that it finds."""


@dataclass(frozen=True, eq=False)
class Writing(Structure):
    """The memory of what was read, and the head that writes of it.

    Attributes:
        memory: Features of the tokens of all inputs, [rows, tokens, width].
        mask: True where a row has a token; None: everywhere.
        writer: The head.
    """

    memory: Tensor
    mask: Tensor | None
    writer: Writer

    def logits(self, labels: Tensor) -> Tensor:
        """Logits [rows, positions, vocabulary] of each token of `labels`, given those before it."""
        return self.writer.logits(self.memory, self.mask, labels)


@dataclass(frozen=True)
class TextTarget(StructuredTarget):
    """A text a row: codes int64 [rows, longest + 1], its tokens and the end, -1 behind it and where there is no label.

    It is learned by teacher forcing: the cross-entropy of each token given what was read and the right tokens before
    it, the mean over tokens (Sutskever et al., Sequence to sequence learning with neural networks, 2014; Vaswani et
    al., Attention is all you need, 2017). Tokens are those of one tokenizer for the texts that are read and the label.

    Attributes:
        tokenizer_json: The tokenizer of `tokenizers`.
        longest: Tokens that are written at most.
        start: The token before the first one.
        end: The token behind the last one.
        never: Tokens that are never written.
        first: Tokens that every text begins with.
        pretrained: True if the tokens are those of a checkpoint that has a decoder.
        beams: Sequences that a search follows; 1: the most probable token is taken each time.
        length_penalty: The exponent of the length that a sequence's log-probability is divided by.
    """

    kind = "text"
    column_kind = "text"
    gives = "write"
    task = "writing"
    metrics = TEXT_METRICS
    head = "writing"
    recipe: ClassVar[Recipe] = Recipe(
        batch_size=64, sampler="by-length", average=0.995, label_smoothing=0.1, backbone="transformer-encoder"
    )
    supports: ClassVar[frozenset[str]] = frozenset({CONFIDENCE})
    endings = (".txt",)

    tokenizer_json: str = ""
    longest: int = 1
    start: int = START
    end: int = END
    never: tuple[int, ...] = (PAD, UNK, MASK, START)
    first: tuple[int, ...] = ()
    pretrained: bool = False
    beams: int = 1
    length_penalty: float = 1.0

    @cached_property
    def tokenizer(self) -> "Tokenizer":
        """The tokenizer, without padding or truncation."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(self.tokenizer_json)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    @property
    def vocabulary(self) -> int:
        """Tokens that there are."""
        return self.tokenizer.get_vocab_size()

    @classmethod
    def fitted(cls, data: Data) -> Self:
        name, training = data.label.name, data.training
        labelled = training.select(training.labelled)
        values = {str(value) for value in labelled.take(name).tolist()}
        if len(values) == 1:
            raise DataError(
                f"Every label in the column {name!r} of {data.name} is {next(iter(values))!r}, so there is nothing to "
                "learn. Add rows with others."
            )
        size = vocabulary_size(sum(map(len, _texts(training, labelled))))
        tokenizer = train_tokenizer(_texts(training, labelled), size)
        return cls(name, tokenizer.to_str(), _longest(tokenizer, labelled))

    def read_by(self, tokenizers: Mapping[str, CheckpointTokenizer], data: Data) -> Target:
        """The target by the tokens of a checkpoint that reads an input and has a decoder, where one does."""
        writing = next((each for each in tokenizers.values() if each.writing is not None), None)
        if writing is None or writing.writing is None:
            return self
        ends, training = writing.writing, data.training
        longest = min(_longest(writing.tokenizer, training.select(training.labelled)), writing.limit - 1)
        return replace(
            self, tokenizer_json=writing.tokenizer.to_str(), longest=longest, start=ends.start, end=ends.end,
            never=ends.never, first=ends.first, pretrained=True,
        )  # fmt: skip

    def continuing(self, earlier: Target) -> Target:
        """`earlier` where it is a text of the same name, whose tokens the network knows."""
        return earlier if isinstance(earlier, TextTarget) and earlier.name == self.name else self

    def encoding(self, data: Data, tokenizers: "Mapping[str, CheckpointTokenizer] | None" = None) -> "InputEncoding":
        """The encoding of the inputs of `data`: texts that no checkpoint reads by the tokenizer of the label."""
        from manyways.data.encoding import InputEncoding

        known = dict(tokenizers or {})
        own = [column.name for column in data.inputs if column.kind == "text" and column.name not in known]
        for name in own:
            rows = data.training.rows
            column = data.columns[name]
            chunks = (texts_of(column, rows[chunk]) for chunk in chunks_of(len(rows)))
            longest = max(len(each) for texts in chunks for each in token_rows(self.tokenizer, texts))
            length = _with_room(longest)
            known[name] = CheckpointTokenizer(self.tokenizer, LONGEST, PAD, MASK, length)
        encoding = InputEncoding.fit(data, tokenizers=known)
        encoders = {
            name: JointTextEncoder(name, each.tokenizer_json, each.text, keeps_end=True)
            if name in own and isinstance(each, TextEncoder)
            else each
            for name, each in encoding.encoders.items()
        }
        return InputEncoding(encoders)

    def seen(
        self, views: "Views", name: str, inputs: Mapping[str, Tensor], labels: Tensor, rng: "torch.Generator"
    ) -> tuple[dict[str, Tensor], Tensor]:
        """The view of inputs that are no text: words that are dropped from a text are missing in what is written."""
        seen = views.see(name, inputs, rng)
        texts = {each for each, spec in views.specs.items() if spec.kind == "text"}
        return {each: inputs[each] if each in texts else value for each, value in seen.items()}, labels

    def lengths(self, codes: NDArray[Any]) -> NDArray[np.int64]:
        return np.asarray((codes != NOTHING).sum(axis=1))

    def unlabelled(self, count: int) -> NDArray[Any]:
        return np.full((count, self.longest + 1), NOTHING, np.int64)

    def codes_of(self, values: NDArray[Any], rows: Data) -> NDArray[Any]:
        codes = self.unlabelled(len(values))
        cut = 0
        for code, tokens in zip(codes, token_rows(self.tokenizer, [str(value) for value in values]), strict=True):
            code[: len(tokens)] = tokens[: len(code)]
            if len(tokens) > len(code):
                code[-1] = self.end
                cut += 1
        warn_of_cut(cut, len(values), self.name, self.longest, "writes")
        return codes

    def decode(self, codes: NDArray[Any]) -> NDArray[Any]:
        return as_objects([self._text(code) for code in codes])

    def _text(self, code: NDArray[Any]) -> str:
        ends = np.flatnonzero((code == self.end) | (code == NOTHING))
        return text_of(self.tokenizer, code[: ends[0]] if len(ends) else code)

    def known(self, labels: Tensor) -> Tensor:
        return labels[:, 0] != NOTHING

    def loss(self, outputs: Writing, labels: Tensor, weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
        """The mean loss of a token of the rows that have a label, each token weighted as its row is."""
        labels = _trimmed(labels)
        losses = outputs.writer.token_losses(outputs.memory, outputs.mask, labels, smoothing)
        if weights is not None:
            losses = losses * weights[:, None].expand_as(labels)[labels != NOTHING]
        return losses.mean()

    def losses(self, outputs: Writing, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """The mean loss of a token of each row, [rows]."""
        labels = _trimmed(labels)
        real = labels != NOTHING
        losses = outputs.writer.token_losses(outputs.memory, outputs.mask, labels, smoothing)
        by_place = losses.new_zeros(labels.shape).masked_scatter(real, losses)
        return by_place.sum(1) / real.sum(1).clamp_min(1)

    def predictions(self, outputs: Writing) -> list[Prediction]:
        found = outputs.writer.search(outputs.memory, outputs.mask, self.longest, self.beams, self.length_penalty)
        confidences = np.exp(found.log_probs).clip(1e-6, 1 - 1e-6)
        return [Prediction(tokens, float(share)) for tokens, share in zip(found.tokens, confidences, strict=True)]

    def statistics(self, predicted: Sequence[NDArray[Any]], truth: NDArray[Any], rows: Data) -> NDArray[np.float64]:
        # The references are the labels as they stand: what the tokenizer or the longest length changes counts.
        references = [str(value) for value in rows.take(self.name)]
        return text_statistics([self._text(code) for code in predicted], references)

    def scores_of(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return text_scores(sums)

    def example(self, row: Data, truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, Any]:
        """The texts that were read, by column, with the reference and what was written."""
        sources = {column.name: texts_of(column, row.rows)[0] for column in row.inputs if column.kind == "text"}
        return {"sources": sources, "truth": str(row.take(self.name)[0]), "predicted": self._text(predicted)}

    def write(self, rows: Data, labels: NDArray[Any], path: Path) -> None:
        """Write a text a line; line breaks within one become spaces."""
        write_whole(path, "".join(" ".join(str(label).splitlines()) + "\n" for label in labels))

    def searching(self, beams: int, length_penalty: float = 1.0) -> Self:
        """The same target, which is predicted by a search with so many beams."""
        if not 1 <= beams <= MOST_BEAMS or not length_penalty >= 0:
            raise ModelError(
                f"beams must be from 1 to {MOST_BEAMS} and length_penalty 0 or more; got {beams} and {length_penalty}."
            )
        return replace(self, beams=beams, length_penalty=length_penalty)

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "name": self.name, "tokenizer": self.tokenizer_json, "longest": self.longest,
            "start": self.start, "end": self.end, "never": list(self.never), "first": list(self.first),
            "pretrained": self.pretrained, "beams": self.beams, "length_penalty": self.length_penalty,
        }  # fmt: skip

    @classmethod
    def read(cls, saved: Mapping[str, Any]) -> Self:
        given = described(saved, "the target", ModelError)
        return cls(
            given.get("name", str), given.get("tokenizer", str), given.get("longest", int), given.get("start", int),
            given.get("end", int), tuple(given.all("never", int)), tuple(given.all("first", int)),
            given.get("pretrained", bool), given.get("beams", int), given.get("length_penalty", float),
        )  # fmt: skip


def _texts(training: Data, labelled: Data) -> Iterator[str]:
    """The texts that the rows of `training` are read by, and the labels."""
    for column in training.inputs:
        if column.kind == "text":
            for chunk in chunks_of(len(training.rows)):
                yield from texts_of(column, training.rows[chunk])
    for value in labelled.take(labelled.label.name):
        yield str(value)


def _longest(tokenizer: "Tokenizer", labelled: Data) -> int:
    """Tokens that are written at most, by the labels of the rows `labelled`."""
    texts = [str(value) for value in labelled.take(labelled.label.name)]
    return _with_room(max(len(each) for each in token_rows(tokenizer, texts)))


def _with_room(longest: int) -> int:
    """Tokens that are read or written at most where the training rows have `longest`: others may be longer."""
    return min(max(int(ROOM * longest), LEAST_ROOM), LONGEST)


def _trimmed(labels: Tensor) -> Tensor:
    """`labels` without the columns at the end that hold nothing in every row."""
    return labels[:, : max(1, int((labels != NOTHING).any(dim=0).sum()))]
