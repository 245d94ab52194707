"""The way from the last hidden states of a checkpoint to one vector per row: pooling, layers, unit length."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from manyways.errors import ModelError
from manyways.models.backbones._sentence_encoders import ACTIVATIONS, POOLINGS
from manyways.models.backbones.tokens import Tokens

MOST_FEATURES = 1 << 16


class Embedding(nn.Module):
    """Poolings side by side, dense layers behind them, and scaling to length 1 (Reimers & Gurevych, SBERT, 2019)."""

    def __init__(
        self, pooling: Sequence[str] = ("mean",), dense: Sequence[Mapping[str, Any]] = (), unit_length: bool = False
    ) -> None:
        super().__init__()
        if not pooling or any(mode not in POOLINGS for mode in pooling):
            raise ModelError(f"A pooling must be one of {', '.join(POOLINGS)}; got {list(pooling)}.")
        self.pooling, self.unit_length = tuple(pooling), unit_length
        self.description = [dict(each) for each in dense]
        self.dense = nn.ModuleList(_layer(**each) for each in self.description)

    @property
    def config(self) -> dict[str, Any]:
        """JSON values that the constructor takes; empty for the mean alone."""
        if self.pooling == ("mean",) and not self.description and not self.unit_length:
            return {}
        return {"pooling": list(self.pooling), "dense": self.description, "unit_length": self.unit_length}

    def forward(self, tokens: Tokens) -> Tensor:
        pooled = [POOL[mode](tokens) for mode in self.pooling]
        features = pooled[0] if len(pooled) == 1 else torch.cat(pooled, dim=1)
        for layer in self.dense:
            features = layer(features)
        return normalize(features, dim=1) if self.unit_length else features


def _layer(inputs: int, outputs: int, bias: bool, activation: str) -> nn.Sequential:
    if activation not in ACTIVATIONS or not (0 < inputs <= MOST_FEATURES and 0 < outputs <= MOST_FEATURES):
        raise ModelError(f"A dense layer of {inputs} to {outputs} features with {activation!r} cannot be made.")
    make: Callable[[], nn.Module] = getattr(nn, activation)
    return nn.Sequential(nn.Linear(inputs, outputs, bias=bias), make())


def _visible(tokens: Tokens) -> Tensor:
    if tokens.mask is None:
        return tokens.features.new_ones(tokens.features.shape[:2], dtype=torch.bool)
    return tokens.mask


def _max(tokens: Tokens) -> Tensor:
    hidden = ~_visible(tokens)[..., None]
    return tokens.features.masked_fill(hidden, torch.finfo(tokens.features.dtype).min).amax(1)


def _sum_over_root(tokens: Tokens) -> Tensor:
    mask = _visible(tokens).to(tokens.features.dtype)[..., None]
    return (tokens.features * mask).sum(1) / mask.sum(1).sqrt()


def _weighted(tokens: Tokens) -> Tensor:
    """The mean with weights that rise along the text (Muennighoff, SGPT, 2022)."""
    mask = _visible(tokens).to(tokens.features.dtype)
    weights = (mask * torch.arange(1, mask.shape[1] + 1, device=mask.device))[..., None]
    return (tokens.features * weights).sum(1) / weights.sum(1)


def _last(tokens: Tokens) -> Tensor:
    places = torch.arange(tokens.features.shape[1], device=tokens.features.device)
    last = (_visible(tokens) * places).amax(1)
    return tokens.features.gather(1, last[:, None, None].expand(-1, 1, tokens.features.shape[2]))[:, 0]


def _first(tokens: Tokens) -> Tensor:
    return tokens.features[:, 0]


POOL: dict[str, Callable[[Tokens], Tensor]] = {
    "cls": _first,
    "max": _max,
    "mean": Tokens.mean,
    "mean_sqrt_len_tokens": _sum_over_root,
    "weightedmean": _weighted,
    "lasttoken": _last,
}
