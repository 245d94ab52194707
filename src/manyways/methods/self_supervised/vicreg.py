"""VICReg: two views of a row alike, features that vary, and no two of them the same."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from manyways.data.data import Data
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.rows import RowMethod
from manyways.methods.fields import Count, Interval, NotNegative
from manyways.methods.method import Ablations
from manyways.methods.needs import Input
from manyways.models.backbones._layers import BatchNorm
from manyways.models.model import Model
from manyways.training.learner import RowLearner

EPSILON = 1e-4


def variance_loss(z: Tensor) -> Tensor:
    """The mean over columns of what their standard deviation in the batch [rows, width] lacks to 1."""
    return (1 - (z.var(dim=0) + EPSILON).sqrt()).relu().mean()


def covariance_loss(z: Tensor) -> Tensor:
    """The sum of squared covariances of different columns of `z` [rows, width], divided by the width."""
    centred = z - z.mean(dim=0)
    covariance = centred.T @ centred / (len(z) - 1)
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / z.shape[1]


class VICRegLearner(RowLearner):
    """A learner of encoded rows, and the expander whose outputs are compared."""

    expander: nn.Sequential


@dataclass(frozen=True, kw_only=True)
class VICReg(RowMethod[VICRegLearner]):
    """Learn features without labels or negatives: two views alike, features that vary, and are not correlated."""

    batch_size: Annotated[int, Interval("[2, inf)")] = 256
    """Rows in a batch; each is seen in two views."""
    invariance: NotNegative = 25.0
    """Weight of the mean squared distance of the two views."""
    variance: NotNegative = 25.0
    """Weight of what the standard deviation of each column lacks to 1; without it all rows become the same."""
    covariance: NotNegative = 1.0
    """Weight of squared covariances of columns; without it they say the same."""
    expansion: Count = 512
    """Width of the expander that is compared; it is dropped afterwards."""

    needs: ClassVar = (Input,)
    gives: ClassVar = frozenset({"embed"})
    takes: ClassVar = frozenset({"embed"})
    missing_inputs: ClassVar = True
    suggests: ClassVar = ("vicreg >> fine-tune",)
    paper: ClassVar = (
        "Bardes et al., VICReg: Variance-invariance-covariance regularization for self-supervised learning, ICLR 2022"
    )

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(batch_size=32, expansion=16)

    def ablations(self, data: Data) -> Ablations:
        return {
            "likeness of two views": (replace(self, invariance=0.0), data),
            "variance": (replace(self, variance=0.0), data),
            "differences of columns": (replace(self, covariance=0.0), data),
        }

    def begin(self, data: Data, model: Model | None, seed: int) -> VICRegLearner:
        learner = super().begin(data, model, seed)
        width, out = learner.network.width, self.expansion
        learner.expander = nn.Sequential(
            nn.Linear(width, out), BatchNorm(out), nn.ReLU(),
            nn.Linear(out, out), BatchNorm(out), nn.ReLU(),
            nn.Linear(out, out),
        )  # fmt: skip
        return learner

    def draw(self, learner: VICRegLearner, step: int, rng: torch.Generator) -> Batch:
        rows = learner.take(learner.pick(learner.everything, self.examples_per_step(learner), step))
        first, second = learner.views.contrastive(rows, rng), learner.views.contrastive(rows, rng)
        return {"inputs": {name: torch.cat([first[name], second[name]]) for name in rows}}

    def loss(self, learner: VICRegLearner, batch: Batch) -> Loss:
        a, b = learner.expander(learner.network.features(batch["inputs"])).float().chunk(2)
        parts = {
            "invariance": mse_loss(a, b),
            "variance": (variance_loss(a) + variance_loss(b)) / 2,
            "covariance": covariance_loss(a) + covariance_loss(b),
        }
        weights = (self.invariance, self.variance, self.covariance)
        return torch.stack([weight * part for weight, part in zip(weights, parts.values(), strict=True)]).sum(), parts

    def examples_per_step(self, learner: VICRegLearner) -> int:
        return min(self.rows_in_batch(learner), max(2, len(learner.rows)))
