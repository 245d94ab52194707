"""Distillation: a student learns what a teacher says."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from manyways.data.data import Data
from manyways.data.targets import predictions
from manyways.data.targets.base import DISTILLATION
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.rows import LabelledMethod
from manyways.methods.fields import Positive, Share
from manyways.methods.method import Ablations
from manyways.methods.needs import Input
from manyways.methods.recommendations import Recommendation
from manyways.models.model import Model
from manyways.training.learner import LabelledLearner


class DistillLearner(LabelledLearner):
    """A learner of encoded rows, and the teacher's outputs on all of them, float32 [rows, outputs]."""

    teacher_outputs: Tensor


@dataclass(frozen=True, kw_only=True)
class Distill(LabelledMethod[DistillLearner]):
    """Teach a new network of any kind and size (`backbone=`, `size=`) what a model says of all rows, labelled or not.

    The student reads its inputs as the teacher does; a student with a checkpoint for a backbone reads them its own way.
    """

    temperature: Positive = 2.0
    """Softens the teacher's probabilities (T)."""
    label_weight: Share = 0.1
    """Weight of the labels' own loss where rows have them; the rest is the teacher's."""

    needs: ClassVar = (Input,)
    gives: ClassVar = predictions(supporting=DISTILLATION) | {"embed"}
    takes: ClassVar = predictions(supporting=DISTILLATION)
    missing_inputs: ClassVar = True
    requires_model: ClassVar = True
    uses_all_rows: ClassVar = True
    suggests: ClassVar = ("fixmatch >> distill",)
    recommends: ClassVar = {
        "any": Recommendation("a smaller network learns from the answers of a better one", 60),
    }
    paper: ClassVar = "Hinton, Vinyals & Dean, Distilling the knowledge in a neural network (2015)"

    def ablations(self, data: Data) -> Ablations:
        return {"its teacher": (replace(self, label_weight=1.0), data)}

    def begin(self, data: Data, model: Model | None, seed: int) -> DistillLearner:
        assert model is not None
        assert model.target is not None
        network, encoding = self.start_network(data, None, model.target)
        learner = self.make_learner(network, data, encoding, model.target, seed)
        # The teacher sees the rows as they are, so each row passes through it only once.
        learner.register_buffer("teacher_outputs", torch.from_numpy(model.outputs(data.training)))
        return learner

    def draw(self, learner: DistillLearner, step: int, rng: torch.Generator) -> Batch:
        rows = learner.pick(learner.everything, self.batch_size, step)
        return {
            "inputs": learner.views.weak(learner.take(rows), rng),
            "teacher_outputs": learner.teacher_outputs[torch.from_numpy(rows).to(learner.device)],
            **learner.labels_of(rows),
        }

    def loss(self, learner: DistillLearner, batch: Batch) -> Loss:
        outputs, target, weight = learner.network(batch["inputs"]), learner.target, self.label_weight
        taught = target.distillation_loss(outputs, batch["teacher_outputs"], self.temperature)
        known = target.known(batch["labels"])
        if weight == 0 or not known.any():
            return taught, {"teacher": taught}
        labelled: Batch = {name: batch[name][known] for name in ("labels", "weights") if name in batch}
        supervised = learner.label_loss(outputs[known], labelled)
        return (1 - weight) * taught + weight * supervised, {"teacher": taught, "labels": supervised}
