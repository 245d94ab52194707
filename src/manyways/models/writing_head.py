"""A head that writes: a decoder with attention over the tokens of all inputs."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn

from manyways.data.targets.structured import StructuredTarget
from manyways.data.targets.text import TextTarget, Writing
from manyways.errors import ModelError
from manyways.models.backbones._attention import sinusoids
from manyways.models.backbones.base import Backbone
from manyways.models.backbones.pretrained import Pretrained
from manyways.models.backbones.tokens import Tokens
from manyways.models.backbones.transformer_encoder import TransformerEncoder
from manyways.models.heads import StructuredHead
from manyways.models.sequences.base import SequenceDecoder
from manyways.models.sequences.checkpoint import CheckpointDecoder, load_decoder
from manyways.models.sequences.decoder import Decoder
from manyways.models.sequences.search import Ends, Sequences, search

if TYPE_CHECKING:
    from manyways.models.network import Network

SIZES: dict[str, Any] = {"dimension": 192, "depth": 3, "heads": 3, "hidden": 512, "dropout": 0.1}
"""Those of a decoder behind inputs that no transformer encoder reads."""


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
    """A decoder over the tokens of all inputs, side by side: a transformer's, or that of a pretrained checkpoint.

    Tokens of the encoder that belongs to the decoder (a `transformer-encoder` of its width, or that of the checkpoint)
    are attended to as they are, and share their embeddings with it; others pass a bridge.

    Args:
        inputs: Features per token of each input.
        tied: Those inputs whose encoder belongs to the decoder.
        decoder: Arguments of a `Decoder`, or the `architecture` of a checkpoint.
        start: The token before the first one.
        end: The token behind the last one.
        never: Tokens that are never written.
        first: Tokens that every text begins with.
        built: The decoder itself, where it is there already.
    """

    name = "writing"

    def __init__(
        self, *, inputs: Mapping[str, int], tied: Sequence[str], decoder: Mapping[str, Any], start: int, end: int,
        never: Sequence[int] = (), first: Sequence[int] = (), built: SequenceDecoder[Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.config = {
            "inputs": dict(inputs), "tied": list(tied), "decoder": dict(decoder), "start": start, "end": end,
            "never": list(never), "first": list(first),
        }  # fmt: skip
        self.inputs, self.tied = dict(inputs), tuple(tied)
        self.width = sum(inputs.values())
        self.ends = Ends(start, end, tuple(never), tuple(first))
        self.decoder = built or (CheckpointDecoder(**decoder) if "architecture" in decoder else Decoder(**decoder))
        self.places = {name: place for place, name in enumerate(n for n in inputs if n not in self.tied)}
        self.bridges = nn.ModuleList(Bridge(inputs[name], self.decoder.width) for name in self.places)

    @classmethod
    def made_for(cls, network: "Network", target: StructuredTarget) -> Self:
        if not isinstance(target, TextTarget):
            raise ModelError(f"The head {cls.name!r} writes text; the label {target.name!r} is of another kind.")
        parts = dict(zip(network.names, network.parts, strict=True))
        tied, decoder, built = _checkpoint_for(parts, target) or _decoder_for(parts, target)
        return cls(
            inputs={name: part.token_width for name, part in parts.items()},
            tied=tied,
            decoder=decoder,
            start=target.start,
            end=target.end,
            never=target.never,
            first=target.first,
            built=built,
        )

    def tie(self, network: "Network") -> None:
        for name, part in zip(network.names, network.parts, strict=True):
            if name not in self.tied:
                continue
            if isinstance(part, TransformerEncoder) and isinstance(self.decoder, Decoder):
                part.embedding.weight = self.decoder.embedding.weight
            elif isinstance(part, Pretrained) and isinstance(self.decoder, CheckpointDecoder):
                self.decoder.tie(part.body)
            else:
                raise ModelError(f"The decoder shares tensors with the input {name!r}, whose network has none of them.")

    def fits(self, network: "Network") -> bool:
        return self.inputs == {name: part.token_width for name, part in zip(network.names, network.parts, strict=True)}

    @property
    def pretrained(self) -> bool:
        return isinstance(self.decoder, CheckpointDecoder)

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

    def before(self, labels: Tensor) -> Tensor:
        """The tokens that the decoder reads to write `labels`: the start, and the labels one position later."""
        return torch.cat([torch.full_like(labels[:, :1], self.ends.start), labels.clamp_min(0)[:, :-1]], dim=1)

    def logits(self, memory: Tensor, mask: Tensor | None, labels: Tensor) -> Tensor:
        return self.decoder.logits_after(self.before(labels), memory, mask)

    def token_losses(self, memory: Tensor, mask: Tensor | None, labels: Tensor, smoothing: float) -> Tensor:
        return self.decoder.losses(self.before(labels), memory, mask, labels, smoothing)

    def search(self, memory: Tensor, mask: Tensor | None, longest: int, beams: int, length_penalty: float) -> Sequences:
        return search(self.decoder, memory, mask, self.ends, longest, beams, length_penalty)


Parts = Mapping[str, Backbone]
Built = tuple[list[str], dict[str, Any], SequenceDecoder[Any] | None]


def _decoder_for(parts: Parts, target: TextTarget) -> Built:
    """The inputs whose embeddings are the decoder's, and the arguments of one as large as their encoder."""
    encoders = {
        name: part.config
        for name, part in parts.items()
        if isinstance(part, TransformerEncoder) and part.config["vocabulary"] == target.vocabulary
    }
    first = next(iter(encoders.values()), None)
    sizes = {key: first[key] for key in SIZES} if first else SIZES
    width = sizes["dimension"]
    tied = [name for name, each in encoders.items() if each["dimension"] == width]
    return tied, {
        "vocabulary": target.vocabulary, "width": width, "depth": sizes["depth"], "heads": sizes["heads"],
        "hidden": sizes["hidden"], "dropout": sizes["dropout"],
    }, None  # fmt: skip


def _checkpoint_for(parts: Parts, target: TextTarget) -> Built | None:
    """The inputs that the encoder of a sequence-to-sequence checkpoint reads, and its decoder; None: there is none."""
    encoders = {
        name: part
        for name, part in parts.items()
        if target.pretrained and isinstance(part, Pretrained) and part.writes and part.checkpoint
    }
    if not encoders:
        return None
    checkpoint = next(iter(encoders.values())).checkpoint
    decoder = load_decoder(checkpoint)
    tied = [name for name, part in encoders.items() if part.checkpoint == checkpoint]
    return tied, {"architecture": decoder.architecture}, decoder


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
