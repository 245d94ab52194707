"""Heads that score a tag for each word."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor, nn

from manyways.data.targets._chain import Chain, legal_chain
from manyways.data.targets.tags import TagScores, TagsTarget
from manyways.errors import ModelError
from manyways.models.backbones.tokens import Tokens
from manyways.models.words.base import WordsHead, words_input

if TYPE_CHECKING:
    from manyways.data.targets import StructuredTarget
    from manyways.models.network import Network


class TagsHead(WordsHead):
    """One affine map of each word: a decision for each word."""

    name = "tags"

    def __init__(self, width: int, tags: int, input: str) -> None:
        super().__init__()
        self.config = {"width": width, "tags": tags, "input": input}
        self.width, self.input = width, input
        self.linear = nn.Linear(width, tags)

    @classmethod
    def made_for(cls, network: "Network", target: "StructuredTarget") -> Self:
        return cls(network.token_width, len(_tags_of(target).tags), words_input(network, "Tags"))

    def from_tokens(self, tokens: Mapping[str, Tokens]) -> TagScores:
        features, mask = self.words(tokens)
        return TagScores(self.linear(features), mask)


class CRFHead(TagsHead):
    """A linear-chain conditional random field (Lafferty, McCallum & Pereira, ICML 2001) on an affine map of each word.

    Steps between tags that are no legal BIO have a score so low that none is ever taken.
    """

    name = "crf"
    legal_start: Tensor
    legal_step: Tensor

    def __init__(self, width: int, tags: int, input: str) -> None:
        super().__init__(width, tags, input)
        self.start = nn.Parameter(torch.zeros(tags))
        self.step = nn.Parameter(torch.zeros(tags, tags))
        self.end = nn.Parameter(torch.zeros(tags))
        self.register_buffer("legal_start", torch.zeros(tags))
        self.register_buffer("legal_step", torch.zeros(tags, tags))

    @classmethod
    def made_for(cls, network: "Network", target: "StructuredTarget") -> Self:
        head = super().made_for(network, target)
        if legal := legal_chain(_tags_of(target).tags):
            head.legal_start.copy_(torch.from_numpy(legal[0]))
            head.legal_step.copy_(torch.from_numpy(legal[1]))
        return head

    def from_tokens(self, tokens: Mapping[str, Tokens]) -> TagScores:
        scores = super().from_tokens(tokens)
        chain = Chain(self.start.float() + self.legal_start, self.step.float() + self.legal_step, self.end.float())
        return TagScores(scores.logits, scores.mask, chain)


def _tags_of(target: "StructuredTarget") -> TagsTarget:
    if not isinstance(target, TagsTarget):
        raise ModelError(f"A head of tags predicts no label of the kind {target.kind}.")
    return target
