"""Siamese networks."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from manyways.data.data import Data
from manyways.data.views import view_names
from manyways.methods.bases.episodes import EpisodeLearner
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.metric import MetricMethod
from manyways.methods.fields import Count, Named
from manyways.models.few_shot.adapting import accuracy
from manyways.models.few_shot.pairs import PairHead, Pairs
from manyways.models.model import Model


@dataclass(frozen=True, kw_only=True)
class Siamese(MetricMethod):
    """Learn whether two rows are of one class; a row is then of the class of the example it is most likely paired with.

    Both rows go through one network and a layer of sigmoid units h: p(one class) = σ(Σ αⱼ |h₁ⱼ − h₂ⱼ| + β). An episode
    makes pairs of each of its queries with each of its shots, and those of one class weigh as much together as those of
    two. With the role task (alphabets of characters) pairs are of one task, which makes those of two classes hard. A
    class that was never trained needs a few examples: `model.adapt(support)`.
    """

    units: Count = 256
    """Sigmoid units whose differences are weighed; 4,096 in the paper."""
    augment: bool = True
    """True to see the rows of pairs through a view."""
    view: Annotated[str, Named(view_names)] = "weak"
    """The view: weak (of grey images the small affine distortions of the paper), strong, contrastive, or another that a
    package brings."""

    most_ways: ClassVar[int] = 20
    suggests: ClassVar = ()
    paper: ClassVar = "Koch, Zemel & Salakhutdinov, Siamese neural networks for one-shot recognition, ICML DL 2015"

    def adaptation(self) -> Pairs:
        return Pairs()

    def begin(self, data: Data, model: Model | None, seed: int) -> EpisodeLearner:
        learner = super().begin(data, model, seed)
        learner.network.head = PairHead(learner.network.width, self.units)
        return learner

    def draw(self, learner: EpisodeLearner, step: int, rng: torch.Generator) -> Batch:
        batch = super().draw(learner, step, rng)
        return {side: self._seen(learner, given, rng) for side, given in batch.items()} if self.augment else batch

    def _seen(self, learner: EpisodeLearner, given: Batch, rng: torch.Generator) -> Batch:
        """Rows [episodes, rows, …] through the view."""
        flat = {name: part.flatten(0, 1) for name, part in given["inputs"].items()}
        seen = learner.views.see(self.view, flat, rng)
        shape = given["labels"].shape
        return {**given, "inputs": {name: part.view(*shape, *part.shape[1:]) for name, part in seen.items()}}

    def loss(self, learner: EpisodeLearner, batch: Batch) -> Loss:
        shots, queries = self.episode_features(learner, batch)
        odds = self.adaptation().log_odds(learner.network, shots, queries)
        labels = batch["queries"]["labels"]
        return balanced_loss(odds, labels), {"accuracy": accuracy(odds.amax(-1), labels)}


def balanced_loss(log_odds: Tensor, labels: Tensor) -> Tensor:
    """The cross-entropy of pairs, of which those of one class and those of two weigh a half each.

    Args:
        log_odds: Log-odds that a query and a shot are of one class, [episodes, queries, ways, shots].
        labels: The classes of the queries, int64 [episodes, queries].
    """
    ways = torch.arange(log_odds.shape[2], device=labels.device)
    same = (labels[..., None] == ways)[..., None].expand_as(log_odds)
    return (softplus(-log_odds[same]).mean() + softplus(log_odds[~same]).mean()) / 2
