"""Four equal convolutions down to one vector: the network that few-shot learning is measured with."""

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from manyways.data.specs import ImageSpec, Spec
from manyways.models.backbones._layers import BatchNorm, channels_last, conv, parameters_of
from manyways.models.backbones.base import ImageBackbone, require_kind, scaled_width
from manyways.models.backbones.tokens import Tokens, map_of, of_map

STAGES = 4
WIDTH = 64


class Conv4(ImageBackbone):
    """Stages of 3x3 convolution, batch normalisation, ReLU and 2x2 max pooling (Vinyals et al. 2016).

    widths: channels after each stage. The features are the last map, which at 28 pixels is one place: [B, widths[-1]].
    A map is halved, rounded down, while it has two rows and two columns.
    """

    name: ClassVar[str] = "conv4"

    def __init__(self, channels: int, height: int, width: int, widths: Sequence[int]) -> None:
        places, pooled = (height, width), []
        for _ in widths:
            pooled.append(min(places) > 1)
            places = self.halved(*places) if pooled[-1] else places
        super().__init__(
            self.features_of(widths[-1], *places), channels=channels, height=height, width=width, widths=list(widths)
        )
        sides = [channels, *widths]
        self.stages = nn.ModuleList(
            self.stage(inputs, outputs, halve)
            for inputs, outputs, halve in zip(sides[:-1], sides[1:], pooled, strict=True)
        )

    @staticmethod
    def halved(height: int, width: int) -> tuple[int, int]:
        """Rows and columns after a stage."""
        return height // 2, width // 2

    @staticmethod
    def features_of(channels: int, height: int, width: int) -> int:
        """Features of a last map of so many channels, rows and columns."""
        return channels * height * width

    @staticmethod
    def stage(inputs: int, outputs: int, halve: bool) -> nn.Sequential:
        """One of the four."""
        # The largest is the same before ReLU and after it; a quarter of the numbers then goes through it.
        pool = [nn.MaxPool2d(2)] if halve else []
        return nn.Sequential(conv(inputs, outputs), BatchNorm(outputs), *pool, nn.ReLU())

    @classmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        image = require_kind(spec, ImageSpec, cls.name)
        return {
            "name": cls.name,
            "channels": image.channels,
            "height": image.height,
            "width": image.width,
            "widths": [scaled_width(WIDTH, size)] * STAGES,
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
        return map_of(tokens).flatten(1)

    def layer_groups(self) -> list[list[nn.Parameter]]:
        return [parameters_of(stage) for stage in self.stages]


class StridedConv4(Conv4):
    """Stages of 3x3 convolution with stride 2, batch normalisation and ReLU, and the mean over places at the end.

    What MAML's authors take for Omniglot (Finn et al. 2017): a quarter of the operations of max pooling.
    """

    name: ClassVar[str] = "conv4-strided"

    @staticmethod
    def halved(height: int, width: int) -> tuple[int, int]:
        return (height + 1) // 2, (width + 1) // 2

    @staticmethod
    def features_of(channels: int, height: int, width: int) -> int:
        return channels

    @staticmethod
    def stage(inputs: int, outputs: int, halve: bool) -> nn.Sequential:
        return nn.Sequential(conv(inputs, outputs, stride=2 if halve else 1), BatchNorm(outputs), nn.ReLU())

    def pool(self, tokens: Tokens) -> Tensor:
        return tokens.mean()
