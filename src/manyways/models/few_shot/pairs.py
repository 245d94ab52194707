"""Pairs: a row is told by the one example that it is most likely of one class with (Koch et al. 2015)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from manyways.errors import ModelError
from manyways.models.few_shot.comparing import FeatureAdaptation
from manyways.models.heads import Head
from manyways.models.network import Network


class PairHead(Head):
    """Head of the log-odds that two rows are of one class: α·|h₁ − h₂| + β, of h = σ(W f + c), [units].

    An adapted one holds the h of examples [examples, units] and their class codes int64 [examples]. The output of a
    class is the highest log-odds with one of its examples; where a row is of one class, the softmax follows.
    """

    name: ClassVar[str] = "pairs"
    examples: Tensor
    codes: Tensor

    def __init__(self, width: int, units: int, outputs: int = 0, examples: int = 0) -> None:
        super().__init__()
        self.config = {"width": width, "units": units, "outputs": outputs, "examples": examples}
        self.embedding = nn.Linear(width, units)
        self.weighing = nn.Linear(units, 1)
        # Small weights of either sign leave all pairs alike for thousands of steps: units differ from the start, as in
        # the paper, and every difference speaks against one class.
        nn.init.normal_(self.embedding.weight, std=0.2)
        nn.init.constant_(self.weighing.weight, -0.2)
        nn.init.constant_(self.weighing.bias, 2.0)
        self.register_buffer("examples", torch.zeros(examples, units))
        self.register_buffer("codes", torch.zeros(examples, dtype=torch.int64))

    def embedded(self, features: Tensor) -> Tensor:
        """The h of features [..., width], [..., units]."""
        embedded: Tensor = self.embedding(features.float()).sigmoid()
        return embedded

    def log_odds(self, queries: Tensor, examples: Tensor) -> Tensor:
        """The log-odds [..., queries, examples] of h [..., queries, units] and h [..., examples, units]."""
        odds: Tensor = self.weighing((queries[..., :, None, :] - examples[..., None, :, :]).abs())
        return odds[..., 0]

    def forward(self, features: Tensor) -> Tensor:
        odds = self.log_odds(self.embedded(features), self.examples)
        of_class = self.codes == torch.arange(int(self.config["outputs"]), device=odds.device)[:, None]
        return odds[:, None].masked_fill(~of_class, float("-inf")).amax(2)


@dataclass(frozen=True)
class Pairs(FeatureAdaptation):
    """The class of a row is that of the example which it is most likely of one class with."""

    by = "pairs"

    def log_odds(self, network: Network, shots: Tensor, queries: Tensor) -> Tensor:
        """Log-odds [..., queries, ways, shots] that a query is of one class with a shot."""
        head = pair_head(network)
        odds = head.log_odds(head.embedded(queries), head.embedded(shots).flatten(-3, -2))
        return odds.reshape(*odds.shape[:-1], *shots.shape[-3:-1])

    def logits(self, network: Network, shots: Tensor, queries: Tensor) -> Tensor:
        return self.log_odds(network, shots, queries).amax(-1)

    def head(self, network: Network, features: Tensor, labels: Tensor, classes: int) -> PairHead:
        old = pair_head(network)
        with torch.random.fork_rng():  # new layers draw weights, which are replaced at once
            head = PairHead(int(old.config["width"]), int(old.config["units"]), classes, len(features))
        head.embedding.load_state_dict(old.embedding.state_dict())
        head.weighing.load_state_dict(old.weighing.state_dict())
        head = head.to(features.device)
        with torch.no_grad():
            head.examples.copy_(head.embedded(features))
        head.codes.copy_(labels)
        return head


def pair_head(network: Network) -> PairHead:
    """The head of `network`, which compares pairs.

    Raises:
        ModelError: It is of another kind.
    """
    if not isinstance(network.head, PairHead):
        raise ModelError(f"A model that compares pairs has a PairHead; got {type(network.head).__name__}.")
    return network.head
