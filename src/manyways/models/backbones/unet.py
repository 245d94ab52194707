"""U-Net: features of every pixel."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manyways.data.specs import ImageSpec, Spec
from manyways.models.backbones._layers import BatchNorm, channels_last, conv, parameters_of
from manyways.models.backbones.base import ImageBackbone, require_kind, scaled_width
from manyways.models.backbones.tokens import Tokens, of_map


class UNet(ImageBackbone):
    """U-Net (Ronneberger et al., 2015), padded: the map has the height and width of the picture, which may be any.

    Each level has two convolutions on the way down, and two on the way up, which read what came from below beside what
    the level said on the way down; between levels 2 x 2 pooling, and back the nearest place.

    widths: Channels of the levels, from the finest, which are the features of a token.
    """

    name: ClassVar[str] = "unet"

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        super().__init__(widths[0], channels=channels, widths=list(widths))
        self.down = nn.ModuleList(_twice(before, after) for before, after in pairwise([channels, *widths]))
        self.up = nn.ModuleList(_twice(fine + coarse, fine) for fine, coarse in pairwise(widths))

    @classmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        channels = require_kind(spec, ImageSpec, cls.name).channels
        return {"name": cls.name, "channels": channels, "widths": [scaled_width(16 << at, size) for at in range(4)]}

    def tokens(self, x: Tensor) -> Tokens:
        height, width = x.shape[2:]
        hidden = channels_last(_padded(self.standardise(x), 1 << (len(self.down) - 1)))
        kept: list[Tensor] = []
        for level in self.down:
            hidden = level(hidden if not kept else F.max_pool2d(hidden, 2))
            kept.append(hidden)
        for level, fine in zip(reversed(self.up), reversed(kept[:-1]), strict=True):
            hidden = level(torch.cat([fine, F.interpolate(hidden, scale_factor=2.0)], dim=1))
        if hidden.shape[2:] != (height, width):
            hidden = channels_last(hidden[:, :, :height, :width])
        return of_map(hidden)

    def layer_groups(self) -> list[list[nn.Parameter]]:
        return [*(parameters_of(level) for level in self.down), *(parameters_of(level) for level in reversed(self.up))]


class _Convolved(nn.Module):
    """A 3 x 3 convolution, normalised, and ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = conv(inputs, outputs)
        self.norm = BatchNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))


def _twice(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_Convolved(inputs, outputs), _Convolved(outputs, outputs))


def _padded(x: Tensor, multiple: int) -> Tensor:
    """`x` [B, C, H, W] with its last row and column repeated until height and width are multiples of `multiple`."""
    below, right = -x.shape[2] % multiple, -x.shape[3] % multiple
    return F.pad(x, (0, right, 0, below), mode="replicate") if below or right else x
