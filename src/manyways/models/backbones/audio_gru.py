"""A recurrent network over frames of sound."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from manyways.data.specs import Spec
from manyways.models.backbones._frames import FrameBackbone
from manyways.models.backbones._layers import parameters_of
from manyways.models.backbones.base import scaled_width
from manyways.models.backbones.tokens import Tokens


class AudioGRU(FrameBackbone):
    """Frames of log-mel bands, and a GRU that goes over them (Cho et al. 2014): each knows those before it.

    The features of a clip are the mean over its frames.
    """

    name: ClassVar[str] = "audio-gru"
    causal = True
    vectorises = False

    def __init__(self, *, rate: int, mels: int, channels: Sequence[int], width: int) -> None:
        super().__init__(width, rate, mels, list(channels))
        self.config["width"] = width
        self.gru = nn.GRU(width, width, batch_first=True)

    @classmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        return {**super().sized(spec, size), "width": scaled_width(128, size)}

    def context(self, frames: Tokens) -> Tokens:
        with torch.autocast(frames.features.device.type, enabled=False):
            hidden: Tensor = self.gru(frames.features.to(self.encoder.projection.weight.dtype))[0]
        return Tokens(hidden, frames.mask, frames.grid)

    def context_groups(self) -> list[list[nn.Parameter]]:
        return [parameters_of(self.gru)]
