"""Self-supervised methods that see each row twice, and compare the two views."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Generic

import torch
from torch import Tensor
from torch.nn.functional import normalize

from manyways.methods.bases.gradient import Batch
from manyways.methods.bases.rows import RowLearnerT
from manyways.methods.bases.self_supervised import SelfSupervised
from manyways.methods.fields import Interval
from manyways.methods.needs import Input
from manyways.models.network import Inputs
from manyways.training.learner import RowLearner


def two_views(learner: RowLearner, rows: Inputs, rng: torch.Generator) -> Inputs:
    """Two views of each of `rows` at random: all of the first kind, then all of the second."""
    first, second = learner.views.contrastive(rows, rng), learner.views.contrastive(rows, rng)
    return {name: torch.cat([first[name], second[name]]) for name in rows}


def partner_accuracy(a: Tensor, b: Tensor) -> dict[str, float]:
    """The share of 2N views whose partner is the nearest of the 2N − 1 others by the cosine, and that by chance.

    a, b: projections [N, width], row i of both from the same example.
    """
    both = normalize(torch.cat([a, b]).float(), dim=1)
    nearest = (both @ both.T).fill_diagonal_(float("-inf")).argmax(1)
    partner = torch.arange(len(both), device=both.device).roll(len(a))
    return {"accuracy": float((nearest == partner).float().mean()), "chance": 1 / max(1, len(both) - 1)}


@dataclass(frozen=True, kw_only=True)
class TwoViews(SelfSupervised[RowLearnerT], Generic[RowLearnerT]):
    """A method whose batch holds each row in two views, all first ones before all second ones.

    Its `compared` are the projections of views, and its pretext task is to find the other view of a row by them.
    """

    batch_size: Annotated[int, Interval("[2, inf)")] = 256
    """Rows in a batch; each is seen in two views."""

    needs: ClassVar = (Input,)
    gives: ClassVar = frozenset({"embed"})
    takes: ClassVar = frozenset({"embed"})
    missing_inputs: ClassVar = True

    def draw(self, learner: RowLearnerT, step: int, rng: torch.Generator) -> Batch:
        positions = learner.pick(learner.everything, self.examples_per_step(learner), step)
        rows = torch.from_numpy(positions).to(learner.device)
        return {"inputs": two_views(learner, learner.take(positions), rng), "rows": rows}

    def pretext(self, learner: RowLearnerT, inputs: Inputs, rng: torch.Generator) -> Mapping[str, float]:
        """The share of views whose partner is the nearest of all others."""
        return partner_accuracy(*self.compared(learner, two_views(learner, inputs, rng)).chunk(2))

    def examples_per_step(self, learner: RowLearnerT) -> int:
        # Twice in a batch, a row would be its own opposite.
        return min(self.rows_in_batch(learner), max(2, len(learner.rows)))
