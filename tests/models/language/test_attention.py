"""Attention in plain products: what the fused kernel says, where it is used, and what it leaves alone."""

from typing import Any

import pytest
import torch

from manyways.models.language.attention import NAME, attention, use_own_attention


def causal_and_gapped(rows: int, length: int) -> torch.Tensor:
    """A causal mask in which the second row's first two tokens are padding."""
    mask = torch.ones(length, length, dtype=torch.bool).tril().repeat(rows, 1, 1, 1)
    mask[1, :, :, :2] = False
    return mask


@pytest.mark.parametrize("mask", [None, causal_and_gapped(2, 6)])
def test_it_is_scaled_dot_product_attention(mask: torch.Tensor | None) -> None:
    """Two heads of keys under four of queries; in bfloat16, which holds three digits."""
    torch.manual_seed(0)
    query = torch.randn(2, 4, 6, 8, requires_grad=True)
    key, value = torch.randn(2, 2, 2, 6, 8, requires_grad=True).unbind()
    module = torch.nn.Module()
    module.num_key_value_groups = 2
    with torch.autocast("cpu", torch.bfloat16):
        mine, _ = attention(module, query, key, value, mask)
    expected = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=mask is None, enable_gqa=True
    ).transpose(1, 2)
    if mask is not None:
        mine, expected = mine[:, 2:], expected[:, 2:]
    assert mine.dtype == torch.bfloat16
    torch.testing.assert_close(mine.float(), expected, rtol=0.03, atol=0.03)
    weights = torch.randn_like(expected)
    ours, theirs = (torch.autograd.grad((out.float() * weights).sum(), query)[0] for out in (mine, expected))
    torch.testing.assert_close(ours, theirs, rtol=0.05, atol=0.05)


def test_padding_that_sees_nothing_gives_no_nan() -> None:
    query = torch.randn(1, 1, 3, 4, requires_grad=True)
    mask = torch.tensor([[[[False, False, False], [False, True, False], [False, True, True]]]])
    with torch.autocast("cpu", torch.bfloat16):
        out, _ = attention(torch.nn.Module(), query, query, query, mask)
    assert bool(out.isfinite().all())
    (gradient,) = torch.autograd.grad(out.float().sum(), query)
    assert bool(gradient.isfinite().all())


def test_a_network_says_the_same_and_saves_nothing_of_it(causal: Any, tmp_path: Any) -> None:
    import copy

    network = copy.deepcopy(causal)
    ids = torch.arange(5, 25)[None]
    before = network(input_ids=ids).logits
    use_own_attention(network)
    assert network.config._attn_implementation == NAME
    torch.testing.assert_close(network(input_ids=ids).logits, before, rtol=1e-5, atol=1e-5)
    network.save_pretrained(tmp_path)
    assert NAME not in (tmp_path / "config.json").read_text()
