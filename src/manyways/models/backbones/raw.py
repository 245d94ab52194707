"""Raw inputs as features: what methods without a network of their own look at."""

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from manyways.data.encoders.hashed_text import SPECIAL
from manyways.data.specs import AudioSpec, ImageSpec, Spec, TextSpec
from manyways.data.storage import RowNumbers, Rows, chunks_of
from manyways.models.backbones._mel import LogMel
from manyways.models.backbones.base import Backbone, require_kind
from manyways.models.backbones.tokens import Tokens, of_whole

RAW_KINDS = frozenset({"table", "image", "audio", "text"})
"""The kinds of inputs that have raw features."""
LARGEST_IMAGE = 1024
"""Images of more numbers are averaged down to about so many."""
SEMANTICS = 256
"""Dimensions of the latent semantics of text."""
FOLDED = 1024
"""Dimensions that hashed words are folded to."""


class Flat(Backbone):
    """Pixels in [0, 1] or table cells, as they are; large images averaged down to `side` pixels."""

    name: ClassVar[str] = "flat"
    kinds: ClassVar[tuple[str, ...]] = ("image", "table")

    def __init__(self, numbers: int, side: int | None = None) -> None:
        super().__init__(numbers, numbers=numbers, side=side)
        self.side = side

    @classmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        if not isinstance(spec, ImageSpec):
            return {"name": cls.name, "numbers": getattr(spec, "width"), "side": None}  # noqa: B009
        side = int((LARGEST_IMAGE / spec.channels) ** 0.5)
        if spec.height * spec.width <= side * side:
            return {"name": cls.name, "numbers": spec.channels * spec.height * spec.width, "side": None}
        return {"name": cls.name, "numbers": spec.channels * side * side, "side": side}

    def tokens(self, x: Tensor) -> Tokens:
        scaled = x.float() / 255 if x.dtype == torch.uint8 else x.float()
        return of_whole((adaptive_avg_pool2d(scaled, self.side) if self.side else scaled).flatten(1))

    def layer_groups(self) -> list[list[nn.Parameter]]:
        return []


class Spectrum(Backbone):
    """Log-mel energies of sound, averaged to 16 pieces of time."""

    name: ClassVar[str] = "spectrum"
    kinds: ClassVar[tuple[str, ...]] = ("audio",)
    pieces = 16

    def __init__(self, rate: int, mels: int = 40) -> None:
        super().__init__(mels * self.pieces, rate=rate, mels=mels)
        self.mel = LogMel(rate, mels)

    @classmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        return {"name": cls.name, "rate": require_kind(spec, AudioSpec, cls.name).rate, "mels": 40}

    @property
    def token_width(self) -> int:
        return self.width // self.pieces

    def tokens(self, x: Tensor) -> Tokens:
        energies: Tensor = self.mel(x)
        pieces = adaptive_avg_pool2d(energies, (energies.shape[-2], self.pieces))
        return Tokens(pieces.transpose(1, 2), None, (self.pieces,))

    def pool(self, tokens: Tokens) -> Tensor:
        return tokens.features.transpose(1, 2).flatten(1)

    def layer_groups(self) -> list[list[nn.Parameter]]:
        return []


class LatentSemantics(Backbone):
    """Latent semantic analysis (Deerwester et al. 1990): tf-idf of the tokens, projected on their singular vectors.

    `projection` [vocabulary, numbers] holds the idf-weighted directions; it is fitted by `fit_raw_backbone`.
    """

    name: ClassVar[str] = "latent-semantics"
    kinds: ClassVar[tuple[str, ...]] = ("text",)
    projection: Tensor

    def __init__(self, vocabulary: int, numbers: int, padding: int = 0) -> None:
        super().__init__(numbers, vocabulary=vocabulary, numbers=numbers, padding=padding)
        self.padding = padding
        self.register_buffer("projection", torch.zeros(vocabulary, numbers))

    @classmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        text = require_kind(spec, TextSpec, cls.name)
        numbers = min(SEMANTICS, text.vocabulary - 1)
        return {"name": cls.name, "vocabulary": text.vocabulary, "numbers": numbers, "padding": text.padding}

    def tokens(self, x: Tensor) -> Tokens:
        return Tokens(self.projection[x], x != self.padding, (x.shape[1],))

    def pool(self, tokens: Tokens) -> Tensor:
        assert tokens.mask is not None
        summed = (tokens.features * tokens.mask.float()[..., None]).sum(1)
        return nn.functional.normalize(summed, dim=1)

    def layer_groups(self) -> list[list[nn.Parameter]]:
        return []


