"""Decoders: from a few latent numbers to the values of a row."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from manyways.data.specs import ImageSpec, TableSpec
from manyways.errors import ParameterError
from manyways.models.backbones._layers import BatchNorm, channels_last
from manyways.models.backbones.base import scaled_width
from manyways.registry import Classes

SMALLEST_SIDE = 8
"""The first map of a convolutional decoder has at most so many rows and columns."""


class Decoder(nn.Module):
    """Latent numbers [n, latent] to raw outputs [n, channels, height, width], or [n, width] for rows of a table.

    A subclass has a `name`, found in `DECODERS`, and a `config` of JSON values that its constructor takes.
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]] = ("image", "table")
    """The kinds of `Spec` whose rows it makes."""
    config: dict[str, Any]

    @classmethod
    def for_spec(cls, spec: ImageSpec | TableSpec, latent: int, outputs: int, size: float) -> "Decoder":
        """A new decoder for rows like `spec`, with `outputs` numbers for each value; `size` multiplies the widths."""
        raise NotImplementedError


DECODERS: Classes[Decoder] = Classes("decoders", Decoder, "manyways.models.generative.decoders")
"""Decoders by their names: those of this file, and of the entry-point group `manyways.decoders`."""


class PerceptronDecoder(Decoder):
    """Linear layers with batch normalisation and ReLU; the last one gives outputs of `shape`."""

    name = "perceptron"

    def __init__(self, latent: int, widths: Sequence[int], shape: Sequence[int]) -> None:
        super().__init__()
        self.config = {"latent": latent, "widths": list(widths), "shape": list(shape)}
        self.shape = tuple(shape)
        hidden = [_normalised(before, after) for before, after in pairwise([latent, *widths])]
        self.layers = nn.Sequential(*hidden, nn.Linear([latent, *widths][-1], int(torch.Size(shape).numel())))

    @classmethod
    def for_spec(cls, spec: ImageSpec | TableSpec, latent: int, outputs: int, size: float) -> "PerceptronDecoder":
        if isinstance(spec, TableSpec):
            width = scaled_width(128, size)
            return cls(latent, [width, width], [spec.width * outputs])
        width = scaled_width(400, size)
        return cls(latent, [width, width], [spec.channels * outputs, spec.height, spec.width])

    def forward(self, latent: Tensor) -> Tensor:
        outputs: Tensor = self.layers(latent)
        return outputs.view(len(latent), *self.shape)


class ConvolutionalDecoder(Decoder):
    """Two linear layers to a small map, then stages that double it by convolution and pixel shuffle (Shi et al. 2016).

    sides: height and width of the maps, from the first to that of the images; widths: channels of each, those of the
    outputs last. Batch normalisation and ReLU follow all but the last.
    """

    name = "convolutional"
    kinds = ("image",)

    def __init__(self, latent: int, hidden: int, widths: Sequence[int], sides: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.config = {
            "latent": latent, "hidden": hidden, "widths": list(widths), "sides": [list(side) for side in sides],
        }  # fmt: skip
        self.sides = [(rows, columns) for rows, columns in sides]
        rows, columns = self.sides[0]
        self.first = _normalised(latent, hidden)
        self.spread = nn.Sequential(
            nn.Linear(hidden, widths[0] * rows * columns, bias=False),
            nn.Unflatten(1, (widths[0], rows, columns)),
            BatchNorm(widths[0]),
            nn.ReLU(),
        )
        self.doublings = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, 4 * after, 3, padding=1), nn.PixelShuffle(2))
            for before, after in pairwise(widths)
        )
        self.between = nn.ModuleList(nn.Sequential(BatchNorm(width), nn.ReLU()) for width in widths[1:-1])

    @classmethod
    def for_spec(cls, spec: ImageSpec | TableSpec, latent: int, outputs: int, size: float) -> "ConvolutionalDecoder":
        if isinstance(spec, TableSpec):
            raise ParameterError("The convolutional decoder makes images; rows of a table take decoder='perceptron'.")
        sides = [(spec.height, spec.width)]
        while len(sides) < 2 or max(sides[0]) > SMALLEST_SIDE:
            sides.insert(0, (-(-sides[0][0] // 2), -(-sides[0][1] // 2)))
        widths = [scaled_width(16 * 2 ** min(at, 4), size) for at in range(len(sides) - 1)][::-1]
        return cls(latent, scaled_width(256, size), [*widths, spec.channels * outputs], sides)

    def forward(self, latent: Tensor) -> Tensor:
        hidden = channels_last(self.spread(self.first(latent)))
        for at, (double, (rows, columns)) in enumerate(zip(self.doublings, self.sides[1:], strict=True)):
            hidden = double(hidden)[:, :, :rows, :columns]
            if at < len(self.between):
                hidden = channels_last(self.between[at](hidden))
        return hidden


def make_decoder(
    spec: ImageSpec | TableSpec, latent: int, outputs: int, *, architecture: str = "auto", size: float = 1.0
) -> Decoder:
    """A new decoder for rows like `spec` with `outputs` numbers for each value.

    Args:
        spec: The rows.
        latent: Latent numbers of a row.
        outputs: Raw outputs for each value.
        architecture: A name in `DECODERS`; "auto", and one that does not make such rows, is the kind's own:
            convolutional for images, a perceptron for tables.
        size: Multiplies the widths, > 0.
    """
    usual = "convolutional" if isinstance(spec, ImageSpec) else "perceptron"
    kind = DECODERS.find(usual if architecture == "auto" else architecture)
    return (kind if spec.kind in kind.kinds else DECODERS.find(usual)).for_spec(spec, latent, outputs, size)


def _normalised(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(before, after, bias=False), BatchNorm(after), nn.ReLU())
