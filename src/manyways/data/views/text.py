"""Weak and strong views of batches of token ids."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from manyways.data.specs import TextSpec
from manyways.data.views.base import View
from manyways.data.views.ranges import require_range, require_shape


@dataclass(frozen=True)
class TextWeak(View):
    """A few tokens dropped; the others move up and padding fills the end.

    drop: probability that a token is dropped, in [0, 0.9]. The start token and one more always stay.
    Takes int32 or int64 [B, L]; gives int64 [B, L].
    """

    name: ClassVar = "text-weak"
    spec: TextSpec
    drop: float = 0.05

    def __post_init__(self) -> None:
        require_range(self, 0, 0.9, "drop")

    def __call__(self, batch: Tensor, rng: torch.Generator) -> Tensor:
        require_shape(batch, self.spec.length)
        return drop_tokens(batch.long(), self.drop, self.spec.padding, rng)


@dataclass(frozen=True)
class TextStrong(View):
    """Deletion, local swaps, replacement and a masked span: EDA (Wei and Zou, 2019) without a thesaurus.

    drop: probability that a token is deleted, in [0, 0.9].
    swap: probability that a token changes places with a neighbour or the one after, in [0, 1].
    replace: probability that a token becomes a random token of the batch (UDA, Xie 2020, without TF-IDF), in
        [0, 1].
    mask: longest masked span as a fraction of the row's tokens, in [0, 0.9].
    Takes int32 or int64 [B, L]; gives int64 [B, L]. The start token and one more always stay.
    """

    name: ClassVar = "text-strong"
    spec: TextSpec
    drop: float = 0.1
    swap: float = 0.1
    replace: float = 0.05
    mask: float = 0.15

    def __post_init__(self) -> None:
        require_range(self, 0, 0.9, "drop", "mask")
        require_range(self, 0, 1, "swap", "replace")

    def __call__(self, batch: Tensor, rng: torch.Generator) -> Tensor:
        require_shape(batch, self.spec.length)
        tokens, padding = batch.long(), self.spec.padding
        tokens = replace_tokens(tokens, self.replace, padding, rng)
        tokens = swap_tokens(tokens, self.swap, padding, rng)
        tokens = drop_tokens(tokens, self.drop, padding, rng)
        return mask_span(tokens, self.mask, padding, self.spec.mask, rng)


def words(tokens: Tensor, padding: int) -> Tensor:
    """True where `tokens` [B, L] hold neither the start token (position 0) nor padding."""
    real = tokens != padding
    real[:, :1] = False
    return real


def drop_tokens(tokens: Tensor, probability: float, padding: int, rng: torch.Generator) -> Tensor:
    """`tokens` [B, L] without those dropped; the rest keeps its order, padding fills the end."""
    batch, length = tokens.shape
    if not length:
        return tokens
    real = words(tokens, padding)
    luck = torch.rand(batch, length, generator=rng, device=rng.device).to(tokens.device).masked_fill_(~real, -1)
    keep = real & (luck >= probability)
    # The luckiest word survives any probability, so no row loses its last one.
    keep |= real & (luck == luck.amax(1, keepdim=True))
    keep[:, 0] = True
    # Dropped tokens land in one extra column that is cut off.
    place = (keep.cumsum(1) - 1).masked_fill_(~keep, length)
    packed = tokens.new_full((batch, length + 1), padding)
    return packed.scatter_(1, place, tokens)[:, :length]


def swap_tokens(tokens: Tensor, probability: float, padding: int, rng: torch.Generator) -> Tensor:
    """`tokens` [B, L] where each word steps up to two places back with `probability` (Lample 2018)."""
    batch, length = tokens.shape
    drawn = torch.rand(2, batch, length, generator=rng, device=rng.device).to(tokens.device)
    moved = words(tokens, padding) & (drawn[0] < probability)
    position = torch.arange(length, device=tokens.device)
    # A word pushed back by 1 to 2.5 places sorts behind one or two successors; padding must stay behind it.
    key = position + torch.where(moved, 1 + 1.5 * drawn[1], 0)
    key = torch.where(tokens == padding, position + 2 * length, key)
    return tokens.gather(1, key.argsort(dim=1, stable=True))


def replace_tokens(tokens: Tensor, probability: float, padding: int, rng: torch.Generator) -> Tensor:
    """`tokens` [B, L] where each word becomes a word drawn from the whole batch with `probability`."""
    real = words(tokens, padding)
    pool = tokens[real]
    if not len(pool):
        return tokens.clone()
    drawn = torch.rand(2, *tokens.shape, generator=rng, device=rng.device, dtype=torch.float64).to(tokens.device)
    chosen = real & (drawn[0] < probability)
    return torch.where(chosen, pool[(drawn[1] * len(pool)).long()], tokens)


def mask_span(tokens: Tensor, fraction: float, padding: int, mask: int, rng: torch.Generator) -> Tensor:
    """`tokens` [B, L] with one run of words per row turned into `mask`: 0 to `fraction` of them, anywhere."""
    batch, length = tokens.shape
    real = words(tokens, padding)
    count = real.sum(1)
    drawn = torch.rand(2, batch, generator=rng, device=rng.device).to(tokens.device)
    # Rounding the longest span up lets short rows lose a word too, but never their only one.
    longest = torch.minimum((count * fraction).ceil(), (count - 1).clamp(min=0))
    span = (drawn[0] * (longest + 1)).long().clamp_(max=length)
    start = 1 + (drawn[1] * (count - span + 1)).long()
    position = torch.arange(length, device=tokens.device)
    hidden = real & (position >= start[:, None]) & (position < (start + span)[:, None])
    return tokens.masked_fill(hidden, mask)
