"""A bidirectional LSTM over the words of a sentence."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from manyways.data.encoders.words import WordsSpec
from manyways.data.specs import Spec
from manyways.models.backbones._layers import SharedDropout, parameters_of
from manyways.models.backbones._words import WordBag, trimmed
from manyways.models.backbones.base import Backbone, require_kind, scaled_width
from manyways.models.backbones.tokens import Tokens


class BiLSTM(Backbone):
    """Embeddings of words and their surfaces, and layers of a bidirectional LSTM (Graves & Schmidhuber 2005).

    Reads encoded words [B, L, slots] and gives a token for each. The embeddings are sums over the word, its affixes,
    its shape and its character trigrams; dropout masks are shared over positions (Gal & Ghahramani 2016). The features
    of a row are the mean of its tokens.
    """

    name: ClassVar[str] = "bilstm"
    kinds: ClassVar[tuple[str, ...]] = ("words",)
    rate: ClassVar[float] = 2.0
    vectorises = False
    differentiable_twice = False  # as the bag of embeddings is not

    def __init__(self, *, vocabulary: int, embedding: int, hidden: int, depth: int, dropout: float) -> None:
        super().__init__(
            2 * hidden, vocabulary=vocabulary, embedding=embedding, hidden=hidden, depth=depth, dropout=dropout
        )
        self.bag = WordBag(vocabulary, embedding)
        self.dropout = SharedDropout(dropout)
        widths = [embedding, *[2 * hidden] * (depth - 1)]
        self.forwards = nn.ModuleList(_lstm(width, hidden) for width in widths)
        self.backwards = nn.ModuleList(_lstm(width, hidden) for width in widths)

    @classmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        words = require_kind(spec, WordsSpec, cls.name)
        return {
            "name": cls.name,
            "vocabulary": words.vocabulary,
            "embedding": scaled_width(192, size),
            "hidden": scaled_width(200, size),
            "depth": 2,
            "dropout": 0.25,
        }

    def tokens(self, x: Tensor) -> Tokens:
        x, mask = trimmed(x)
        lengths = mask.sum(1, keepdim=True)
        places = torch.arange(x.shape[1], device=x.device)
        # Padding stays behind the words in both directions, so that it changes nothing.
        reverse = torch.where(places < lengths, lengths - 1 - places, places)
        hidden = self.dropout(self.bag(x))
        with torch.autocast(x.device.type, enabled=False):
            hidden = hidden.to(self.forwards[0].weight_ih_l0.dtype)
            for ahead, back in zip(self.forwards, self.backwards, strict=True):
                there = ahead(hidden)[0]
                again = _reordered(back(_reordered(hidden, reverse))[0], reverse)
                hidden = self.dropout(torch.cat([there, again], dim=2))
        return Tokens(hidden, mask, (x.shape[1],))

    def pool(self, tokens: Tokens) -> Tensor:
        there = tokens.features.new_ones(tokens.features.shape[:2]) if tokens.mask is None else tokens.mask
        return (tokens.features * there[..., None]).sum(1) / there.sum(1, keepdim=True).clamp_min(1)

    def layer_groups(self) -> list[list[nn.Parameter]]:
        layers = [parameters_of(*pair) for pair in zip(self.forwards, self.backwards, strict=True)]
        return [parameters_of(self.bag), *layers]


def _reordered(hidden: Tensor, places: Tensor) -> Tensor:
    return hidden.gather(1, places[..., None].expand(-1, -1, hidden.shape[2]))


def _lstm(inputs: int, hidden: int) -> nn.LSTM:
    """One direction of one layer, that remembers at first (Jozefowicz et al. 2015)."""
    layer = nn.LSTM(inputs, hidden, batch_first=True)
    of_inputs, of_state, *biases = layer.parameters()
    nn.init.xavier_uniform_(of_inputs)
    nn.init.orthogonal_(of_state)
    with torch.no_grad():
        for bias in biases:
            bias.zero_()
        biases[0][hidden : 2 * hidden] = 1
    return layer
