"""A perceptron over all pixels of an image."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

from torch import Tensor, nn

from manyways.data.specs import ImageSpec, Spec
from manyways.models.backbones._layers import BatchNorm, parameters_of
from manyways.models.backbones.base import ImageBackbone, require_kind, scaled_width
from manyways.models.backbones.tokens import Tokens, of_whole


class FlatPerceptron(ImageBackbone):
    """Linear layers over the pixels side by side, each with ReLU and, where `normalise`, batch normalisation.

    On images of up to about 30 pixels many of its steps are taken in the time of one of convolutions.
    """

    name: ClassVar[str] = "flat-perceptron"

    def __init__(self, channels: int, pixels: int, widths: Sequence[int], normalise: bool) -> None:
        super().__init__(widths[-1], channels=channels, pixels=pixels, widths=list(widths), normalise=normalise)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Linear(before, after, bias=not normalise), *([BatchNorm(after)] if normalise else []), nn.ReLU()
            )
            for before, after in pairwise([channels * pixels, *widths])
        )

    @classmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        image = require_kind(spec, ImageSpec, cls.name)
        width = scaled_width(400, size)
        return {
            "name": cls.name,
            "channels": image.channels,
            "pixels": image.height * image.width,
            "widths": [width, width],
            "normalise": True,
        }

    def tokens(self, x: Tensor) -> Tokens:
        hidden = self.standardise(x).flatten(1)
        for layer in self.layers:
            hidden = layer(hidden)
        return of_whole(hidden)

    def layer_groups(self) -> list[list[nn.Parameter]]:
        return [parameters_of(layer) for layer in self.layers]
