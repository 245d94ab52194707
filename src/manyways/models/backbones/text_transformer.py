"""A small transformer encoder over token ids."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from manyways.data.specs import Spec, TextSpec
from manyways.models.backbones._layers import parameters_of, text_mask, trim_text
from manyways.models.backbones._transformer import Block, heads_for
from manyways.models.backbones.base import Backbone, require_kind, scaled_width
from manyways.models.backbones.tokens import Tokens


class TextTransformer(Backbone):
    """Token and position embeddings, pre-norm blocks, mean over tokens, beside a plain bag of embeddings.

    Reads ids [B, L <= length]; the `padding` at the end of a row changes nothing.
    The features [B, 2 * dimension] are the mean of the contextual tokens, then the mean of the token
    embeddings, which alone is a strong classifier when labels are few (Joulin et al., 2017).
    """

    name: ClassVar[str] = "text-transformer"
    kinds: ClassVar[tuple[str, ...]] = ("text",)

    def __init__(
        self,
        *,
        vocabulary: int,
        length: int,
        dimension: int,
        depth: int,
        heads: int,
        padding: int,
        dropout: float,
    ) -> None:
        super().__init__(
            2 * dimension,
            vocabulary=vocabulary,
            length=length,
            dimension=dimension,
            depth=depth,
            heads=heads,
            padding=padding,
            dropout=dropout,
        )
        self.padding = padding
        self.embedding = nn.Embedding(vocabulary, dimension)
        self.positions = nn.Parameter(torch.empty(length, dimension))
        self.embedding_dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(dimension, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(dimension)
        self.bag_norm = nn.LayerNorm(dimension)
        nn.init.normal_(self.embedding.weight, std=dimension**-0.5)
        nn.init.normal_(self.positions, std=0.1 * dimension**-0.5)

    @classmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        text = require_kind(spec, TextSpec, cls.name)
        dimension = scaled_width(64, size, multiple=32)
        return {
            "name": cls.name,
            "vocabulary": text.vocabulary,
            "length": text.length,
            "dimension": dimension,
            "depth": max(1, round(size**0.5)),
            "heads": heads_for(dimension),
            "padding": text.padding,
            "dropout": 0.1,
        }

    def tokens(self, x: Tensor) -> Tokens:
        ids = trim_text(x, self.padding)
        visible = text_mask(ids, self.padding)
        embedded = self.embedding(ids)
        hidden = self.embedding_dropout(embedded + self.positions[: ids.shape[1]])
        for block in self.blocks:
            hidden = block(hidden, visible)
        return Tokens(torch.cat([self.norm(hidden), embedded], dim=2), visible, (ids.shape[1],))

    def pool(self, tokens: Tokens) -> Tensor:
        contextual, bag = tokens.mean().chunk(2, dim=1)
        return torch.cat([contextual, self.bag_norm(bag)], dim=1)

    def layer_groups(self) -> list[list[nn.Parameter]]:
        return [
            [*self.embedding.parameters(), self.positions],
            *(parameters_of(block) for block in self.blocks),
            parameters_of(self.norm, self.bag_norm),
        ]
