"""The transformer encoder block that the text and image transformers share."""

import torch.nn.functional as F
from torch import Tensor, nn

from manyways.models.backbones._layers import is_vmapped


class Block(nn.Module):
    """A pre-norm encoder block (Vaswani et al., 2017; Xiong et al., 2020) on [B, L, width].

    heads must divide width; dropout in [0, 1) acts on both residual branches; the hidden layer of the
    perceptron has `ratio` times the width.
    """

    residual = True

    def __init__(self, width: int, heads: int, dropout: float, ratio: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.perceptron = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, ratio * width), nn.GELU(), nn.Linear(ratio * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Tensor:
        """`x` [B, L, width] after one block; `visible` [B, L] is False where no position may attend to."""
        batch, length, width = x.shape
        joint = self.query_key_value(self.attention_norm(x))
        query, key, value = joint.view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mask = None if visible is None else visible[:, None, None, :]
        attended = attention(query, key, value, mask)
        merged = attended.transpose(1, 2).reshape(batch, length, width)
        x = x + self.dropout(self.attention_out(merged))
        deeper: Tensor = self.dropout(self.perceptron(x))
        return x + deeper


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """softmax(query keyᵀ / √D) value, all of [B, heads, L, D].

    The boolean `mask`, broadcast to [B, heads, L, L], is False at the keys left out.
    """
    if not is_vmapped(query):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    # The fused kernel of the CPU has no batching rule: vmap would run it one by one.
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    attended: Tensor = scores.softmax(dim=-1) @ value
    return attended


def heads_for(width: int, features_per_head: int = 32) -> int:
    """The number of heads for a width that is a multiple of `features_per_head`."""
    return max(1, width // features_per_head)
