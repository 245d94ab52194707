"""Strided convolutions: the mirror image of a decoder."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

from torch import Tensor, nn

from manyways.data.specs import ImageSpec, Spec
from manyways.models.backbones._layers import BatchNorm, channels_last, parameters_of
from manyways.models.backbones.base import ImageBackbone, require_kind, scaled_width
from manyways.models.backbones.tokens import Tokens, map_of, of_map

SMALLEST_SIDE = 8
"""The last map has at most so many rows and columns."""


class StridedConvNet(ImageBackbone):
    """Stages of 4x4 convolution by steps of 2, batch normalisation and ReLU, then one linear layer.

    widths: channels after each convolution; grid: rows and columns of the last map; hidden: features. The encoder of
    autoencoders: quick, and it forgets nothing of where things are, as pooling does.
    """

    name: ClassVar[str] = "strided"

    def __init__(self, channels: int, widths: Sequence[int], grid: Sequence[int], hidden: int) -> None:
        super().__init__(hidden, channels=channels, widths=list(widths), grid=list(grid), hidden=hidden)
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, after, 4, 2, 1, bias=False), BatchNorm(after), nn.ReLU())
            for before, after in pairwise([channels, *widths])
        )
        flat = widths[-1] * grid[0] * grid[1]
        self.last = nn.Sequential(nn.Linear(flat, hidden, bias=False), BatchNorm(hidden), nn.ReLU())

    @classmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        image = require_kind(spec, ImageSpec, cls.name)
        height, width = max(image.height, 2), max(image.width, 2)
        widths: list[int] = []
        while not widths or (max(height, width) > SMALLEST_SIDE and min(height, width) > 1):
            height, width = height // 2, width // 2
            widths.append(scaled_width(16 * 2 ** min(len(widths), 4), size))
        return {
            "name": cls.name,
            "channels": image.channels,
            "widths": widths,
            "grid": [height, width],
            "hidden": scaled_width(256, size),
        }

    @property
    def token_width(self) -> int:
        return int(self.config["widths"][-1])

    def tokens(self, x: Tensor) -> Tokens:
        hidden = channels_last(self.standardise(x))
        for stage in self.stages:
            hidden = stage(hidden)
        return of_map(hidden)

    def pool(self, tokens: Tokens) -> Tensor:
        features: Tensor = self.last(map_of(tokens).flatten(1))
        return features

    def layer_groups(self) -> list[list[nn.Parameter]]:
        return [parameters_of(part) for part in (*self.stages, self.last)]
