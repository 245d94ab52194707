"""A small stack of convolutions for images up to about 40 pixels."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from manyways.data.specs import ImageSpec, Spec
from manyways.models.backbones._layers import BatchNorm, channels_last, conv, parameters_of
from manyways.models.backbones.base import ImageBackbone, require_kind, scaled_width


class ConvNet(ImageBackbone):
    """Convolution, batch normalisation and ReLU, once per entry of `widths`, then global average pooling.

    widths: channels after each convolution; strides: 1 or 2 for each; pool: 2x2 max pooling after each or not.
    Raises ValueError when the three differ in length.
    """

    name: ClassVar[str] = "convnet"

    def __init__(
        self, channels: int, widths: Sequence[int], strides: Sequence[int], pool: Sequence[bool]
    ) -> None:
        super().__init__(
            widths[-1], channels=channels, widths=list(widths), strides=list(strides), pool=list(pool)
        )
        sizes = pairwise([channels, *widths])
        self.stages = nn.ModuleList(
            nn.Sequential(
                conv(inputs, outputs, stride=stride),
                *([nn.MaxPool2d(2)] if pooled else []),
                BatchNorm(outputs),
                nn.ReLU(),
            )
            for (inputs, outputs), stride, pooled in zip(sizes, strides, pool, strict=True)
        )

    @classmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        image = require_kind(spec, ImageSpec, cls.name)
        side = min(image.height, image.width)
        widths, strides = [scaled_width(32, size)], [2 if side > 14 else 1]
        side //= strides[0]
        while side > 4 or len(widths) < 3:
            stride = 2 if side > 4 else 1
            side = -(-side // stride)
            strides.append(stride)
            widths.append(scaled_width(32 * 2 ** min(len(widths), 3), size))
        return {
            "name": cls.name,
            "channels": image.channels,
            "widths": widths,
            "strides": strides,
            "pool": [False] * len(widths),
        }

    def forward(self, x: Tensor) -> Tensor:
        hidden = channels_last(self.standardise(x))
        for stage in self.stages:
            hidden = stage(hidden)
        return torch.mean(hidden, dim=(2, 3))

    def layer_groups(self) -> list[list[nn.Parameter]]:
        return [parameters_of(stage) for stage in self.stages]
