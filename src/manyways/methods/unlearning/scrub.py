"""SCRUB: a student that obeys its teacher on the rows that stay, and contradicts it on the others."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from manyways.data.data import Data
from manyways.data.targets.classes import kl_distillation
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.fields import Count, NotNegative, Positive
from manyways.methods.needs import Classes, Forget, Input
from manyways.methods.unlearning._approximate import Approximate
from manyways.methods.unlearning._learners import RowUnlearner
from manyways.models.model import Model, of_kind
from manyways.models.predictor import Predictor
from manyways.training.budget import Budget
from manyways.training.loop import autocast

FEWEST = 60
"""Steps at least, where no budget is named."""


class SCRUBLearner(RowUnlearner):
    """A classifier under unlearning, and the logits of the model that it was, float32 [rows, classes]."""

    teacher_outputs: Tensor


@dataclass(frozen=True, kw_only=True)
class SCRUB(Approximate[SCRUBLearner]):
    """Move away from what the model said of the rows to be forgotten, and towards what it said of the others. No proof.

    Rounds of passes: in the first ones the divergence from the model as it was rises on the rows to be forgotten (max
    steps), and in all of them it falls on the others, with their own loss (min steps), which end every round. What max
    steps diverge from is the class that the model gave, not its probabilities: where a student is what its teacher is,
    the latter has no slope, and it rises as well when the student grows surer still.
    """

    rounds: Count = 6
    """Passes into which the budget is divided."""
    forgetting_rounds: Count = 3
    """Of those, how many begin with max steps."""
    keep_weight: NotNegative = 0.5
    """Weight of the divergence on the rows that stay (α)."""
    label_weight: NotNegative = 1.0
    """Weight of the labels of the rows that stay (γ)."""
    temperature: Positive = 2.0
    """Softens what both models say."""
    learning_rate: Positive = 5e-4
    """The highest learning rate of AdamW, reached after the warm-up."""

    needs: ClassVar = (Input, Classes, Forget)
    gives: ClassVar = frozenset({"classify", "embed"})
    takes: ClassVar = frozenset({"classify", "regress"})
    paper: ClassVar = "Kurmanji et al., Towards unbounded machine unlearning, NeurIPS 2023"

    field_trials: ClassVar = {"forgetting_rounds": {"rounds": 2, "forgetting_rounds": 1}}

    def default_budget(self, data: Data) -> Budget:
        passes = -(-int(data.training.forgotten.sum()) // self.batch_size)
        return Budget(max(FEWEST, 2 * self.rounds * passes), "steps")

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        reason = super().lacks(data, model)
        if reason is None and model is not None and model.target is not None and not model.target.classification:
            return f"it compares probabilities of classes, and {model.lineage.title} predicts a number. Take npo."
        return reason

    def begin(self, data: Data, model: Model | None, seed: int) -> SCRUBLearner:
        learner = SCRUBLearner(of_kind(Predictor, model), data, seed)
        assert learner.target is not None
        learner.register_buffer("teacher_outputs", torch.zeros(len(learner.rows), learner.target.width))
        return learner

    @torch.no_grad()
    def prepare(self, learner: SCRUBLearner) -> None:
        everything = learner.everything
        with autocast(self.precision, learner.device):
            for at in range(0, len(everything), 256):
                said = learner.network(learner.take(everything[at : at + 256]))
                learner.teacher_outputs[at : at + 256] = said.float()

    def rising(self, step: int, steps: int, forgotten: int) -> bool:
        """True if `step` of `steps` is a max step: a pass over the `forgotten` rows, of half a round at most."""
        length = max(1, steps // self.rounds)
        place, at = divmod(step, length)
        passes = min(max(1, length // 2), -(-forgotten // self.batch_size))
        return place < self.forgetting_rounds and at < passes and length > 1

    def draw(self, learner: SCRUBLearner, step: int, rng: torch.Generator) -> Batch:
        rising = self.rising(step, learner.steps, len(learner.forget))
        pool = learner.forget if rising else learner.retain
        rows = learner.pick(pool, self.batch_size, step, stream=int(rising))
        teacher = learner.teacher_outputs[torch.from_numpy(rows).to(learner.device)]
        return {**learner.batch(rows), "teacher_outputs": teacher, "rising": rising}

    def loss(self, learner: SCRUBLearner, batch: Batch) -> Loss:
        outputs: Tensor = learner.network(batch["inputs"])
        if batch["rising"]:
            doubt = cross_entropy(outputs.float(), batch["teacher_outputs"].argmax(1))
            return -doubt, {"forget": doubt}
        apart = kl_distillation(outputs, batch["teacher_outputs"], self.temperature)
        told = cross_entropy(outputs.float(), batch["labels"])
        return self.keep_weight * apart + self.label_weight * told, {"retain": apart, "labels": told}

    def examples_per_step(self, learner: SCRUBLearner) -> float:
        return self.batch_size
