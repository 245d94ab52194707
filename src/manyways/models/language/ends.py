"""Ends of answers."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

BEHIND = 8
"""Tokens more than the words have characters that are looked at: the words may begin in the middle of a token."""


@dataclass(frozen=True)
class Ends:
    """End of an answer: at one of `tokens`, or once its text holds `words`, which `tokenizer` then decodes."""

    tokens: Collection[int]
    words: str = ""
    tokenizer: Any = None

    def reached(self, sampled: Tensor) -> Tensor:
        """True for each answer that ends with its last token; `sampled` int64 [answers, tokens so far]."""
        ended = torch.isin(sampled[:, -1], torch.tensor(sorted(self.tokens), device=sampled.device))
        if self.words:
            said = [self._hold_words(row) for row in sampled.tolist()]
            ended = ended | torch.tensor(said, dtype=torch.bool, device=sampled.device)
        return ended

    def cut(self, ids: Sequence[int]) -> list[int]:
        """`ids` up to and with the token that ends them."""
        for at, token in enumerate(ids):
            if token in self.tokens or (self.words and self._hold_words(ids[: at + 1])):
                return list(ids[: at + 1])
        return list(ids)

    def text(self, ids: Sequence[int]) -> str:
        """Text of `ids`, without what ends them."""
        text = str(self.tokenizer.decode(ids, skip_special_tokens=True))
        return text.partition(self.words)[0].rstrip() if self.words else text

    def _hold_words(self, ids: Sequence[int]) -> bool:
        return self.words in self.tokenizer.decode(ids[-len(self.words) - BEHIND :])
