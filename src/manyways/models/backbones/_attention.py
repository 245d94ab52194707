"""The layers of a transformer for sequences (Vaswani et al., 2017), pre-norm, in a form that a CPU runs fast.

Scores, softmax (in float32) and their product with the values are plain products: of short sequences the fused kernel
spends more time, above all in its backward pass. A dropout mask is shared by the positions of a row (Gal & Ghahramani,
2016): drawing one for each position takes as long as a product of matrices.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from manyways.models.backbones._layers import SharedDropout

HIDDEN = -1e9
"""Added to the scores of positions that are not there: their weights are exactly 0 beside any others."""


class SelfAttention(nn.Module):
    """Multi-head attention of positions [rows, positions, width] over each other."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """`x` after attention; `bias`, broadcast to [rows, heads, positions, positions], is added to the scores."""
        query, key, value = self.parts(x)
        return self.merged(attended(query, key, value, bias))

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values [rows, heads, positions, width of a head]."""
        rows, positions, _ = x.shape
        joint = self.query_key_value(x).view(rows, positions, 3, self.heads, -1)
        query, key, value = joint.permute(2, 0, 3, 1, 4).contiguous().unbind(0)
        return query, key, value

    def merged(self, heads: Tensor) -> Tensor:
        """The sums of the heads [rows, heads, positions, width of a head] as features [rows, positions, width]."""
        merged: Tensor = self.out(heads.transpose(1, 2).flatten(2))
        return merged


class CrossAttention(nn.Module):
    """Multi-head attention of positions [rows, positions, width] over a memory [rows, tokens, width]."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def keys(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values [rows, heads, tokens, width of a head] of a memory, for any number of queries."""
        rows, tokens, _ = memory.shape
        joint = self.key_value(memory).view(rows, tokens, 2, self.heads, -1)
        key, value = joint.permute(2, 0, 3, 1, 4).contiguous().unbind(0)
        return key, value

    def forward(self, x: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
        """`x` [rows, positions, width] after attention over keys and values, `bias` added to the scores."""
        rows, positions, _ = x.shape
        query = self.query(x).view(rows, positions, self.heads, -1).transpose(1, 2).contiguous()
        merged: Tensor = self.out(attended(query, key, value, bias).transpose(1, 2).flatten(2))
        return merged


class FeedForward(nn.Module):
    """A perceptron with one hidden layer, at each position."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(relu(self.up(x)))
        return out


class EncoderBlock(nn.Module):
    """Self-attention and a perceptron, each behind a layer norm and on a residual branch (Xiong et al., 2020)."""

    def __init__(self, width: int, heads: int, hidden: int, share: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.perceptron_norm = nn.LayerNorm(width)
        self.perceptron = FeedForward(width, hidden)
        self.dropout = SharedDropout(share)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """`x` [rows, positions, width] after one block."""
        x = x + self.dropout(self.attention(self.attention_norm(x), bias))
        deeper: Tensor = self.dropout(self.perceptron(self.perceptron_norm(x)))
        return x + deeper


def attended(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
    """softmax(query keyᵀ / √D + bias) value, all of [rows, heads, positions, D]."""
    scores = query @ key.transpose(-2, -1)
    # Of short sequences there are fewer scores than features, so that it is they that are scaled.
    scores = (
        scores * query.shape[-1] ** -0.5 if bias is None else torch.add(bias, scores, alpha=query.shape[-1] ** -0.5)
    )
    weights = scores.softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32))
    merged: Tensor = weights.to(value.dtype) @ value
    return merged


def hidden_bias(mask: Tensor | None) -> Tensor | None:
    """The bias of scores over tokens, [rows, 1, 1, tokens]: hidden where `mask` [rows, tokens] is False."""
    if mask is None:
        return None
    return torch.zeros(mask.shape, device=mask.device).masked_fill(~mask, HIDDEN)[:, None, None]


def causal_bias(positions: int, device: torch.device) -> Tensor:
    """The bias of scores of positions over each other, [positions, positions]: hidden are those behind."""
    return torch.full((positions, positions), HIDDEN, device=device).triu(1)


def sinusoids(positions: int, width: int, start: int = 0, device: torch.device | None = None) -> Tensor:
    """Sines and cosines of positions [positions, width] (Vaswani et al., 2017), counted from `start`."""
    half = (width + 1) // 2
    rates = torch.exp(torch.arange(half, device=device) * (-math.log(10_000.0) / max(1, half - 1)))
    angles = torch.arange(start, start + positions, device=device)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)[:, :width]
