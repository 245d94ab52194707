"""Attention implementations of our own: masks of packed sequences for any network, and a faster backward pass."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

NAME, EAGER = "manyways", "manyways-eager"
"""The names that transformers finds them by: in place of `sdpa`, and of an architecture's own `eager` attention."""
LARGEST = 1 << 26
"""Scores held at once; beyond, the fused kernel, which holds none."""

_packed: ContextVar[tuple[Tensor, Tensor] | None] = ContextVar("packed", default=None)
"""The mask within sequences [lines, 1, length, length], and the positions in them [lines, length]."""


def use_own_attention(network: Any) -> None:
    """Let `network`, a transformers model, attend through this module, if its attention can be chosen.

    What it computes stays the same but for rounding. Nothing of it is saved.
    """
    own = {"sdpa": NAME, "eager": EAGER}.get(network.config._attn_implementation)
    if own is not None and network._can_set_attn_implementation():
        _register()
        network.set_attn_implementation(own)


@contextmanager
def packed_attention(mask: Tensor, positions: Tensor) -> Iterator[None]:
    """Let networks that are called in this context attend within the sequences that share a line.

    Args:
        mask: bool [lines, 1, length, length].
        positions: Positions of the tokens in their sequences, int64 [lines, length].
    """
    token = _packed.set((mask, positions))
    try:
        yield
    finally:
        _packed.reset(token)


def attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None,
    scaling: float | None = None, dropout: float = 0.0, is_causal: bool | None = None, **more: Any,
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
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, is_causal=is_causal, **more
        )
        return output, None
    query, key, value = (each.to(torch.bfloat16) for each in (query, key, value))
    groups = query.shape[1] // key.shape[1]
    key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    logits = (query * (scaling if scaling is not None else query.shape[-1] ** -0.5)) @ key.transpose(-1, -2)
    if attention_mask is None:
        if getattr(module, "is_causal", True) if is_causal is None else is_causal:
            logits = logits + causal(query.shape[2], key.shape[2])
    elif attention_mask.dtype == torch.bool:
        logits = logits.masked_fill(~attention_mask, float("-inf"))
    else:
        logits = logits + attention_mask
    shares = logits.softmax(-1)
    if attention_mask is not None and attention_mask.dtype == torch.bool:
        shares = shares.nan_to_num()  # padding sees nothing at all
    return (shares @ value).transpose(1, 2).contiguous(), None


def eager_attention(module: nn.Module, *inputs: Any, **options: Any) -> Any:
    """The attention that the file of `module`'s architecture writes out, with its sinks, soft caps and biases."""
    import sys

    own: Callable[..., Any] = vars(sys.modules[type(module).__module__])["eager_attention_forward"]
    return own(module, *inputs, **options)


def boolean_mask(*, mask_function: Callable[..., Any], **shape: Any) -> Tensor | None:
    """Mask of the tokens that each attends to, bool [lines, 1, queries, keys], as transformers' mask for `sdpa`.

    mask_function: of (line, head, query, key) gives a layer's own pattern: causal, a sliding window, a chunk. Of packed
    sequences it is asked with positions in the sequence in place of places in the line, and holds within a sequence.
    """
    from transformers.masking_utils import sdpa_mask

    packed = _packed.get()
    if packed is None:
        mask: Tensor | None = sdpa_mask(mask_function=mask_function, **shape)
        return mask
    within, positions = packed
    lines, heads = torch.arange(len(positions), device=positions.device), positions.new_zeros(1)
    pattern: Tensor = mask_function(
        lines[:, None, None, None], heads[None, :, None, None], positions[:, None, :, None],
        positions[:, None, None, :],
    )  # fmt: skip
    return within & pattern


def additive_mask(*, dtype: torch.dtype = torch.float32, **shape: Any) -> Tensor | None:
    """`boolean_mask` as what eager attention adds to its scores: 0 where a token attends, else the least number."""
    from transformers.masking_utils import eager_mask

    if _packed.get() is None:
        mask: Tensor | None = eager_mask(dtype=dtype, **shape)
        return mask
    attends = boolean_mask(**shape)
    assert attends is not None
    return torch.zeros_like(attends, dtype=dtype).masked_fill(~attends, torch.finfo(dtype).min)


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

    AttentionInterface.register(NAME, attention)
    AttentionInterface.register(EAGER, eager_attention)
    AttentionMaskInterface.register(NAME, boolean_mask)
    AttentionMaskInterface.register(EAGER, additive_mask)
