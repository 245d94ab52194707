"""A question and a text read together, in windows that overlap where the text is long."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from manyways.data.encoders.pair import STRIDE, PairSpec
from manyways.data.specs import Spec
from manyways.errors import ModelError
from manyways.models.backbones._layers import parameters_of
from manyways.models.backbones.base import Backbone, require_kind
from manyways.models.backbones.pretrained import Pretrained, load_pretrained
from manyways.models.backbones.text_transformer import TextTransformer
from manyways.models.backbones.tokens import Tokens


@dataclass(frozen=True)
class PairTokens(Tokens):
    """Tokens of a pair: first what summarises it, then those of its text, and the characters that these stand for.

    places: from which to which character of the text, int64 [rows, tokens of the text, 2].
    """

    places: Tensor


class PairReader(Backbone):
    """A text encoder over "question, text" in one sequence (Devlin et al., NAACL 2019).

    A text that does not fit is read in windows, each behind the question; a token of the text is that of the window in
    which it has the most context, the lesser of what is left and right of it. Which of both a token belongs to is told
    as the checkpoint tells it, or learned.
    """

    name: ClassVar[str] = "pair-reader"
    kinds: ClassVar[tuple[str, ...]] = ("pair",)

    def __init__(
        self,
        *,
        encoder: Mapping[str, Any],
        window: int,
        question: int,
        before: Sequence[int],
        between: Sequence[int],
        after: Sequence[int],
        padding: int,
        stride: int = STRIDE,
        body: Backbone | None = None,
    ) -> None:
        inner = _rebuilt(encoder) if body is None else body
        super().__init__(
            inner.token_width, encoder=dict(encoder), window=window, question=question, before=list(before),
            between=list(between), after=list(after), padding=padding, stride=stride,
        )  # fmt: skip
        self.window, self.stride, self.question, self.padding = window, stride, question, padding
        self.before, self.between, self.after = list(before), list(between), list(after)
        self.encoder = inner
        self.sides = nn.Embedding(2, inner.token_width)
        nn.init.zeros_(self.sides.weight)

    @classmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        pair = require_kind(spec, PairSpec, cls.name)
        return {"name": cls.name, **_described(pair, TextTransformer.sized(pair.text, size))}

    def tokens(self, x: Tensor) -> PairTokens:
        questions, texts = x[:, : self.question, 0], x[:, self.question :]
        sizes, there = (questions >= 0).sum(1), texts[:, :, 0] >= 0
        lengths = there.sum(1)
        ids, sides, place, window = self._windows(questions, texts[:, :, 0], sizes.tolist(), lengths.tolist())
        states = self._states(ids, sides)
        # Padding at the end of all texts of a batch has no place: position 0 stands in for it, and is masked.
        of_text = states[window, place] * there[..., None]
        first = window[:, 0] if window.shape[1] else torch.arange(len(x), device=x.device)
        features = torch.cat([states[first, :1], of_text], dim=1)
        mask = torch.cat([there.new_ones(len(x), 1), there], dim=1)
        return PairTokens(features, mask, (texts.shape[1],), texts[:, :, 1:])

    def _windows(
        self, questions: Tensor, texts: Tensor, sizes: list[int], lengths: list[int]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The windows of all rows: tokens and sides [windows, tokens]; of each token of a text its place and window."""
        frame = len(self.before) + len(self.between) + len(self.after)
        place = texts.new_zeros(texts.shape)
        window = texts.new_zeros(texts.shape)
        lines: list[Tensor] = []
        heads: list[int] = []
        for row, (count, length) in enumerate(zip(sizes, lengths, strict=True)):
            room = self.window - frame - count
            if room < 1:
                raise ModelError(f"A question of {count} tokens leaves no room for a text among {self.window}.")
            starts = window_starts(length, room, min(self.stride, room))
            head = [*self.before, *questions[row, :count].tolist(), *self.between]
            best = best_windows(length, room, starts).to(texts.device)
            window[row, :length] = best + len(lines)
            place[row, :length] = torch.arange(length, device=texts.device) - starts[best] + len(head)
            window[row, length:] = len(lines)
            for start in starts.tolist():
                piece = texts[row, start : min(start + room, length)]
                lines.append(torch.cat([piece.new_tensor(head), piece, piece.new_tensor(self.after)]))
                heads.append(len(head))
        ids = nn.utils.rnn.pad_sequence(lines, batch_first=True, padding_value=self.padding)
        sides = (torch.arange(ids.shape[1], device=ids.device) >= ids.new_tensor(heads)[:, None]).long()
        return ids, sides, place, window

    def _states(self, ids: Tensor, sides: Tensor) -> Tensor:
        """Features of all tokens [windows, tokens, width]."""
        body = getattr(self.encoder, "body", None)
        if isinstance(self.encoder, Pretrained) and body is not None:
            visible = (ids.flip(1) != self.padding).cumsum(1).flip(1) > 0
            told = {"token_type_ids": sides} if getattr(body.config, "type_vocab_size", 0) > 1 else {}
            states: Tensor = body(input_ids=ids, attention_mask=visible.long(), **told).last_hidden_state
        else:
            states = self.encoder.tokens(ids).features
        of_side: Tensor = self.sides(sides[:, : states.shape[1]])
        return states + of_side

    def layer_groups(self) -> list[list[nn.Parameter]]:
        return [*self.encoder.layer_groups(), parameters_of(self.sides)]


def window_starts(length: int, room: int, stride: int) -> Tensor:
    """Where windows of `room` tokens begin in a text, each `stride` behind the one before, until all is read."""
    more = -(-max(0, length - room) // stride)
    return torch.arange(more + 1) * stride


def best_windows(length: int, room: int, starts: Tensor) -> Tensor:
    """The window of each of `length` tokens in which it has the most context on its poorer side, int64 [length]."""
    place = torch.arange(length)
    ends = (starts + room).clamp_max(length)
    left, right = place[:, None] - starts, ends - 1 - place[:, None]
    return torch.minimum(left, right).argmax(dim=1)


def load_pair(checkpoint: str, spec: Spec) -> PairReader:
    """The text encoder of a checkpoint, with its weights, for pairs encoded with its tokenizer.

    Raises:
        ModelError: It cannot be loaded, reads no text, or another tokenizer's tokens.
    """
    pair = require_kind(spec, PairSpec, PairReader.name)
    encoder = load_pretrained(checkpoint, pair.text, to_train=True)
    return PairReader(**_described(pair, encoder.config), body=encoder)


def _rebuilt(encoder: Mapping[str, Any]) -> Backbone:
    kind = Pretrained if encoder.get("name") == Pretrained.name else TextTransformer
    return kind.from_config(encoder)


def _described(pair: PairSpec, encoder: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "encoder": dict(encoder), "window": pair.text.length, "question": pair.question, "before": list(pair.before),
        "between": list(pair.between), "after": list(pair.after), "padding": pair.text.padding,
    }  # fmt: skip
