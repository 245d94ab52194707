"""A transformer over frames of sound."""

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn.functional import gelu

from manyways.data.specs import Spec
from manyways.models.backbones._attention import EncoderBlock, hidden_bias
from manyways.models.backbones._frames import FrameBackbone
from manyways.models.backbones._layers import parameters_of
from manyways.models.backbones.base import scaled_width
from manyways.models.backbones.tokens import Tokens

HEAD_WIDTH = 32
REACH = 7
"""Frames to either side that the convolution sees which says where a frame is: 140 ms."""
GROUPS = 4


class AudioTransformer(FrameBackbone):
    """Frames of log-mel bands, a convolution for their relative positions, and pre-norm blocks of attention.

    The context network of wav2vec 2.0 (Baevski et al. 2020) on frames of spectra. The features of a clip are the mean
    over its frames.
    """

    name: ClassVar[str] = "audio-transformer"
    causal = False

    def __init__(
        self, *, rate: int, mels: int, channels: Sequence[int], dimension: int, depth: int, hidden: int, dropout: float
    ) -> None:
        super().__init__(
            dimension, rate, mels, list(channels), dimension=dimension, depth=depth, hidden=hidden, dropout=dropout
        )
        self.positions = nn.Conv1d(dimension, dimension, 2 * REACH + 1, padding=REACH, groups=GROUPS)
        self.blocks = nn.ModuleList(
            EncoderBlock(dimension, dimension // HEAD_WIDTH, hidden, dropout) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dimension)

    @classmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        dimension = scaled_width(128, size, multiple=HEAD_WIDTH)
        return {
            **super().sized(spec, size),
            "dimension": dimension,
            "depth": max(1, round(3 * size**0.5)),
            "hidden": scaled_width(384, size, multiple=HEAD_WIDTH),
            "dropout": 0.1,
        }

    def context(self, frames: Tokens) -> Tokens:
        mask = frames.mask
        there = frames.features if mask is None else frames.features * mask[..., None]
        hidden: Tensor = frames.features + gelu(self.positions(there.transpose(1, 2)).transpose(1, 2))
        bias = hidden_bias(mask)
        for block in self.blocks:
            hidden = block(hidden, bias)
        return Tokens(self.norm(hidden), mask, frames.grid)

    def context_groups(self) -> list[list[nn.Parameter]]:
        return [
            parameters_of(self.positions),
            *(parameters_of(block) for block in self.blocks),
            parameters_of(self.norm),
        ]
