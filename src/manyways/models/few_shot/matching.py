"""Matching: a row is told by attention over all examples (Vinyals et al., NeurIPS 2016)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from manyways.models.few_shot.comparing import FeatureAdaptation
from manyways.models.heads import Head
from manyways.models.network import Network


class MatchingHead(Head):
    """Head of attention over examples [examples, width], of length 1, with class codes int64 [examples].

    The outputs are log Σ exp(cos(x, xᵢ) / temperature) over the examples of each class, whose softmax is the sum of the
    attention on them.
    """

    name: ClassVar[str] = "matching"
    examples: Tensor
    codes: Tensor

    def __init__(self, width: int, outputs: int, examples: int, temperature: float) -> None:
        super().__init__()
        self.config = {"width": width, "outputs": outputs, "examples": examples, "temperature": temperature}
        self.register_buffer("examples", torch.zeros(examples, width))
        self.register_buffer("codes", torch.zeros(examples, dtype=torch.int64))

    def forward(self, features: Tensor) -> Tensor:
        scaled = (normalize(features.float(), dim=1) @ self.examples.T) / float(self.config["temperature"])
        of_class = self.codes == torch.arange(int(self.config["outputs"]), device=scaled.device)[:, None]
        return scaled[:, None].masked_fill(~of_class, float("-inf")).logsumexp(2)


@dataclass(frozen=True)
class Matching(FeatureAdaptation):
    """The class of a row is the one whose examples have most of its attention: a softmax over their cosines."""

    by = "matching"
    temperature: float

    def logits(self, network: Network, shots: Tensor, queries: Tensor) -> Tensor:
        examples = normalize(shots, dim=-1).flatten(-3, -2)
        cosines = normalize(queries, dim=-1) @ examples.transpose(-1, -2)
        of_class = (cosines / self.temperature).reshape(*cosines.shape[:-1], *shots.shape[-3:-1])
        return of_class.logsumexp(-1)

    def head(self, network: Network, features: Tensor, labels: Tensor, classes: int) -> MatchingHead:
        head = MatchingHead(features.shape[1], classes, len(features), self.temperature)
        head.examples.copy_(normalize(features, dim=1))
        head.codes.copy_(labels)
        return head.to(features.device)
