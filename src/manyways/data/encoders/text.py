"""Text as token ids, by a tokenizer trained on the data or a checkpoint's own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import Column
from manyways.data.encoders.base import CheckpointTokenizer, Encoder
from manyways.data.encoders.hashed_text import LONGEST, SPECIAL, HashedTextEncoder, texts_of
from manyways.data.specs import TextSpec
from manyways.data.storage import RowNumbers, chunks_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

LARGEST_VOCABULARY = 8192


@dataclass(frozen=True)
class TextEncoder(Encoder):
    """Token ids, cut or padded to one length.

    Attributes:
        keeps_end: True if what is cut is the text alone, so that the tokens that end one still do.
    """

    kind: ClassVar[str] = "text"
    column: str
    tokenizer_json: str
    text: TextSpec
    keeps_end: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def spec(self) -> TextSpec:
        return self.text

    @cached_property
    def tokenizer(self) -> "Tokenizer":
        """The tokenizer, without padding or truncation of its own."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(self.tokenizer_json)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        if self.keeps_end:
            tokenizer.enable_truncation(self.text.length)
        return tokenizer

    @classmethod
    def fit(
        cls, columns: list[Column], rows: RowNumbers, known: CheckpointTokenizer | None = None, *, plain: bool = False
    ) -> Encoder:
        """A byte-pair tokenizer (Sennrich et al. 2016) trained on `rows`, or the `known` one; or hashed words."""
        column = columns[0]
        if plain and known is None:
            return HashedTextEncoder(column.name)
        if known is None:
            tokenizer, limit, padding, mask = trained_tokenizer(column, rows), LONGEST, 0, 2
        else:
            tokenizer, limit, padding, mask = known.tokenizer, known.limit, known.padding, known.mask
        if known is not None and known.length is not None:
            length = known.length
        else:
            sample = rows[:: max(1, len(rows) // 5000)]
            lengths = [len(encoding.ids) for encoding in tokenizer.encode_batch(texts_of(column, sample))]
            length = int(np.clip(np.ceil(np.percentile(lengths, 99)), 4, min(limit, LONGEST)))
        spec = TextSpec(tokenizer.get_vocab_size(), length, padding, mask)
        return TextEncoder(column.name, tokenizer.to_str(), spec, keeps_end=known is not None)

    def encode(self, columns: list[Column], rows: RowNumbers) -> NDArray[np.int32]:
        out = np.full((len(rows), self.text.length), self.text.padding, np.int32)
        for row, encoding in enumerate(self.tokenizer.encode_batch(texts_of(columns[0], rows))):
            ids = encoding.ids[: self.text.length]
            out[row, : len(ids)] = ids
        return out

    def to_json(self) -> dict[str, Any]:
        spec = self.text
        saved = {
            "column": self.column,
            "tokenizer": self.tokenizer_json,
            "text": [spec.vocabulary, spec.length, spec.padding, spec.mask],
        }
        return {**saved, "keeps_end": True} if self.keeps_end else saved

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "TextEncoder":
        return cls(saved["column"], saved["tokenizer"], TextSpec(*saved["text"]), bool(saved.get("keeps_end")))


def trained_tokenizer(column: Column, rows: RowNumbers) -> "Tokenizer":
    """A byte-pair tokenizer (Sennrich et al. 2016) trained on `rows`, which begins a text with [START]."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Punctuation(),
            pre_tokenizers.Metaspace(prepend_scheme="always"),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=LARGEST_VOCABULARY,
        min_frequency=2,
        special_tokens=list(SPECIAL),
        limit_alphabet=1000,
        show_progress=False,
    )

    def batches() -> Iterator[list[str]]:
        for chunk in chunks_of(len(rows)):
            yield texts_of(column, rows[chunk])

    tokenizer.train_from_iterator(batches(), trainer, length=len(rows))
    tokenizer.post_processor = processors.TemplateProcessing(single="[START] $A", special_tokens=[("[START]", 3)])
    return tokenizer
