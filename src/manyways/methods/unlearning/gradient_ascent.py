"""Gradient ascent on the rows to be forgotten, descent on the others."""

from dataclasses import dataclass
from typing import ClassVar

from manyways.data.data import Data
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.fields import NotNegative
from manyways.methods.unlearning._approximate import Approximate
from manyways.methods.unlearning._learners import Unlearner, unlearner
from manyways.models.model import Model


@dataclass(frozen=True, kw_only=True)
class GradientAscent(Approximate[Unlearner]):
    """Raise the loss on the rows to be forgotten and keep it low on the others (gradient difference). No proof.

    The loss has no upper bound: after many steps a language model says nothing of sense any more; NPO bounds it.
    """

    forget_weight: NotNegative = 1.0
    """Weight of the loss that rises."""
    retain_weight: NotNegative = 1.0
    """Weight of the loss of the rows that stay; 0 is plain gradient ascent."""

    paper: ClassVar = (
        "Jang et al., Knowledge unlearning, ACL 2023; with a term for the rows that stay: Liu, Liu & Stone, Continual "
        "learning and private unlearning, CoLLAs 2022"
    )

    def begin(self, data: Data, model: Model | None, seed: int) -> Unlearner:
        return unlearner(model, data, seed)

    def loss(self, learner: Unlearner, batch: Batch) -> Loss:
        rising = learner.mean(learner.network, batch["forget"])
        kept = learner.mean(learner.network, batch["retain"])
        return self.retain_weight * kept - self.forget_weight * rising, {"forget": rising, "retain": kept}
