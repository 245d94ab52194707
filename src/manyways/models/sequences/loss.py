"""Cross-entropy with label smoothing over large vocabularies, of real tokens alone."""

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd import Function

from manyways.models.backbones._layers import is_transformed


def token_losses(hidden: Tensor, weight: Tensor, bias: Tensor, tokens: Tensor, smoothing: float = 0.0) -> Tensor:
    """The cross-entropy [positions] of logits `hidden` weightᵀ + bias against `tokens`, in float32.

    With label smoothing (Szegedy et al., 2016) a share of the target is spread over the whole vocabulary. Where nothing
    is differentiated twice, the logits are written once and their gradient takes their place.

    Args:
        hidden: Hidden states [positions, width].
        weight: Output embeddings [vocabulary, width].
        bias: Of the outputs, [vocabulary].
        tokens: The right ones, int64 [positions].
        smoothing: The share that is spread.
    """
    if is_transformed():
        logits = torch.nn.functional.linear(hidden, weight, bias).float()
        return torch.nn.functional.cross_entropy(logits, tokens, reduction="none", label_smoothing=smoothing)
    return cast("Tensor", _TokenLosses.apply(hidden, weight, bias, tokens, smoothing))  # type: ignore[no-untyped-call]


class _TokenLosses(Function):
    """log Σ exp logits − (1 − ε) logit of the token − ε mean logit, whose gradient is made in the logits' place."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, tokens: Tensor, smoothing: float) -> Tensor:
        # Under autocast the product is in its precision, as those of layers are.
        logits = torch.nn.functional.linear(hidden, weight, bias).float()
        at = torch.arange(len(tokens), device=tokens.device)
        right = logits[at, tokens]
        # The mean logit is that of the mean embedding: no second walk over all logits, nor in the gradient.
        mean = hidden.float() @ weight.float().mean(0) + bias.float().mean() if smoothing else torch.zeros_like(right)
        most = logits.amax(1, keepdim=True)
        shares = logits.sub_(most).exp_()
        total = shares.sum(1, keepdim=True)
        ctx.save_for_backward(hidden, weight, bias, tokens, shares, total)
        ctx.smoothing = smoothing
        return (total.log() + most)[:, 0] - (1 - smoothing) * right - smoothing * mean

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        hidden, weight, bias, tokens, shares, total = ctx.saved_tensors
        (gradient,) = outer
        at = torch.arange(len(tokens), device=tokens.device)
        slopes = shares * (gradient[:, None] / total)
        slopes[at, tokens] -= (1 - ctx.smoothing) * gradient
        of_bias = slopes.sum(0)
        slopes = slopes.to(hidden.dtype)
        of_hidden, of_weight = slopes @ weight.to(slopes.dtype), (slopes.T @ hidden).to(weight.dtype)
        if ctx.smoothing:
            share = ctx.smoothing * gradient.to(hidden.dtype)
            of_hidden -= share[:, None] * weight.mean(0).to(hidden.dtype)
            of_weight -= ((share @ hidden) / weight.shape[0]).to(weight.dtype)
            of_bias -= share.float().sum() / weight.shape[0]
        return of_hidden, of_weight, of_bias.to(bias.dtype), None, None
