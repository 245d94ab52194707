"""A transformer encoder over token ids, for what a decoder attends to."""

import math
from typing import Any, ClassVar

from torch import Tensor, nn

from manyways.data.specs import Spec, TextSpec
from manyways.models.backbones._attention import EncoderBlock, hidden_bias, sinusoids
from manyways.models.backbones._layers import SharedDropout, is_vmapped, parameters_of, text_mask, trim_text
from manyways.models.backbones.base import Backbone, require_kind, scaled_width
from manyways.models.backbones.tokens import Tokens

HEAD_WIDTH = 64


class TransformerEncoder(Backbone):
    """Embeddings times √width and sinusoidal positions, pre-norm blocks, a norm: the encoder of Vaswani et al. (2017).

    Reads ids [B, L]; the `padding` at the end of a row changes nothing. Beside `text-transformer`, which is for
    classes and few labels, it is deeper, keeps capitals apart where the tokenizer does, and can share its embeddings
    with a decoder.
    """

    name: ClassVar[str] = "transformer-encoder"
    kinds: ClassVar[tuple[str, ...]] = ("text",)

    def __init__(
        self, *, vocabulary: int, dimension: int, depth: int, heads: int, hidden: int, padding: int, dropout: float
    ) -> None:
        super().__init__(
            dimension, vocabulary=vocabulary, dimension=dimension, depth=depth, heads=heads, hidden=hidden,
            padding=padding, dropout=dropout,
        )  # fmt: skip
        self.padding = padding
        self.embedding = nn.Embedding(vocabulary, dimension)
        self.dropout = SharedDropout(dropout)
        self.blocks = nn.ModuleList(EncoderBlock(dimension, heads, hidden, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(dimension)
        nn.init.normal_(self.embedding.weight, std=dimension**-0.5)

    @classmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        text = require_kind(spec, TextSpec, cls.name)
        dimension = scaled_width(192, size, multiple=HEAD_WIDTH)
        return {
            "name": cls.name,
            "vocabulary": text.vocabulary,
            "dimension": dimension,
            "depth": max(1, round(3 * size**0.5)),
            "heads": dimension // HEAD_WIDTH,
            "hidden": scaled_width(512, size, multiple=HEAD_WIDTH),
            "padding": text.padding,
            "dropout": 0.1,
        }

    def tokens(self, x: Tensor) -> Tokens:
        ids = trim_text(x, self.padding)
        visible = text_mask(ids, self.padding)
        bias = None if not is_vmapped(ids) and bool(visible.all()) else hidden_bias(visible)
        embedded = self.embedding(ids) * math.sqrt(self.width)
        hidden = self.dropout(embedded + sinusoids(ids.shape[1], self.width, device=embedded.device))
        for block in self.blocks:
            hidden = block(hidden, bias)
        return Tokens(self.norm(hidden), visible, (ids.shape[1],))

    def layer_groups(self) -> list[list[nn.Parameter]]:
        return [
            list(self.embedding.parameters()),
            *(parameters_of(block) for block in self.blocks),
            list(self.norm.parameters()),
        ]
