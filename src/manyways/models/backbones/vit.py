"""A small vision transformer."""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manyways.data.specs import ImageSpec, Spec
from manyways.models.backbones._layers import parameters_of
from manyways.models.backbones._patches import PatchBackbone
from manyways.models.backbones._transformer import Block, heads_for
from manyways.models.backbones.base import ImageBackbone, require_kind, scaled_width
from manyways.models.backbones.tokens import Tokens

PATCHES = ((12, 2), (48, 4), (96, 8))
"""Largest side in pixels, patch side in pixels; beyond the last, patches of 16."""


class VisionTransformer(ImageBackbone, PatchBackbone):
    """Patches as tokens (Dosovitskiy et al., 2021), sin-cos positions and mean pooling (Beyer et al., 2022).

    Images whose sides `patch` does not divide are padded at the right and bottom with the mean colour.
    """

    name: ClassVar[str] = "vit"

    def __init__(
        self,
        *,
        channels: int,
        height: int,
        image_width: int,
        patch: int,
        dimension: int,
        depth: int,
        heads: int,
        dropout: float,
    ) -> None:
        super().__init__(
            dimension,
            channels=channels,
            height=height,
            image_width=image_width,
            patch=patch,
            dimension=dimension,
            depth=depth,
            heads=heads,
            dropout=dropout,
        )
        self.patch = patch
        self.padding = (0, -image_width % patch, 0, -height % patch)
        self.embedding = nn.Linear(channels * patch * patch, dimension)
        rows, columns = -(-height // patch), -(-image_width // patch)
        self.grid = (rows, columns)
        positions = sin_cos_positions(rows, columns, dimension)
        self.register_buffer("positions", positions, persistent=False)
        self.blocks = nn.ModuleList(Block(dimension, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(dimension)

    positions: Tensor

    @classmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        image = require_kind(spec, ImageSpec, cls.name)
        dimension = scaled_width(96, size, multiple=32)
        longest = max(image.height, image.width)
        return {
            "name": cls.name,
            "channels": image.channels,
            "height": image.height,
            "image_width": image.width,
            "patch": next((patch for side, patch in PATCHES if longest <= side), 16),
            "dimension": dimension,
            "depth": max(2, round(4 * size**0.5)),
            "heads": heads_for(dimension),
            "dropout": 0.0,
        }

    def patch_values(self, x: Tensor) -> Tensor:
        padded = F.pad(self.standardise(x), self.padding)
        return F.pixel_unshuffle(padded, self.patch).flatten(2).transpose(1, 2)

    def embedded(self, patches: Tensor) -> Tensor:
        hidden: Tensor = self.embedding(patches)
        return hidden + self.positions

    def encoded(self, hidden: Tensor) -> Tensor:
        for block in self.blocks:
            hidden = block(hidden)
        features: Tensor = self.norm(hidden)
        return features

    def tokens(self, x: Tensor) -> Tokens:
        return Tokens(self.encoded(self.embedded(self.patch_values(x))), None, self.grid)

    def layer_groups(self) -> list[list[nn.Parameter]]:
        return [
            parameters_of(self.embedding),
            *(parameters_of(block) for block in self.blocks),
            parameters_of(self.norm),
        ]


def sin_cos_positions(rows: int, columns: int, dimension: int, period: float = 10_000.0) -> Tensor:
    """Fixed position embeddings [rows * columns, dimension], row by row; dimension is a multiple of 4."""
    frequencies = period ** -(torch.arange(dimension // 4) / (dimension // 4))
    vertical = torch.arange(rows)[:, None, None] * frequencies
    horizontal = torch.arange(columns)[None, :, None] * frequencies
    grid = [part.expand(rows, columns, -1) for part in (vertical, horizontal)]
    return torch.cat([wave for part in grid for wave in (part.sin(), part.cos())], dim=-1).flatten(0, 1)
