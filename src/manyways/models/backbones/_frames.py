"""Networks that read sound as frames: each alone at first, then in the context of the others."""

from abc import abstractmethod
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from manyways.data.specs import AudioSpec, Spec
from manyways.models.backbones._layers import BatchNorm, Convolution, channels_last, parameters_of
from manyways.models.backbones._mel import LogMel
from manyways.models.backbones.audio_net import HIGHEST_RATE_FOR_FEW_MELS
from manyways.models.backbones.base import Backbone, require_kind, scaled_width
from manyways.models.backbones.tokens import Tokens

CHANNELS = (32, 64, 64)
"""Of the convolutions over frequency, each of which halves it; the first halves time, too."""
HOPS = 2
"""Log-mel frames, 10 ms apart, from one frame of the encoder to the next."""


class FrameEncoder(nn.Module):
    """Frames of 50 ms, one every 20 ms, [rows, frames, width] of waveforms [rows, samples]: log-mel and convolutions.

    The convolutions go over frequency; only the first sees the neighbours in time, so that little of a frame can be
    told from those beside it.
    """

    def __init__(self, rate: int, mels: int, channels: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.spectrogram = LogMel(rate, mels)
        stages, bands = [], mels
        for at, (inputs, outputs) in enumerate(pairwise([1, *channels])):
            kernel, stride = ((3, 3), (2, HOPS)) if at == 0 else ((3, 1), (2, 1))
            stages.append(nn.Sequential(_convolution(inputs, outputs, kernel, stride), BatchNorm(outputs), nn.ReLU()))
            bands = -(-bands // 2)
        self.stages = nn.ModuleList(stages)
        self.projection = nn.Linear(channels[-1] * bands, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        hidden = channels_last(self.spectrogram(x).unsqueeze(1))
        for stage in self.stages:
            hidden = stage(hidden)
        frames: Tensor = self.norm(self.projection(hidden.flatten(1, 2).transpose(1, 2)))
        return frames

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return self.spectrogram.hop * HOPS


class FrameBackbone(Backbone):
    """A backbone for sound in two parts: `frames`, each of which hears 50 ms, and their `context`.

    Silence that fills a clip up at its end is no frame.
    """

    kinds: ClassVar[tuple[str, ...]] = ("audio",)
    causal: ClassVar[bool]
    """True if the context of a frame is those before it."""

    def __init__(self, width: int, rate: int, mels: int, channels: list[int], **config: Any) -> None:
        super().__init__(width, rate=rate, mels=mels, channels=list(channels), **config)
        self.encoder = FrameEncoder(rate, mels, tuple(channels), width)

    @classmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        audio = require_kind(spec, AudioSpec, cls.name)
        return {
            "name": cls.name,
            "rate": audio.rate,
            "mels": 40 if audio.rate <= HIGHEST_RATE_FOR_FEW_MELS else 64,
            "channels": [scaled_width(width, size) for width in CHANNELS],
        }

    def frames(self, x: Tensor) -> Tokens:
        """The frames of waveforms `x` [rows, samples], each by itself."""
        features = self.encoder(x)
        mask = torch.arange(features.shape[1], device=x.device) < self.counts(x)[:, None]
        return Tokens(features, mask, (features.shape[1],))

    def counts(self, x: Tensor) -> Tensor:
        """The number of frames of each of the waveforms `x` [rows, samples], int64 [rows]."""
        sounding = ((x != 0).flip(1).cumsum(1) > 0).sum(1)
        return sounding // self.encoder.hop + 1

    @abstractmethod
    def context(self, frames: Tokens) -> Tokens:
        """The `frames` in the context of others, as many as wide."""

    def tokens(self, x: Tensor) -> Tokens:
        return self.context(self.frames(x))

    def layer_groups(self) -> list[list[nn.Parameter]]:
        below = [parameters_of(stage) for stage in self.encoder.stages]
        return [*below, parameters_of(self.encoder.projection, self.encoder.norm), *self.context_groups()]

    @abstractmethod
    def context_groups(self) -> list[list[nn.Parameter]]:
        """The parameters of the context, from input to output."""


def _convolution(inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int]) -> nn.Conv2d:
    padding = (kernel[0] // 2, kernel[1] // 2)
    layer = Convolution(inputs, outputs, kernel, stride, padding, bias=False)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return layer
