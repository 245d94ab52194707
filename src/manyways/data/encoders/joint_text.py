"""Text as tokens of one tokenizer for what is read and what is written: byte-level pairs, capitals and marks kept."""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import Column
from manyways.data.encoders.hashed_text import texts_of
from manyways.data.encoders.text import TextEncoder
from manyways.data.specs import TextSpec
from manyways.data.storage import RowNumbers
from manyways.errors import DataWarning

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPECIAL = ("[PAD]", "[UNK]", "[MASK]", "[START]", "[END]")
PAD, UNK, MASK, START, END = range(len(SPECIAL))
FEWEST, MOST = 512, 16_000
"""Entries of a vocabulary: the 256 bytes, the special tokens and some pairs at least."""
CHUNK = 1000
LONGEST = 512
"""Tokens beyond which a text is cut."""


@dataclass(frozen=True)
class JointTextEncoder(TextEncoder):
    """Token ids by a tokenizer that the label shares. No training row is cut that has 512 tokens or fewer."""

    kind: ClassVar[str] = "joint-text"

    def encode(self, columns: list[Column], rows: RowNumbers) -> NDArray[np.int32]:
        """As the tokens of texts elsewhere; warns, with how many, where texts are longer than the network reads."""
        out = np.full((len(rows), self.text.length), self.text.padding, np.int32)
        cut = 0
        for row, encoding in enumerate(self.tokenizer.encode_batch(texts_of(columns[0], rows))):
            cut += bool(encoding.overflowing)
            out[row, : len(encoding.ids)] = encoding.ids
        warn_of_cut(cut, len(rows), self.column, self.text.length, "reads")
        return out

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "JointTextEncoder":
        return cls(saved["column"], saved["tokenizer"], TextSpec(*saved["text"]), bool(saved.get("keeps_end")))


def warn_of_cut(cut: int, rows: int, column: str, length: int, verb: str) -> None:
    """Warn that texts were cut, where any was (DataWarning)."""
    if cut:
        warnings.warn(
            f"{cut:,} of {rows:,} texts in {column!r} are longer than the {length:,} tokens that the model {verb}; "
            "they are cut. Divide them into shorter ones, such as sentences.",
            DataWarning,
            stacklevel=3,
        )


def vocabulary_size(characters: int) -> int:
    """Entries for texts of so many characters: twice their root, as vocabularies grow with texts (Heaps, 1978).

    29,000 pairs of sentences, 3.8 million characters, give 3,900.
    """
    return int(np.clip(round(2 * characters**0.5, -2), FEWEST, MOST))


def train_tokenizer(texts: Iterable[str], size: int) -> "Tokenizer":
    """A byte-level byte-pair tokenizer (Sennrich et al., 2016; Radford et al., 2019) of `size` entries at most.

    Words are told apart by the space before them, which stands before the first one, too. [END] follows each text.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_chunks(texts), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A [END]", special_tokens=[("[END]", END)])
    return tokenizer


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    for text in texts:
        chunk.append(text)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    yield chunk


def token_rows(tokenizer: "Tokenizer", texts: Sequence[str]) -> list[NDArray[np.int64]]:
    """The tokens of each text, the end among them."""
    encodings = tokenizer.encode_batch(list(texts))
    return [np.asarray(encoding.ids, np.int64) for encoding in encodings]


def text_of(tokenizer: "Tokenizer", tokens: Sequence[int] | NDArray[np.int64]) -> str:
    """The text that `tokens` stand for, special ones left out; bytes that are no character become �."""
    return tokenizer.decode([int(token) for token in tokens]).removeprefix(" ")
