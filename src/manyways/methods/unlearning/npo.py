"""Negative preference optimisation: the rows to be forgotten are answers that are not preferred."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from manyways.data.data import Data
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.fields import NotNegative, Positive
from manyways.methods.unlearning._approximate import Approximate
from manyways.methods.unlearning._learners import Unlearner, unlearner
from manyways.models.model import Model
from manyways.training.loop import autocast


def npo_loss(ratios: Tensor, beta: float) -> Tensor:
    """−(2/β) log σ(−β r), the mean over rows; ratios r = log π(y|x) − log π_ref(y|x) float [rows] (equation 3)."""
    return -2 / beta * logsigmoid(-beta * ratios).mean()


@dataclass(frozen=True, kw_only=True)
class NPO(Approximate[Unlearner]):
    """Make the rows to be forgotten less probable than the start found them, ever more slowly. No proof.

    As DPO with answers that are only rejected: its gradient is that of gradient ascent, weighed down as a row becomes
    improbable, so that the model does not collapse. For a classifier the answer is the label.
    """

    beta: Positive = 0.1
    """Inverse temperature (β): the higher, the sooner a row counts as forgotten; towards 0 this is gradient ascent."""
    retain_weight: NotNegative = 1.0
    """Weight of the loss of the rows that stay."""

    paper: ClassVar = (
        "Zhang et al., Negative preference optimization: from catastrophic collapse to effective unlearning, COLM 2024"
    )

    def begin(self, data: Data, model: Model | None, seed: int) -> Unlearner:
        learner = unlearner(model, data, seed)
        learner.register_buffer("reference", torch.zeros(int(learner.forget.max()) + 1))
        return learner

    def prepare(self, learner: Unlearner) -> None:
        learner.reference[torch.from_numpy(learner.forget)] = -learner.row_losses(
            learner.forget, autocast(self.precision, learner.device)
        )

    def loss(self, learner: Unlearner, batch: Batch) -> Loss:
        said = -learner.losses(learner.network, batch["forget"])
        ratios = said - learner.reference[batch["rows"]]
        kept = learner.mean(learner.network, batch["retain"])
        forgotten = npo_loss(ratios, self.beta)
        return forgotten + self.retain_weight * kept, {"forget": forgotten, "retain": kept, "ratio": ratios.mean()}
