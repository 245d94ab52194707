"""A residual network with a feature pyramid: maps at a quarter of the height and width."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from manyways.data.specs import ImageSpec, Spec
from manyways.models.backbones._layers import BatchNorm, channels_last, conv, parameters_of
from manyways.models.backbones.base import ImageBackbone, require_kind, scaled_width
from manyways.models.backbones.resnet import Block
from manyways.models.backbones.tokens import Tokens, of_map


class Pyramid(ImageBackbone):
    """Feature pyramid network (Lin et al., 2017) on residual stages, each of which halves the resolution.

    The stages are brought to `width` channels and added from the coarsest to the finest, a quarter of the picture along
    each side, which is smoothed and gives the tokens. Pictures may be of any size.

    stem: Channels of the first convolution, which halves the resolution as well. widths: Channels of the stages. width:
    Features of a token.
    """

    name: ClassVar[str] = "pyramid"

    def __init__(self, channels: int, stem: int, widths: Sequence[int], width: int) -> None:
        super().__init__(width, channels=channels, stem=stem, widths=list(widths), width=width)
        self.stem = conv(channels, stem, stride=2)
        self.stages = nn.ModuleList(Block(before, after, stride=2) for before, after in pairwise([stem, *widths]))
        self.norms = nn.ModuleList(BatchNorm(each) for each in widths)
        self.laterals = nn.ModuleList(conv(each, width, kernel=1) for each in widths)
        self.smooth = conv(width, width)
        self.last = BatchNorm(width)

    @classmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        channels = require_kind(spec, ImageSpec, cls.name).channels
        return {
            "name": cls.name,
            "channels": channels,
            "stem": scaled_width(16, size),
            "widths": [scaled_width(width, size) for width in (32, 64, 128, 128, 128)],
            "width": scaled_width(64, size),
        }

    def tokens(self, x: Tensor) -> Tokens:
        hidden = self.stem(channels_last(self.standardise(x)))
        maps: list[Tensor] = []
        for stage in self.stages:
            hidden = stage(hidden)
            maps.append(hidden)
        merged: Tensor | None = None
        levels = zip(maps, self.norms, self.laterals, strict=True)
        for level, norm, lateral in reversed(list(levels)):
            here: Tensor = lateral(F.relu(norm(level)))
            merged = here if merged is None else here + F.interpolate(merged, size=here.shape[2:])
        return of_map(F.relu(self.last(self.smooth(merged))))

    def layer_groups(self) -> list[list[nn.Parameter]]:
        return [
            parameters_of(self.stem),
            *(parameters_of(stage) for stage in self.stages),
            parameters_of(self.norms, self.laterals, self.smooth, self.last),
        ]
