"""Layers for sentences: embeddings of words by all that is known of each, and dropout that positions share."""

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from manyways.data.encoders._word_features import SURFACE

SLOTS = 1 + SURFACE
"""Numbers of a word: its own, and those of its surface."""
SCALE = 3.0
"""Factor of embeddings: as a step of Adam is as long whatever the gradient, rare words learn so many times as fast."""


class WordBag(nn.Module):
    """The sum of the embeddings of a word and of the features of its surface (Bojanowski et al., TACL 2017)."""

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(vocabulary, width) * 0.1)
        with torch.no_grad():
            self.weight[0] = 0

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings [rows, words, width] of encoded words [rows, words, slots], 0 where there is none."""
        bags = x[:, :, :SLOTS].reshape(-1, SLOTS)
        summed = embedding_bag(bags, self.weight, mode="sum", padding_idx=0)
        return SCALE * summed.view(*x.shape[:2], -1)


def trimmed(x: Tensor) -> tuple[Tensor, Tensor]:
    """Encoded words [rows, words, slots] without the end that is empty in every row, and where there are words."""
    mask = x[:, :, 0] != 0
    length = max(1, int(mask.any(0).sum()))
    return x[:, :length], mask[:, :length]
