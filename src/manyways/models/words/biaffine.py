"""A biaffine head, which scores the heads of words and their relations."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor, nn

from manyways.data.targets.tree import TreeScores, TreeTarget
from manyways.errors import ModelError
from manyways.models.backbones._layers import SharedDropout
from manyways.models.backbones.tokens import Tokens
from manyways.models.words.base import DROPOUT, WordsHead, words_input

if TYPE_CHECKING:
    from manyways.data.targets import StructuredTarget
    from manyways.models.network import Network

ARC, RELATION = 300, 100
NOWHERE = -1e4
"""The score of a head that is no word."""


class BiaffineHead(WordsHead):
    """Deep biaffine attention (Dozat & Manning, ICLR 2017): words as dependents against the root and words as heads."""

    name = "biaffine"

    def __init__(
        self, width: int, relations: int, input: str, arc: int = ARC, relation: int = RELATION, dropout: float = DROPOUT
    ) -> None:
        super().__init__()
        self.config = {
            "width": width, "relations": relations, "input": input, "arc": arc, "relation": relation,
            "dropout": dropout,
        }  # fmt: skip
        self.width, self.input = width, input
        self.sizes = [arc, relation]
        self.root = nn.Parameter(torch.randn(width) * 0.1)
        self.dependent = nn.Linear(width, arc + relation)
        self.governor = nn.Linear(width, arc + relation)
        self.dropout = SharedDropout(dropout)
        self.arcs = nn.Parameter(torch.zeros(arc + 1, arc))
        self.labels = nn.Parameter(torch.zeros(relations, relation + 1, relation + 1))

    @classmethod
    def made_for(cls, network: "Network", target: "StructuredTarget") -> Self:
        if not isinstance(target, TreeTarget):
            raise ModelError(f"A biaffine head predicts no label of the kind {target.kind}.")
        return cls(network.token_width, len(target.relations), words_input(network, "Dependency trees"))

    def from_tokens(self, tokens: Mapping[str, Tokens]) -> TreeScores:
        features, mask = self.words(tokens)
        root = self.root.to(features.dtype).expand(len(features), 1, -1)
        dependents = self._activated(self.dependent(features))
        governors = self._activated(self.governor(torch.cat([root, features], dim=1)))
        arc_words, relation_words = torch.split(dependents, self.sizes, dim=2)
        arc_heads, relation_heads = torch.split(governors, self.sizes, dim=2)
        scores = (_with_one(arc_words) @ self.arcs) @ arc_heads.transpose(1, 2)
        places = torch.arange(mask.shape[1], device=mask.device)
        there = torch.cat([mask.new_ones(len(mask), 1), mask], dim=1)[:, None] & ~_is_itself(places)
        return TreeScores(scores.masked_fill(~there, NOWHERE), mask, relation_words, relation_heads, self)

    def relations(self, dependents: Tensor, governors: Tensor) -> Tensor:
        """Scores of relations [rows, words, relations], of features of words and of their heads."""
        labels = self.labels
        left = _with_one(dependents) @ labels.transpose(0, 1).reshape(labels.shape[1], -1)
        left = left.view(*dependents.shape[:2], *labels.shape[::2])
        return (left @ _with_one(governors)[..., None])[..., 0]

    def _activated(self, x: Tensor) -> Tensor:
        activated: Tensor = self.dropout(nn.functional.leaky_relu(x, 0.1))
        return activated


def _with_one(x: Tensor) -> Tensor:
    return torch.cat([x, x.new_ones(*x.shape[:2], 1)], dim=2)


def _is_itself(places: Tensor) -> Tensor:
    """True where a head, the root first, is the word itself: [words, 1 + words]."""
    return places[:, None] + 1 == torch.arange(len(places) + 1, device=places.device)
