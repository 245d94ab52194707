"""The decoder of a transformer: what is written next, given what was read and what was written so far."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from manyways.models.backbones._attention import (
    CrossAttention,
    FeedForward,
    SelfAttention,
    attended,
    causal_bias,
    hidden_bias,
    sinusoids,
)
from manyways.models.backbones._layers import SharedDropout
from manyways.models.sequences.base import DecodingState, SequenceDecoder
from manyways.models.sequences.loss import token_losses

ROOM = 32
"""Positions that a cache grows by."""


@dataclass(eq=False)
class LayerCache:
    """Keys and values of one layer [sequences, heads, room, width of a head], of which the first positions are set."""

    key: Tensor
    value: Tensor

    def put(self, key: Tensor, value: Tensor, position: int) -> tuple[Tensor, Tensor]:
        """Set the keys and values of one `position`; return those up to it."""
        if position >= self.key.shape[2]:
            more = [self.key.shape[0], self.key.shape[1], ROOM, self.key.shape[3]]
            self.key = torch.cat([self.key, self.key.new_empty(more)], 2)
            self.value = torch.cat([self.value, self.value.new_empty(more)], 2)
        self.key[:, :, position : position + 1] = key
        self.value[:, :, position : position + 1] = value
        return self.key[:, :, : position + 1], self.value[:, :, : position + 1]


class DecoderBlock(nn.Module):
    """Causal self-attention, attention over the memory and a perceptron, pre-norm, each on a residual branch."""

    def __init__(self, width: int, heads: int, hidden: int, share: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.cross_norm = nn.LayerNorm(width)
        self.cross = CrossAttention(width, heads)
        self.perceptron_norm = nn.LayerNorm(width)
        self.perceptron = FeedForward(width, hidden)
        self.dropout = SharedDropout(share)

    def forward(self, x: Tensor, causal: Tensor, keys: tuple[Tensor, Tensor], bias: Tensor | None) -> Tensor:
        """`x` [rows, positions, width] after one block, all positions at once."""
        x = x + self.dropout(self.attention(self.attention_norm(x), causal))
        return self.above(x, keys, bias)

    def above(self, x: Tensor, keys: tuple[Tensor, Tensor], bias: Tensor | None) -> Tensor:
        """The part of the block above its self-attention."""
        x = x + self.dropout(self.cross(self.cross_norm(x), *keys, bias))
        deeper: Tensor = self.dropout(self.perceptron(self.perceptron_norm(x)))
        return x + deeper

    def step(
        self, x: Tensor, cache: LayerCache, position: int, keys: tuple[Tensor, Tensor], bias: Tensor | None
    ) -> Tensor:
        """`x` [rows, beams, width] after one block: one position of every beam, those before it in the cache."""
        rows, beams, width = x.shape
        alone = self.attention_norm(x).view(rows * beams, 1, width)
        query, key, value = self.attention.parts(alone)
        merged = self.attention.merged(attended(query, *cache.put(key, value, position), None))
        return self.above(x + merged.view(rows, beams, width), keys, bias)


@dataclass(eq=False)
class State(DecodingState):
    """All that the next step depends on.

    Attributes:
        keys: Keys and values of the memory for each layer, shared by the beams of a row.
        bias: The bias of the scores over the memory.
        caches: Keys and values of what was written, for each layer.
        position: The number of tokens read so far.
    """

    keys: list[tuple[Tensor, Tensor]]
    bias: Tensor | None
    caches: list[LayerCache]
    position: int = 0

    def keep_rows(self, rows: Tensor) -> None:
        self.keys = [(key[rows], value[rows]) for key, value in self.keys]
        self.bias = None if self.bias is None else self.bias[rows]
        beams = torch.arange(self.beams, device=rows.device)
        self.keep_sequences((rows[:, None] * self.beams + beams).flatten())

    def keep_sequences(self, sequences: Tensor) -> None:
        for cache in self.caches:
            cache.key, cache.value = cache.key[sequences], cache.value[sequences]


class Decoder(SequenceDecoder[State]):
    """A transformer decoder (Vaswani et al., 2017) with one matrix of input and output embeddings (Press & Wolf, 2017).

    Args:
        vocabulary: Tokens that it reads and writes.
        width: Features of a position, those of the memory, too.
        depth: Blocks.
        heads: Of each attention.
        hidden: Width of the perceptrons.
        dropout: Share of the features on each residual branch.
    """

    def __init__(self, vocabulary: int, width: int, depth: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.vocabulary, self.width = vocabulary, width
        self.embedding = nn.Embedding(vocabulary, width)
        self.dropout = SharedDropout(dropout)
        self.layers = nn.ModuleList(DecoderBlock(width, heads, hidden, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.output_bias = nn.Parameter(torch.zeros(vocabulary))
        nn.init.normal_(self.embedding.weight, std=width**-0.5)

    @property
    def blocks(self) -> Sequence[DecoderBlock]:
        """The layers, in order."""
        return [layer for layer in self.layers if isinstance(layer, DecoderBlock)]

    def embedded(self, ids: Tensor, position: int = 0) -> Tensor:
        """Token embeddings times √width and sinusoids of the positions from `position` on."""
        embedded: Tensor = self.embedding(ids) * math.sqrt(self.width)
        return embedded + sinusoids(ids.shape[1], self.width, position, embedded.device)

    def forward(self, ids: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        """Hidden states [rows, positions, width], each of which says what follows `ids` up to it.

        Args:
            ids: Tokens [rows, positions], the first one the start.
            memory: What was read, [rows, tokens, width].
            mask: True where a row has a token, [rows, tokens]; None: everywhere.
        """
        bias, causal = hidden_bias(mask), causal_bias(ids.shape[1], ids.device)
        x = self.dropout(self.embedded(ids))
        for block in self.blocks:
            x = block(x, causal, block.cross.keys(memory), bias)
        hidden: Tensor = self.norm(x)
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """The logits [..., vocabulary] of hidden states [..., width]."""
        logits: Tensor = nn.functional.linear(hidden, self.embedding.weight, self.output_bias)
        return logits

    def logits_after(self, ids: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        return self.logits(self(ids, memory, mask))

    def losses(
        self, ids: Tensor, memory: Tensor, mask: Tensor | None, labels: Tensor, smoothing: float = 0.0
    ) -> Tensor:
        real = labels >= 0
        hidden = self(ids, memory, mask)[real]
        return token_losses(hidden, self.embedding.weight, self.output_bias, labels[real], smoothing)

    def begin(self, memory: Tensor, mask: Tensor | None, beams: int = 1) -> State:
        """The state before the first token: keys of the memory are computed here, once."""
        sequences = len(memory) * beams
        caches = []
        for block in self.blocks:
            heads = block.attention.heads
            empty = memory.new_empty(sequences, heads, ROOM, self.width // heads)
            caches.append(LayerCache(empty, torch.empty_like(empty)))
        return State(beams, [block.cross.keys(memory) for block in self.blocks], hidden_bias(mask), caches)

    def step(self, ids: Tensor, state: State) -> Tensor:
        x = self.embedding(ids) * math.sqrt(self.width)
        x = x + sinusoids(1, self.width, state.position, x.device)
        for block, cache, keys in zip(self.blocks, state.caches, state.keys, strict=True):
            x = block.step(x, cache, state.position, keys, state.bias)
        state.position += 1
        return self.logits(self.norm(x))