class WordCounts(Backbone):
    """Counts of hashed words in a row; special tokens are not counted."""

    name: ClassVar[str] = "word-counts"
    kinds: ClassVar[tuple[str, ...]] = ("text",)

    def __init__(self, vocabulary: int) -> None:
        super().__init__(vocabulary - len(SPECIAL), vocabulary=vocabulary)

    @classmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        return {"name": cls.name, "vocabulary": require_kind(spec, TextSpec, cls.name).vocabulary}

    def tokens(self, x: Tensor) -> Tokens:
        counts = x.new_zeros(len(x), self.width + len(SPECIAL), dtype=torch.float32)
        return of_whole(counts.scatter_add_(1, x, torch.ones_like(x, dtype=torch.float32))[:, len(SPECIAL) :])

    def layer_groups(self) -> list[list[nn.Parameter]]:
        return []


class HashedWords(Backbone):
    """Hashed words of a row, folded to `numbers` with a sign of their own each, as a vector of length 1.

    Words that fall together cancel rather than add up (Weinberger et al., Feature hashing, ICML 2009).
    """

    name: ClassVar[str] = "hashed-words"
    kinds: ClassVar[tuple[str, ...]] = ("text",)

    def __init__(self, vocabulary: int, numbers: int = FOLDED) -> None:
        super().__init__(numbers, vocabulary=vocabulary, numbers=numbers)
        self.counts = WordCounts(vocabulary)
        words = torch.arange(self.counts.width)
        self.register_buffer("places", words % numbers, persistent=False)
        self.register_buffer("signs", 1.0 - 2.0 * ((words // numbers) % 2), persistent=False)

    @classmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        return {"name": cls.name, "vocabulary": require_kind(spec, TextSpec, cls.name).vocabulary, "numbers": FOLDED}

    def tokens(self, x: Tensor) -> Tokens:
        there = (self.counts(x) > 0).float() * self.signs
        folded = there.new_zeros(len(x), self.width).index_add_(1, self.places, there)
        return of_whole(nn.functional.normalize(folded, dim=1))

    def layer_groups(self) -> list[list[nn.Parameter]]:
        return []


def plain_backbone(spec: Spec, *, counts: bool = False) -> Backbone:
    """Raw features that no row's content decides but its own; of text the hashed words, or their `counts`."""
    if isinstance(spec, AudioSpec):
        return Spectrum.for_spec(spec)
    if not isinstance(spec, TextSpec):
        return Flat.for_spec(spec)
    return WordCounts.for_spec(spec) if counts else HashedWords.for_spec(spec)


def fit_raw_backbone(spec: Spec, store: Rows, rows: RowNumbers, seed: int) -> Backbone:
    """The raw features for inputs like `spec`; those of text are fitted on `rows` of the encoded `store`."""
    if isinstance(spec, AudioSpec):
        return Spectrum.for_spec(spec)
    if not isinstance(spec, TextSpec):
        return Flat.for_spec(spec)
    counts = _token_counts(spec, store, rows)
    backbone = LatentSemantics(spec.vocabulary, min(SEMANTICS, min(counts.shape) - 1), spec.padding)
    backbone.projection.copy_(torch.from_numpy(_singular_directions(counts, backbone.width, seed)))
    return backbone


def _token_counts(spec: TextSpec, store: Rows, rows: RowNumbers) -> Any:
    from scipy.sparse import csr_matrix, vstack

    parts = []
    for chunk in chunks_of(len(rows)):
        ids = store[rows[chunk]]
        row, _ = np.nonzero(ids != spec.padding)
        tokens = ids[ids != spec.padding]
        shape = (len(ids), spec.vocabulary)
        parts.append(csr_matrix((np.ones(len(tokens), np.float32), (row, tokens)), shape=shape))
    return vstack(parts).tocsr()


def _singular_directions(counts: Any, numbers: int, seed: int) -> NDArray[np.float32]:
    from sklearn.utils.extmath import randomized_svd

    appears = np.asarray((counts > 0).sum(axis=0)).ravel()
    rarity = np.log((1 + counts.shape[0]) / (1 + appears)) + 1
    rarity[appears == counts.shape[0]] = 0  # a token in every row, as the start token is, tells nothing
    weighted = counts.multiply(rarity).tocsr()
    _, _, directions = randomized_svd(weighted, numbers, random_state=seed)
    return np.asarray(directions.T * rarity[:, None], np.float32)
