"""Views of batches of questions and texts."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from manyways.data.encoders.pair import PairSpec
from manyways.data.views.base import View
from manyways.data.views.ranges import require_range


@dataclass(frozen=True)
class PairWeak(View):
    """A few tokens hidden, of the question and of the text.

    mask: share of the tokens, in [0, 1].
    Takes and gives int64 [B, question + text, 3]; where tokens stand remains.
    """

    name: ClassVar = "pair-weak"
    spec: PairSpec
    mask: float = 0.02

    def __post_init__(self) -> None:
        require_range(self, 0, 1, "mask")

    def __call__(self, batch: Tensor, rng: torch.Generator) -> Tensor:
        drawn = torch.rand(batch.shape[:2], generator=rng, device=rng.device).to(batch.device) < self.mask
        seen = batch.clone()
        seen[..., 0] = torch.where(drawn & (batch[..., 0] >= 0), self.spec.text.mask, batch[..., 0])
        return seen
