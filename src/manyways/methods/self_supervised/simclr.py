"""SimCLR: two views of one row belong together."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from manyways.data.data import Data
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.two_views import TwoViews
from manyways.methods.fields import Count, Positive
from manyways.methods.method import Ablations
from manyways.methods.recommendations import Recommendation
from manyways.models.model import Model
from manyways.models.network import Inputs
from manyways.training.learner import RowLearner


def normalised_temperature_cross_entropy(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    """NT-Xent (Chen et al. 2020, equation 1): each of 2N views must pick out its partner among the other 2N − 1.

    a, b: projections [N, width], row i of both from the same example; temperature > 0.
    """
    both = normalize(torch.cat([a, b]).float(), dim=1)
    similarity = both @ both.T / temperature
    similarity = similarity.masked_fill(torch.eye(len(both), dtype=torch.bool, device=both.device), float("-inf"))
    partner = torch.arange(len(both), device=both.device).roll(len(a))
    return cross_entropy(similarity, partner)


class SimCLRLearner(RowLearner):
    """A learner of encoded rows, and the projector whose outputs are compared."""

    projector: nn.Sequential


@dataclass(frozen=True, kw_only=True)
class SimCLR(TwoViews[SimCLRLearner]):
    """Learn features without labels: tell two views of the same row from views of all other rows in the batch."""

    temperature: Positive = 0.2
    """Divides the cosine similarities; the paper finds 0.1 to 0.5 best, by batch size and length."""
    projection: Count = 64
    """Width of the projection that is compared; it is dropped afterwards."""

    suggests: ClassVar = ("simclr >> fine-tune", "simclr >> fixmatch")
    recommends: ClassVar = {
        "image": Recommendation("features are learned from all images first, labelled or not", 28),
        "any": Recommendation("features are learned from all rows first, labelled or not", 38),
    }
    paper: ClassVar = "Chen et al., A simple framework for contrastive learning, ICML 2020"

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(batch_size=32)

    def ablations(self, data: Data) -> Ablations:
        return {"differences of similarity": (replace(self, temperature=1e6), data)}

    def begin(self, data: Data, model: Model | None, seed: int) -> SimCLRLearner:
        learner = super().begin(data, model, seed)
        width = learner.network.width
        learner.projector = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, self.projection))
        return learner

    def loss(self, learner: SimCLRLearner, batch: Batch) -> Loss:
        a, b = self.compared(learner, batch["inputs"]).chunk(2)
        return normalised_temperature_cross_entropy(a, b, self.temperature), {}

    def compared(self, learner: SimCLRLearner, inputs: Inputs) -> Tensor:
        """The projections."""
        projections: Tensor = learner.projector(learner.network.features(inputs))
        return projections
