"""Weak and strong views of batches of sentences."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from manyways.data.encoders._word_features import SURFACE
from manyways.data.encoders.words import MASKED, NOTHING, UNKNOWN, WordsSpec
from manyways.data.views.base import View
from manyways.data.views.ranges import require_range

SLOTS = 1 + SURFACE


@dataclass(frozen=True)
class WordsWeak(View):
    """Word dropout (Iyyer et al. 2015): some words are not known, but for their surface.

    forget: probability that a word is taken for one that is not known, in [0, 1]. Its affixes, its shape, its trigrams
        and the sub-words of a checkpoint stay.
    """

    name: ClassVar = "words-weak"
    spec: WordsSpec
    forget: float = 0.15

    def __post_init__(self) -> None:
        require_range(self, 0, 1, "forget")

    def __call__(self, batch: Tensor, rng: torch.Generator) -> Tensor:
        chosen = _some(batch, self.forget, rng)
        return torch.cat([torch.where(chosen, UNKNOWN, batch[:, :, :1]), batch[:, :, 1:]], dim=2)


@dataclass(frozen=True)
class WordsStrong(View):
    """Word dropout, and words that are hidden whole, as in masked language models.

    forget: as in the weak view, in [0, 1].
    hide: probability that a word is hidden, in [0, 1]: neither it, nor its surface, nor its sub-words are seen.
    """

    name: ClassVar = "words-strong"
    spec: WordsSpec
    forget: float = 0.3
    hide: float = 0.15

    def __post_init__(self) -> None:
        require_range(self, 0, 1, "forget", "hide")

    def __call__(self, batch: Tensor, rng: torch.Generator) -> Tensor:
        seen = WordsWeak(self.spec, self.forget)(batch, rng)
        hidden = torch.zeros_like(seen[0, 0])
        hidden[0] = MASKED
        if self.spec.pieces:
            hidden[SLOTS] = 1 + self.spec.mask
        return torch.where(_some(batch, self.hide, rng), hidden, seen)


def _some(batch: Tensor, probability: float, rng: torch.Generator) -> Tensor:
    """True for some of the words, [rows, words, 1]."""
    drawn = torch.rand(*batch.shape[:2], 1, generator=rng, device=rng.device).to(batch.device)
    return (drawn < probability) & (batch[:, :, :1] != NOTHING)
