"""The head of spans: where an answer begins and ends in a text, or that there is none."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from torch import Tensor, nn

from manyways.data.targets.span import SpanOutputs
from manyways.errors import DataError, ModelError
from manyways.models.backbones.pair_reader import PairReader, PairTokens
from manyways.models.heads import StructuredHead

if TYPE_CHECKING:
    from manyways.data.targets.base import Outputs
    from manyways.data.targets.structured import StructuredTarget
    from manyways.models.backbones.tokens import Tokens
    from manyways.models.network import Network


class SpanHead(StructuredHead):
    """Logits of the first and of the last token of an answer; those of the summary say that there is none."""

    name = "span"

    def __init__(self, input: str, width: int, dropout: float) -> None:
        super().__init__()
        self.config = {"input": input, "width": width, "dropout": dropout}
        self.input, self.width = input, width
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, 2)

    @classmethod
    def made_for(cls, network: "Network", target: "StructuredTarget") -> Self:
        names = [name for name, part in zip(network.names, network.parts, strict=True) if isinstance(part, PairReader)]
        if len(names) != 1:
            raise DataError(
                "A span is found by a question in a text, which are read together: start from data with both, not from "
                "a model that reads other inputs."
            )
        return cls(names[0], network.token_width, 0.1)

    def from_tokens(self, tokens: "Mapping[str, Tokens]") -> "Outputs":
        pair = tokens[self.input]
        if not isinstance(pair, PairTokens) or pair.mask is None:
            raise ModelError(
                f"The head {self.name!r} reads a question and a text together, which {self.input!r} is not."
            )
        logits: Tensor = self.linear(self.dropout(pair.features)).float()
        hidden = logits.masked_fill(~pair.mask[..., None], SpanOutputs.NOWHERE)
        return SpanOutputs(hidden[..., 0], hidden[..., 1], pair.mask, pair.places)
