"""A head that writes: a decoder with attention over the tokens of all inputs."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor, nn

from manyways.data.targets.structured import StructuredTarget
from manyways.data.targets.text import TextTarget, Writing
from manyways.errors import ModelError
from manyways.models.backbones._attention import sinusoids
from manyways.models.backbones.tokens import Tokens
from manyways.models.backbones.transformer_encoder import HEAD_WIDTH, TransformerEncoder
from manyways.models.heads import StructuredHead
from manyways.models.sequences.decoder import Decoder
from manyways.models.sequences.loss import token_losses
from manyways.models.sequences.search import Ends, Sequences, search

if TYPE_CHECKING:
    from manyways.models.network import Network

WIDTH, HIDDEN, DEPTH, DROPOUT = 192, 512, 3, 0.1
"""Of a decoder behind inputs that no transformer encoder reads."""


class Bridge(nn.Module):
    """Tokens of one input as features of the decoder's width, with sinusoids of where they lie."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tokens) -> Tensor:
        projected: Tensor = self.norm(self.linear(tokens.features))
        return projected + _places(tokens, projected.shape[2]).to(projected)


class WritingHead(StructuredHead):
    """A transformer decoder over the tokens of all inputs, side by side.

    Tokens of a `transformer-encoder` of its width are attended to as they are, and share their embeddings with it;
    others pass a bridge.

    Args:
        inputs: Features per token of each input.
        tied: Those inputs whose embeddings are the decoder's.
        vocabulary: Tokens that it writes.
        width: Of the decoder.
        depth: Blocks.
        heads: Of each attention.
        hidden: Width of the perceptrons.
        dropout: Share of the features on each residual branch.
        start: The token before the first one.
        end: The token behind the last one.
        never: Tokens that are never written.
    """

    name = "writing"

    def __init__(
        self, *, inputs: Mapping[str, int], tied: Sequence[str], vocabulary: int, width: int, depth: int, heads: int,
        hidden: int, dropout: float, start: int, end: int, never: Sequence[int] = (),
    ) -> None:  # fmt: skip
        super().__init__()
        self.config = {
            "inputs": dict(inputs), "tied": list(tied), "vocabulary": vocabulary, "width": width, "depth": depth,
            "heads": heads, "hidden": hidden, "dropout": dropout, "start": start, "end": end, "never": list(never),
        }  # fmt: skip
        self.inputs, self.tied = dict(inputs), tuple(tied)
        self.width = sum(inputs.values())
        self.ends = Ends(start, end, tuple(never))
        self.decoder = Decoder(vocabulary, width, depth, heads, hidden, dropout)
        self.places = {name: place for place, name in enumerate(n for n in inputs if n not in self.tied)}
        self.bridges = nn.ModuleList(Bridge(inputs[name], width) for name in self.places)

    @classmethod
    def made_for(cls, network: "Network", target: StructuredTarget) -> Self:
        if not isinstance(target, TextTarget):
            raise ModelError(f"The head {cls.name!r} writes text; the label {target.name!r} is of another kind.")
        parts = dict(zip(network.names, network.parts, strict=True))
        encoders = {
            name: part
            for name, part in parts.items()
            if isinstance(part, TransformerEncoder) and part.config["vocabulary"] == target.vocabulary
        }
        first = next(iter(encoders.values()), None)
        width = first.width if first else WIDTH
        return cls(
            inputs={name: part.token_width for name, part in parts.items()},
            tied=[name for name, part in encoders.items() if part.width == width],
            vocabulary=target.vocabulary,
            width=width,
            depth=first.config["depth"] if first else DEPTH,
            heads=width // HEAD_WIDTH,
            hidden=first.config["hidden"] if first else HIDDEN,
            dropout=first.config["dropout"] if first else DROPOUT,
            start=target.start,
            end=target.end,
            never=target.never,
        )

    def tie(self, network: "Network") -> None:
        for name, part in zip(network.names, network.parts, strict=True):
            if name in self.tied:
                if not isinstance(part, TransformerEncoder) or part.embedding.weight.shape != self.shape:
                    raise ModelError(f"The decoder shares the embeddings of {name!r}, which has none of its shape.")
                self._share(part)

    def _share(self, part: TransformerEncoder) -> None:
        part.embedding.weight = self.decoder.embedding.weight

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the embeddings."""
        return self.decoder.vocabulary, self.decoder.width

    def fits(self, network: "Network") -> bool:
        return self.inputs == {name: part.token_width for name, part in zip(network.names, network.parts, strict=True)}

    def from_tokens(self, tokens: Mapping[str, Tokens]) -> Writing:
        features, masks = [], []
        for name, each in tokens.items():
            place = self.places.get(name)
            features.append(each.features if place is None else self.bridges[place](each))
            masks.append(each.mask)
        if all(mask is None for mask in masks):
            mask = None
        else:
            whole = [
                part.new_ones(part.shape[:2], dtype=torch.bool) if mask is None else mask
                for part, mask in zip(features, masks, strict=True)
            ]
            mask = whole[0] if len(whole) == 1 else torch.cat(whole, dim=1)
        return Writing(features[0] if len(features) == 1 else torch.cat(features, dim=1), mask, self)

    def hidden(self, memory: Tensor, mask: Tensor | None, labels: Tensor) -> Tensor:
        """Hidden states [rows, positions, width], each of which says the token of `labels` at its position.

        The decoder reads the labels one position later, behind the start (teacher forcing).
        """
        before = labels.clamp_min(0)[:, :-1]
        start = torch.full_like(labels[:, :1], self.ends.start)
        hidden: Tensor = self.decoder(torch.cat([start, before], dim=1), memory, mask)
        return hidden

    def logits(self, memory: Tensor, mask: Tensor | None, labels: Tensor) -> Tensor:
        return self.decoder.logits(self.hidden(memory, mask, labels))

    def token_losses(self, memory: Tensor, mask: Tensor | None, labels: Tensor, smoothing: float) -> Tensor:
        real = labels >= 0
        hidden = self.hidden(memory, mask, labels)[real]
        decoder = self.decoder
        return token_losses(hidden, decoder.embedding.weight, decoder.output_bias, labels[real], smoothing)

    def search(self, memory: Tensor, mask: Tensor | None, longest: int, beams: int, length_penalty: float) -> Sequences:
        return search(self.decoder, memory, mask, self.ends, longest, beams, length_penalty)


def _places(tokens: Tokens, width: int) -> Tensor:
    """Sinusoids of where tokens lie, [positions, width]: along a sequence, or of row and column of a map."""
    device = tokens.features.device
    grid, positions = tokens.grid, tokens.features.shape[1]
    if len(grid) != 2:
        return sinusoids(positions, width, device=device)
    half = width // 2
    rows = sinusoids(grid[0], half, device=device)[:, None].expand(-1, grid[1], -1)
    columns = sinusoids(grid[1], width - half, device=device)[None].expand(grid[0], -1, -1)
    placed = torch.cat([rows, columns], dim=2).flatten(0, 1)
    summaries = torch.zeros(positions - len(placed), width, device=device)
    return torch.cat([summaries, placed])
