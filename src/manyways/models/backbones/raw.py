"""Raw inputs as features: what methods without a network of their own look at."""

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from manyways.data.specs import AudioSpec, ImageSpec, Spec, TextSpec
from manyways.data.storage import RowNumbers, Rows, chunks_of
from manyways.models.backbones._mel import LogMel
from manyways.models.backbones.base import Backbone, require_kind

LARGEST_IMAGE = 1024
"""Images of more numbers are averaged down to about so many."""
SEMANTICS = 256
"""Dimensions of the latent semantics of text."""


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

    def forward(self, x: Tensor) -> Tensor:
        scaled = x.float() / 255 if x.dtype == torch.uint8 else x.float()
        return (adaptive_avg_pool2d(scaled, self.side) if self.side else scaled).flatten(1)

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

    def forward(self, x: Tensor) -> Tensor:
        energies: Tensor = self.mel(x)
        return adaptive_avg_pool2d(energies, (energies.shape[-2], self.pieces)).flatten(1)

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

    def forward(self, x: Tensor) -> Tensor:
        weights = (x != self.padding).float()[..., None]
        summed = (self.projection[x] * weights).sum(1)
        return nn.functional.normalize(summed, dim=1)

    def layer_groups(self) -> list[list[nn.Parameter]]:
        return []


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
