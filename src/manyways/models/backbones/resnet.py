"""A wide residual network with pre-activation."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from manyways.data.specs import ImageSpec, Spec
from manyways.models.backbones._layers import BatchNorm, channels_last, conv, parameters_of
from manyways.models.backbones.base import ImageBackbone, require_kind, scaled_width
from manyways.models.backbones.tokens import Tokens, of_map


class ResNet(ImageBackbone):
    """Residual stages of pre-activation blocks (He et al., 2016; Zagoruyko & Komodakis, 2016).

    stem: channels and stride of the first convolution (a stride of 4 is 2, then 2x2 max pooling);
    widths: channels of each stage, all but the first of which halve the resolution; blocks: number per stage.
    """

    name: ClassVar[str] = "resnet"

    def __init__(self, channels: int, stem_width: int, stem_stride: int, widths: Sequence[int], blocks: int) -> None:
        super().__init__(
            widths[-1],
            channels=channels,
            stem_width=stem_width,
            stem_stride=stem_stride,
            widths=list(widths),
            blocks=blocks,
        )
        self.stem = nn.Sequential(
            conv(channels, stem_width, stride=min(stem_stride, 2)),
            *([nn.MaxPool2d(2)] if stem_stride == 4 else []),
        )
        self.blocks = nn.ModuleList(
            Block(before if index == 0 else after, after, stride=2 if index == 0 and stage > 0 else 1)
            for stage, (before, after) in enumerate(pairwise([stem_width, *widths]))
            for index in range(blocks)
        )
        self.norm = BatchNorm(widths[-1])

    @classmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        image = require_kind(spec, ImageSpec, cls.name)
        side = max(image.height, image.width)
        stem_stride = 1 if side <= 40 else 2 if side <= 96 else 4
        stages = 3 if side / stem_stride <= 48 else 4
        return {
            "name": cls.name,
            "channels": image.channels,
            "stem_width": scaled_width(16, size),
            "stem_stride": stem_stride,
            "widths": [scaled_width(32 * 2**stage, size) for stage in range(stages)],
            "blocks": max(1, round(size)),
        }

    def tokens(self, x: Tensor) -> Tokens:
        hidden = self.stem(channels_last(self.standardise(x)))
        for block in self.blocks:
            hidden = block(hidden)
        return of_map(F.relu(self.norm(hidden)))

    def layer_groups(self) -> list[list[nn.Parameter]]:
        return [
            parameters_of(self.stem),
            *(parameters_of(block) for block in self.blocks),
            parameters_of(self.norm),
        ]


class Block(nn.Module):
    """Two 3x3 convolutions, each after normalisation and ReLU; a 1x1 shortcut where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first_norm = BatchNorm(inputs)
        self.first = conv(inputs, outputs, stride=stride)
        self.second_norm = BatchNorm(outputs)
        self.second = conv(outputs, outputs)
        same = inputs == outputs and stride == 1
        self.residual = same
        self.shortcut = None if same else conv(inputs, outputs, kernel=1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.first_norm(x))
        shortcut = x if self.shortcut is None else self.shortcut(active)
        hidden: Tensor = self.second(F.relu(self.second_norm(self.first(active))))
        return hidden + shortcut
