"""A small stack of convolutions for images up to about 40 pixels."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from manyways.data.specs import ImageSpec, Spec
from manyways.models.backbones._layers import BatchNorm, channels_last, conv, parameters_of
from manyways.models.backbones.base import ImageBackbone, require_kind, scaled_width
from manyways.models.backbones.tokens import Tokens, map_of, of_map

LARGEST_GRID = 4
"""Rows and columns of the last map. On small images it matters where a stroke is: averaging over all places
loses two points of accuracy on 28-pixel garments after equal time."""
LARGEST_WIDTH = 128


class ConvNet(ImageBackbone):
    """Stages of 3x3 convolution, 2x2 max pooling, batch normalisation and ReLU; the last map is the features.

    widths: channels after each convolution; pools: which of them are pooled; grid: rows and columns to which
    the last map is averaged. The features are [B, widths[-1] * grid[0] * grid[1]].
    """

    name: ClassVar[str] = "convnet"

    def __init__(self, channels: int, widths: Sequence[int], pools: Sequence[bool], grid: Sequence[int]) -> None:
        rows, columns = grid
        super().__init__(
            widths[-1] * rows * columns,
            channels=channels,
            widths=list(widths),
            pools=list(pools),
            grid=[rows, columns],
        )
        self.grid = (rows, columns)
        # Pooling first leaves the normalisation a quarter of the work.
        self.stages = nn.ModuleList(
            nn.Sequential(
                conv(inputs, outputs),
                *([nn.MaxPool2d(2)] if pooled else []),
                BatchNorm(outputs),
                nn.ReLU(),
            )
            for (inputs, outputs), pooled in zip(pairwise([channels, *widths]), pools, strict=True)
        )

    @classmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        image = require_kind(spec, ImageSpec, cls.name)
        height, width, halvings = image.height, image.width, 0
        while max(height, width) > LARGEST_GRID and min(height, width) > 1:
            height, width, halvings = height // 2, width // 2, halvings + 1
        # Large maps cost most, so that they get few channels.
        if halvings <= 2:  # on digits of 8 pixels two layers beat three after equal time: they take twice the steps
            widths, pools = [32, 64], [halvings > 1, halvings > 0]
        else:
            widths = [min(16 * 2**stage, 256) for stage in range(halvings)]
            widths, pools = [*widths, widths[-1]], [*([True] * (halvings - 1)), False, True]
        return {
            "name": cls.name,
            "channels": image.channels,
            "widths": [scaled_width(each, size) for each in widths],
            "pools": pools,
            "grid": [min(height, LARGEST_GRID), min(width, LARGEST_GRID)],
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
        hidden = map_of(tokens)
        if hidden.shape[2:] != self.grid:
            hidden = F.adaptive_avg_pool2d(hidden, self.grid)
        return hidden.flatten(1)

    def layer_groups(self) -> list[list[nn.Parameter]]:
        return [parameters_of(stage) for stage in self.stages]
