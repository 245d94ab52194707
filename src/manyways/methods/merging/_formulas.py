"""Formulas that make one tensor of several models', as the papers write them. Nothing that is given is written to.

Tensors that are merged number by number may come in blocks; what is decided over all of a tensor, an angle or a
threshold, is found first.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from manyways.randomness import mix

BLOCK = 1 << 18
"""Numbers that are computed with at a time. Even, so that random numbers do not depend on it."""
PARALLEL = 0.9995
"""Between directions whose cosine is beyond this, a straight line is as good as an arc, and computed more exactly."""


def blocks(tensors: Sequence[Tensor], exact: torch.dtype) -> Iterator[list[Tensor]]:
    """The flat `tensors` of one length piece by piece, as numbers of the type `exact`."""
    for at in range(0, len(tensors[0]), BLOCK):
        yield [tensor[at : at + BLOCK].to(exact) for tensor in tensors]


def linear(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Σ wᵢ θᵢ / Σ wᵢ, the weighted mean (Wortsman et al., Model soups, ICML 2022)."""
    return weighted_sum(tensors, [weight / sum(weights) for weight in weights])


def weighted_sum(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Σ wᵢ θᵢ."""
    total = tensors[0] * weights[0]
    for tensor, weight in zip(tensors[1:], weights[1:], strict=True):
        total.add_(tensor, alpha=weight)
    return total


def arc(first: Tensor, second: Tensor, share: float, exact: torch.dtype) -> tuple[float, float]:
    """The weights of two flat tensors in the point at `share` in [0, 1] of the arc between them (SLERP).

    sin((1−t)Ω)/sin Ω and sin(tΩ)/sin Ω, Ω the angle between the two as vectors (Shoemake, SIGGRAPH 1985); 1−t and t, a
    straight line, where they are parallel, or one of them is 0 and has no direction.
    """
    product, *squares = (
        sum(float((a * b).sum(dtype=torch.float64)) for a, b in blocks(pair, exact))
        for pair in ((first, second), (first, first), (second, second))
    )
    lengths = math.sqrt(squares[0]) * math.sqrt(squares[1])
    cosine = product / lengths if lengths > 0 else 1.0
    if abs(cosine) > PARALLEL:
        return 1 - share, share
    angle = math.acos(cosine)
    return math.sin((1 - share) * angle) / math.sin(angle), math.sin(share * angle) / math.sin(angle)


def task_arithmetic(base: Tensor, tensors: Sequence[Tensor], weights: Sequence[float], scale: float) -> Tensor:
    """θ₀ + λ Σ wᵢ (θᵢ − θ₀) (Ilharco et al., Editing models with task arithmetic, ICLR 2023)."""
    merged = base.clone()
    for tensor, weight in zip(tensors, weights, strict=True):
        merged.add_(tensor - base, alpha=scale * weight)
    return merged


def threshold(base: Tensor, tensor: Tensor, density: float, exact: torch.dtype) -> float:
    """The least magnitude in θ − θ₀, both flat, that is among the share `density` of the largest, at least one."""
    count = len(base)
    sizes = torch.empty(count, dtype=exact)
    for at, (start, end) in enumerate(blocks([base, tensor], exact)):
        torch.sub(end, start, out=sizes[at * BLOCK : at * BLOCK + len(start)]).abs_()
    dropped = count - max(1, round(density * count))
    values = sizes.numpy()
    values.partition(dropped)
    return float(values[dropped])


def ties(
    base: Tensor, tensors: Sequence[Tensor], weights: Sequence[float], least: Sequence[float], scale: float
) -> Tensor:
    """TIES (Yadav et al., NeurIPS 2023): trim, elect a sign for every number, average those that agree with it.

    τ̂ᵢ is θᵢ − θ₀ where its magnitude is `least` or more, else 0; γ = sgn(Σ wᵢ τ̂ᵢ); the result is θ₀ + λ times the mean
    of those τ̂ᵢ whose sign is γ, weighted by wᵢ ≥ 0. Where nothing stays, or the sum is 0, it is θ₀.
    """
    deltas = [tensor - base for tensor in tensors]
    trimmed = [delta * (delta.abs() >= low) for delta, low in zip(deltas, least, strict=True)]
    elected = weighted_sum(trimmed, weights).sign_()
    total, shares = torch.zeros_like(base), torch.zeros_like(base)
    for delta, weight in zip(trimmed, weights, strict=True):
        agrees = delta * elected > 0
        total.add_(delta * agrees, alpha=weight)
        shares.add_(agrees.to(shares.dtype), alpha=weight)
    shares.masked_fill_(shares == 0, 1)  # where no number agrees the total is 0, too
    return total.div_(shares).mul_(scale).add_(base)


def dare(
    base: Tensor,
    tensors: Sequence[Tensor],
    weights: Sequence[float],
    kept: Sequence[Tensor],
    density: float,
    scale: float,
) -> Tensor:
    """DARE (Yu et al., ICML 2024): drop numbers of each θᵢ − θ₀ at random, rescale the rest, and add them up.

    θ₀ + λ Σ wᵢ mᵢ (θᵢ − θ₀) / p: the masks mᵢ of `kept` are 1 with the probability p = `density`.
    """
    merged = base.clone()
    for tensor, weight, mask in zip(tensors, weights, kept, strict=True):
        merged.add_((tensor - base) * mask, alpha=scale * weight / density)
    return merged


def randomness(seed: int, name: str, number: int) -> np.random.Generator:
    """The random numbers of the tensor `name` of the model at the place `number`: a function of these and the seed."""
    key = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
    return np.random.Generator(np.random.Philox(mix(seed, key, number)))


def random_mask(numbers: np.random.Generator, count: int, density: float) -> Tensor:
    """The next `count` draws: True with the probability `density`."""
    return torch.from_numpy(numbers.random(count, dtype=np.float32) < np.float32(density))
