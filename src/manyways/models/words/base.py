"""The base of heads on the words of a sentence."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from manyways.errors import DataError
from manyways.models.backbones.tokens import Tokens
from manyways.models.heads import StructuredHead

if TYPE_CHECKING:
    from manyways.models.network import Network

DROPOUT = 0.25


class WordsHead(StructuredHead):
    """A head that reads the tokens of words, and beside them the mean of what other inputs there are."""

    input: str
    """The input that has the words."""

    def fits(self, network: "Network") -> bool:
        return super().fits(network) and self.input in network.names

    def words(self, tokens: Mapping[str, Tokens]) -> tuple[Tensor, Tensor]:
        """Features of words [rows, words, width], and where there are words [rows, words]."""
        of_words = tokens[self.input]
        features = of_words.features
        mask = features.new_ones(features.shape[:2], dtype=torch.bool) if of_words.mask is None else of_words.mask
        beside = [each.mean()[:, None].expand(-1, features.shape[1], -1) for name, each in tokens.items()
                  if name != self.input]  # fmt: skip
        return torch.cat([features, *beside], dim=2) if beside else features, mask


def words_input(network: "Network", what: str) -> str:
    """The input of `network` that has the words of sentences. Raises DataError where there is none, or several."""
    names = [name for name, part in zip(network.names, network.parts, strict=True) if "words" in part.kinds]
    if len(names) == 1:
        return names[0]
    held = f"{len(names)} inputs of words ({', '.join(names)})" if names else f"the inputs {', '.join(network.names)}"
    raise DataError(
        f'{what} need one input of words, a column of lists of them, and here are {held}. Name it: input="words", '
        'kinds={"words": "words"}.'
    )
