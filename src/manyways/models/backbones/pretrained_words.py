"""A pretrained checkpoint that reads sentences as words: a token for each word, that of its first sub-word."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from manyways.data.encoders.words import WordsSpec
from manyways.data.specs import Spec, TextSpec
from manyways.errors import ParameterError
from manyways.models.backbones._layers import SharedDropout, parameters_of
from manyways.models.backbones._words import WordBag, trimmed
from manyways.models.backbones.base import Backbone, require_kind
from manyways.models.backbones.pretrained import Pretrained, load_pretrained
from manyways.models.backbones.tokens import Tokens

BESIDE = 64
"""Features of a word's surface beside those of the checkpoint."""


class PretrainedWords(Backbone):
    """A text encoder over the sub-words of a sentence, and beside it a bag of what the surface of each word is.

    A word's token is the last hidden state of its first sub-word (Devlin et al., NAACL 2019), and beside it a sum of
    embeddings of the word and its surface, which the checkpoint may not see: capitals, for one. A sentence of more
    sub-words than the checkpoint reads is read in pieces that end between words. Embeddings of sub-words, most of which
    a training set never shows, stay as they are.
    """

    name: ClassVar[str] = "pretrained-words"
    kinds: ClassVar[tuple[str, ...]] = ("words",)

    def __init__(
        self,
        *,
        vocabulary: int,
        pieces: int,
        before: Sequence[int],
        after: Sequence[int],
        limit: int,
        padding: int,
        encoder: Mapping[str, Any],
        beside: int = BESIDE,
        dropout: float = 0.25,
        body: Pretrained | None = None,
    ) -> None:
        body = Pretrained.from_config(encoder) if body is None else body
        super().__init__(
            body.token_width + beside, vocabulary=vocabulary, pieces=pieces, before=list(before), after=list(after),
            limit=limit, padding=padding, encoder=dict(encoder), beside=beside, dropout=dropout,
        )  # fmt: skip
        self.pieces, self.limit, self.padding = pieces, limit, padding
        self.before, self.after = list(before), list(after)
        self.encoder = body
        self.bag = WordBag(vocabulary, beside)
        self.dropout = SharedDropout(dropout)

    @classmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        raise ParameterError(f"The backbone {cls.name!r} needs a checkpoint: give its folder or Hub name (owner/name).")

    def tokens(self, x: Tensor) -> Tokens:
        x, mask = trimmed(x)
        pieces = x[:, :, -self.pieces :] - 1
        count = (pieces >= 0).sum(2)
        window, place, total = windows(count, self.limit - len(self.before) - len(self.after) - self.pieces)
        length = int(total.max()) + len(self.before) + len(self.after)
        ids = x.new_full((len(total), length), self.padding)
        ids[:, : len(self.before)] = ids.new_tensor(self.before)
        there = pieces >= 0
        place = place + len(self.before)
        within = place[:, :, None] + torch.arange(self.pieces, device=x.device)
        ids[window[:, :, None].expand_as(within)[there], within[there]] = pieces[there]
        ends = total + len(self.before)
        for at, token in enumerate(self.after):
            ids[torch.arange(len(ids), device=x.device), ends + at] = token
        visible = torch.arange(length, device=x.device) < (ends + len(self.after))[:, None]
        hidden = self._states(ids, visible)[window, place.clamp_max(length - 1)] * mask[:, :, None]
        return Tokens(torch.cat([self.dropout(hidden), self.dropout(self.bag(x))], dim=2), mask, (x.shape[1],))

    def _states(self, ids: Tensor, visible: Tensor) -> Tensor:
        """The last hidden states [windows, tokens, width]; the embeddings of sub-words get no gradient."""
        body: Any = self.encoder.body
        table = body.get_input_embeddings()
        frozen = type(table) is nn.Embedding
        given = {"inputs_embeds": embedding(ids, table.weight.detach())} if frozen else {"input_ids": ids}
        states: Tensor = body(**given, attention_mask=visible.long()).last_hidden_state
        return states

    def pool(self, tokens: Tokens) -> Tensor:
        there = tokens.features.new_ones(tokens.features.shape[:2]) if tokens.mask is None else tokens.mask
        return (tokens.features * there[..., None]).sum(1) / there.sum(1, keepdim=True).clamp_min(1)

    def layer_groups(self) -> list[list[nn.Parameter]]:
        return [*self.encoder.layer_groups(), parameters_of(self.bag)]


def windows(count: Tensor, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """The pieces in which sentences are read, of the number of sub-words of each word [rows, words].

    Args:
        count: Sub-words of each word; 0 where there is none.
        most: Sub-words before a word with which it still goes into the same piece.

    Returns:
        The piece of each word [rows, words], its place in that [rows, words], and the sub-words of each piece.
    """
    starts = count.cumsum(1) - count
    number = torch.where(count > 0, starts // most, 0)
    first = torch.cat([number.new_zeros(1), (number.amax(1) + 1).cumsum(0)])
    window = number + first[:-1, None]
    pieces = int(first[-1])
    flat, there = window.flatten(), count.flatten() > 0
    begin = starts.new_full((pieces,), torch.iinfo(starts.dtype).max)
    begin = begin.scatter_reduce(0, flat[there], starts.flatten()[there], "amin")
    total = starts.new_zeros(pieces).scatter_add(0, flat, count.flatten())
    place = torch.where(count > 0, starts - begin[window], 0)
    return window, place, total


def load_words(checkpoint: str, spec: Spec) -> PretrainedWords:
    """The text encoder of a checkpoint, with its weights, for words encoded with its tokenizer.

    Raises:
        ModelError: It cannot be loaded, or reads no text.
        ParameterError: The words were encoded without its tokenizer.
    """
    words = require_kind(spec, WordsSpec, PretrainedWords.name)
    if not words.pieces:
        raise ParameterError(
            f"The sentences were encoded without the tokenizer of {checkpoint!r}; a model that begins from another one "
            "reads them as that does."
        )
    text = TextSpec(words.tokens, words.limit, words.padding, words.mask)
    encoder = load_pretrained(checkpoint, text, to_train=True)
    return PretrainedWords(
        vocabulary=words.vocabulary, pieces=words.pieces, before=words.before, after=words.after, limit=words.limit,
        padding=words.padding, encoder=encoder.config, body=encoder,
    )  # fmt: skip
