"""Decoders: from a few latent numbers to the values of a row."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from manyways.data.specs import ImageSpec, TableSpec
from manyways.errors import ModelError
from manyways.models.backbones._layers import BatchNorm, channels_last
from manyways.models.backbones.base import scaled_width

SMALLEST_SIDE = 8
"""The first map of a convolutional decoder has at most so many rows and columns."""


class Decoder(nn.Module):
    """Latent numbers [n, latent] to raw outputs [n, channels, height, width], or [n, width] for rows of a table.

    A subclass has a `name`, found by `rebuild_decoder`, and a `config` of JSON values that its constructor takes.
    """

    name: str
    config: dict[str, Any]


class PerceptronDecoder(Decoder):
    """Linear layers with batch normalisation and ReLU; the last one gives outputs of `shape`."""

    name = "perceptron"

    def __init__(self, latent: int, widths: Sequence[int], shape: Sequence[int]) -> None:
        super().__init__()
        self.config = {"latent": latent, "widths": list(widths), "shape": list(shape)}
        self.shape = tuple(shape)
        hidden = [_normalised(before, after) for before, after in pairwise([latent, *widths])]
        self.layers = nn.Sequential(*hidden, nn.Linear([latent, *widths][-1], int(torch.Size(shape).numel())))

    def forward(self, latent: Tensor) -> Tensor:
        outputs: Tensor = self.layers(latent)
        return outputs.view(len(latent), *self.shape)


class ConvolutionalDecoder(Decoder):
    """Two linear layers to a small map, then stages that double it by convolution and pixel shuffle (Shi et al. 2016).

    sides: height and width of the maps, from the first to that of the images; widths: channels of each, those of the
    outputs last. Batch normalisation and ReLU follow all but the last.
    """

    name = "convolutional"

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

    def forward(self, latent: Tensor) -> Tensor:
        hidden = channels_last(self.spread(self.first(latent)))
        for at, (double, (rows, columns)) in enumerate(zip(self.doublings, self.sides[1:], strict=True)):
            hidden = double(hidden)[:, :, :rows, :columns]
            if at < len(self.between):
                hidden = channels_last(self.between[at](hidden))
        return hidden


def make_decoder(
    spec: ImageSpec | TableSpec, latent: int, outputs: int, *, architecture: str = "convolutional", size: float = 1.0
) -> Decoder:
    """A new decoder for rows like `spec` with `outputs` numbers for each value; tables always have the perceptron."""
    width = scaled_width(400, size)
    if isinstance(spec, TableSpec):
        width = scaled_width(128, size)
        return PerceptronDecoder(latent, [width, width], [spec.width * outputs])
    channels = spec.channels * outputs
    if architecture == "perceptron":
        return PerceptronDecoder(latent, [width, width], [channels, spec.height, spec.width])
    sides = [(spec.height, spec.width)]
    while len(sides) < 2 or max(sides[0]) > SMALLEST_SIDE:
        sides.insert(0, (-(-sides[0][0] // 2), -(-sides[0][1] // 2)))
    widths = [scaled_width(16 * 2 ** min(at, 4), size) for at in range(len(sides) - 1)][::-1]
    return ConvolutionalDecoder(latent, scaled_width(256, size), [*widths, channels], sides)


def rebuild_decoder(saved: Mapping[str, Any]) -> Decoder:
    """The decoder that `{"name": …, **config}` describes, with random weights. Raises ModelError where it cannot be."""
    kinds: dict[str, type[Decoder]] = {kind.name: kind for kind in (PerceptronDecoder, ConvolutionalDecoder)}
    config = {key: value for key, value in saved.items() if key != "name"}
    try:
        return kinds[saved["name"]](**config)
    except (KeyError, TypeError) as error:
        raise ModelError(f"The saved description of the decoder is damaged: {error!r}.") from error


def _normalised(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(before, after, bias=False), BatchNorm(after), nn.ReLU())
