"""Attention as fast as the processor allows, under the name that transformers finds it by."""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

NAME = "manyways"
LARGEST = 1 << 26
"""Scores held at once; beyond, the fused kernel, which holds none."""


def use_fast_attention(network: Any) -> None:
    """Let `network`, a transformers model, attend by `attention`. Nothing of it is saved."""
    if network.config._attn_implementation == "sdpa":
        _register()
        network.set_attn_implementation(NAME)


def attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None,
    scaling: float | None = None, dropout: float = 0.0, **more: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """softmax(q kᵀ · scaling) v; query [B, heads, T, width], others may have fewer heads; gives [B, T, heads, width].

    In bfloat16 on a CPU the fused kernel's backward pass is slower than plain products: 0.58 of their speed at 256
    tokens on AVX-512; everywhere else it is the faster one.
    """
    from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward

    scores = query.shape[0] * query.shape[1] * query.shape[2] * key.shape[2]
    plain = query.device.type == "cpu" and query.requires_grad and scores <= LARGEST and _in_bfloat16(query)
    if not plain or dropout:
        output, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **more
        )
        return output, None
    query, key, value = (each.to(torch.bfloat16) for each in (query, key, value))
    groups = query.shape[1] // key.shape[1]
    key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    logits = (query * (scaling if scaling is not None else query.shape[-1] ** -0.5)) @ key.transpose(-1, -2)
    if attention_mask is None:
        seen = causal(query.shape[2], key.shape[2])
        logits = logits + seen
    elif attention_mask.dtype == torch.bool:
        logits = logits.masked_fill(~attention_mask, float("-inf"))
    else:
        logits = logits + attention_mask
    shares = logits.softmax(-1)
    if attention_mask is not None and attention_mask.dtype == torch.bool:
        shares = shares.nan_to_num()  # padding sees nothing at all
    return (shares @ value).transpose(1, 2).contiguous(), None


def _in_bfloat16(query: Tensor) -> bool:
    asked = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    return asked or query.dtype == torch.bfloat16


@cache
def causal(queries: int, keys: int) -> Tensor:
    """0 where a token sees another, -inf where that comes later, bfloat16 [queries, keys]."""
    return torch.full((queries, keys), float("-inf"), dtype=torch.bfloat16).triu(1 + keys - queries)


@cache
def _register() -> None:
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
