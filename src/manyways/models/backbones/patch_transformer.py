"""A transformer over patches of series, each series on its own."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from manyways.data.encoders.series import SeriesSpec
from manyways.data.specs import Spec
from manyways.models.backbones._layers import parameters_of
from manyways.models.backbones._patches import PatchBackbone
from manyways.models.backbones._transformer import Block, heads_for
from manyways.models.backbones.base import require_kind, scaled_width
from manyways.models.backbones.tokens import Tokens

LONGEST_PATCH = 16
LEAST = 1e-9
"""Deviations that are smaller than this share of the largest value count as none."""


@dataclass(frozen=True)
class SeriesTokens(Tokens):
    """Tokens of the patches of several series, one series after the other, and what each was scaled by.

    level, spread: mean and standard deviation of each series in its stretch, float64 [rows, channels].
    """

    level: Tensor
    spread: Tensor

    @property
    def of_first(self) -> Tensor:
        """The features of the first series, [rows, patches, width]."""
        return self.features[:, : self.grid[1]]

    @property
    def others(self) -> Tensor:
        """The mean of the features of all other series, [rows, width]; of none it is 0."""
        rest = self.features[:, self.grid[1] :]
        return rest.mean(dim=1) if rest.shape[1] else rest.new_zeros(len(rest), rest.shape[2])


class PatchTransformer(PatchBackbone):
    """Patches of each series, standardised by its own stretch, through a transformer that all series share.

    Reads float64 [B, channels, steps]. Series are independent of each other (PatchTST, Nie et al., ICLR 2023); what is
    taken from a stretch to standardise it is given back to the forecast (reversible instance normalisation, Kim et al.,
    ICLR 2022).
    """

    name: ClassVar[str] = "patch-transformer"
    kinds: ClassVar[tuple[str, ...]] = ("series",)

    def __init__(
        self, *, channels: int, steps: int, patch: int, stride: int, dimension: int, depth: int, heads: int,
        dropout: float,
    ) -> None:  # fmt: skip
        super().__init__(
            dimension, channels=channels, steps=steps, patch=patch, stride=stride, dimension=dimension, depth=depth,
            heads=heads, dropout=dropout,
        )  # fmt: skip
        self.patch, self.stride = patch, stride
        self.patches = patches_of(steps, patch, stride)
        self.grid = (self.patches,)
        self.embedding = nn.Linear(patch, dimension)
        self.positions = nn.Parameter(torch.empty(self.patches, dimension).normal_(std=0.02))
        self.embedding_dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(dimension, heads, dropout, ratio=2) for _ in range(depth))
        self.norm = nn.LayerNorm(dimension)

    @classmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        series = require_kind(spec, SeriesSpec, cls.name)
        dimension, patch = scaled_width(32, size, multiple=16), max(1, min(LONGEST_PATCH, series.steps // 4))
        return {
            "name": cls.name,
            "channels": series.channels,
            "steps": series.steps,
            "patch": patch,
            "stride": max(1, patch // 2),
            "dimension": dimension,
            "depth": max(2, round(2 * size**0.5)),
            "heads": heads_for(dimension, 16),
            "dropout": 0.2,
        }

    def patch_values(self, x: Tensor) -> Tensor:
        """The patches of each series, one series after the other as a sequence of its own."""
        return self._scaled(x, *level_and_spread(x))

    def _scaled(self, x: Tensor, level: Tensor, spread: Tensor) -> Tensor:
        scaled = ((x - level[..., None]) / spread[..., None]).to(self.positions.dtype)
        lacking = (self.patches - 1) * self.stride + self.patch - x.shape[2]
        # The last value again, so that the last patch ends with the newest values.
        return pad(scaled, (0, lacking), mode="replicate").unfold(2, self.patch, self.stride).flatten(0, 1)

    def embedded(self, patches: Tensor) -> Tensor:
        hidden: Tensor = self.embedding_dropout(self.embedding(patches) + self.positions)
        return hidden

    def encoded(self, hidden: Tensor) -> Tensor:
        for block in self.blocks:
            hidden = block(hidden)
        features: Tensor = self.norm(hidden)
        return features

    def tokens(self, x: Tensor) -> SeriesTokens:
        level, spread = level_and_spread(x)
        features = self.encoded(self.embedded(self._scaled(x, level, spread))).reshape(len(x), -1, self.width)
        return SeriesTokens(features, None, (x.shape[1], self.patches), level, spread)

    def layer_groups(self) -> list[list[nn.Parameter]]:
        return [
            [*self.embedding.parameters(), self.positions],
            *(parameters_of(block) for block in self.blocks),
            parameters_of(self.norm),
        ]


def patches_of(steps: int, patch: int, stride: int) -> int:
    """The number of patches that cover `steps`, the last of which may reach beyond the end."""
    return 1 + max(0, -(-(steps - patch) // stride))


def level_and_spread(windows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over the last axis, float64; the deviation of what is constant is 1."""
    values = windows.double()
    level, spread = values.mean(dim=-1), values.std(dim=-1, correction=0)
    return level, spread.where(spread > LEAST * values.abs().amax(dim=-1), 1.0)
