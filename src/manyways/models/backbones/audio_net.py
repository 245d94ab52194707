"""A convolutional network over log-mel spectrograms."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

from torch import Tensor, nn

from manyways.data.specs import AudioSpec, Spec
from manyways.models.backbones._layers import BatchNorm, channels_last, conv, parameters_of
from manyways.models.backbones._mel import LogMel
from manyways.models.backbones.base import Backbone, require_kind, scaled_width
from manyways.models.backbones.tokens import Tokens

HIGHEST_RATE_FOR_FEW_MELS = 11_025
"""Up to this rate 40 mel bands; more would be narrower than the bins of the Fourier transform."""


class AudioNet(Backbone):
    """Log-mel bands over time, convolutions that halve both, then the mean over time.

    Reads mono waveforms [B, T], int16 or float in [-1, 1], at `rate` samples per second. Frequency is kept
    apart in the features, since a pattern at another pitch is another sound.
    """

    name: ClassVar[str] = "audio-net"
    kinds: ClassVar[tuple[str, ...]] = ("audio",)

    def __init__(self, rate: int, mels: int, widths: Sequence[int]) -> None:
        bands = mels
        for _ in widths:
            bands = -(-bands // 2)
        super().__init__(widths[-1] * bands, rate=rate, mels=mels, widths=list(widths))
        self.spectrogram = LogMel(rate, mels)
        self.stages = nn.ModuleList(
            nn.Sequential(conv(inputs, outputs, stride=2), BatchNorm(outputs), nn.ReLU())
            for inputs, outputs in pairwise([1, *widths])
        )

    @classmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        audio = require_kind(spec, AudioSpec, cls.name)
        return {
            "name": cls.name,
            "rate": audio.rate,
            "mels": 40 if audio.rate <= HIGHEST_RATE_FOR_FEW_MELS else 64,
            "widths": [scaled_width(width, size) for width in (32, 64, 64, 96)],
        }

    def tokens(self, x: Tensor) -> Tokens:
        hidden = channels_last(self.spectrogram(x).unsqueeze(1))
        for stage in self.stages:
            hidden = stage(hidden)
        return Tokens(hidden.flatten(1, 2).transpose(1, 2), None, (hidden.shape[3],))

    def layer_groups(self) -> list[list[nn.Parameter]]:
        return [parameters_of(stage) for stage in self.stages]
