"""VICReg: two views of a row alike, features that vary, and no two of them the same."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from manyways.data.data import Data
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.two_views import TwoViews
from manyways.methods.fields import Count, Interval, NotNegative
from manyways.methods.method import Ablations
from manyways.methods.recommendations import Recommendation
from manyways.models.backbones._layers import BatchNorm
from manyways.models.model import Model
from manyways.models.network import Inputs
from manyways.training.learner import RowLearner

EPSILON = 1e-4
COLLAPSED_DEVIATION = 0.1


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
class VICReg(TwoViews[VICRegLearner]):
    """Learn features without labels or negatives: two views alike, features that vary, and are not correlated."""

    batch_size: Annotated[int, Interval("[2, inf)")] = 64
    """Rows in a batch; each is seen in two views. Papers take 256 and more; in minutes on a CPU steps count more."""
    invariance: NotNegative = 25.0
    """Weight of the mean squared distance of the two views."""
    variance: NotNegative = 25.0
    """Weight of what the standard deviation of each column lacks to 1; without it all rows become the same."""
    covariance: NotNegative = 1.0
    """Weight of squared covariances of columns; without it they say the same."""
    expansion: Count = 512
    """Width of the expander that is compared; it is dropped afterwards."""

    suggests: ClassVar = ("vicreg >> fine-tune",)
    recommends: ClassVar = {"any": Recommendation("features are learned first, without any negatives", 82)}
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

    def loss(self, learner: VICRegLearner, batch: Batch) -> Loss:
        a, b = self.compared(learner, batch["inputs"]).chunk(2)
        parts = {
            "invariance": mse_loss(a, b),
            "variance": (variance_loss(a) + variance_loss(b)) / 2,
            "covariance": covariance_loss(a) + covariance_loss(b),
        }
        weights = (self.invariance, self.variance, self.covariance)
        return torch.stack([weight * part for weight, part in zip(weights, parts.values(), strict=True)]).sum(), parts

    def pretext(self, learner: VICRegLearner, inputs: Inputs, rng: torch.Generator) -> Mapping[str, float]:
        """The share of views whose partner is the nearest, and the deviation of the columns, which is to be 1."""
        found = super().pretext(learner, inputs, rng)
        return {**found, "deviation": float(self.compared(learner, inputs).std(dim=0).mean())}

    def cautions(self, scores: Mapping[str, float], rows: int) -> list[str]:
        """Those of the base, and where the columns hardly vary: unlike angles, that is what the loss holds up."""
        sentences = super().cautions(scores, rows)
        if scores["deviation"] < COLLAPSED_DEVIATION:
            sentences.insert(
                0,
                "The representation has collapsed: the standard deviation of what is compared is "
                f"{scores['deviation']:.2g}, where 1 is aimed at. Raise variance, or lower the learning rate.",
            )
        return sentences

    def compared(self, learner: VICRegLearner, inputs: Inputs) -> Tensor:
        """The expanded features."""
        expanded: Tensor = learner.expander(learner.network.features(inputs))
        return expanded.float()
