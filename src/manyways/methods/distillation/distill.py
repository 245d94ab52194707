"""Distillation: a student learns what a teacher says."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from manyways.data.data import Data
from manyways.data.encoding import Encoded
from manyways.data.storage import RowNumbers
from manyways.data.targets import Outputs, predictions
from manyways.data.targets.base import DISTILLATION
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.rows import LabelledMethod
from manyways.methods.fields import Positive, Share
from manyways.methods.method import Ablations
from manyways.methods.needs import Input
from manyways.methods.recommendations import Recommendation
from manyways.models.model import Model
from manyways.models.network import Network
from manyways.models.structured import StructuredPredictor
from manyways.training.learner import LabelledLearner


class DistillLearner(LabelledLearner):
    """A learner of encoded rows, with the teacher's outputs on all of them, float32 [rows, outputs]; or the teacher.

    The teacher itself is there where the label has a structure: its outputs on all rows at once would be too many.
    """

    teacher_outputs: Tensor
    teacher: Network | None
    teacher_rows: Encoded


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
        learner.teacher = None
        if isinstance(model, StructuredPredictor):
            learner.teacher = model.copy_of_network().requires_grad_(False)
            learner.teacher_rows = model.inputs.encode(learner.training_data)
            return learner
        # The teacher sees the rows as they are, so each row passes through it only once.
        learner.register_buffer("teacher_outputs", torch.from_numpy(model.outputs(data.training)))
        return learner

    def draw(self, learner: DistillLearner, step: int, rng: torch.Generator) -> Batch:
        rows = learner.pick(learner.everything, self.batch_size, step)
        return {
            "inputs": learner.target.unmoved(learner.views, "weak", learner.take(rows), rng),
            "teacher_outputs": self._taught(learner, rows),
            **learner.labels_of(rows),
        }

    @torch.no_grad()
    def _taught(self, learner: DistillLearner, rows: RowNumbers) -> Outputs:
        """The teacher's outputs on `rows`, which it sees as they are."""
        if learner.teacher is None:
            return learner.teacher_outputs[torch.from_numpy(rows).to(learner.device)]
        return learner.teacher.eval()(learner.teacher_rows.batch(rows, learner.device))

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        if model is not None and model.target is not None and DISTILLATION not in model.target.supports:
            return (
                f"it compares a student's outputs with a teacher's, which is not defined for the label "
                f"{model.target.name!r} of the kind {model.target.kind}. Of such labels learn supervised and fine-tune."
            )
        return super().lacks(data, model)

    def loss(self, learner: DistillLearner, batch: Batch) -> Loss:
        outputs, target, weight = learner.network(batch["inputs"]), learner.target, self.label_weight
        taught = target.distillation_loss(outputs, batch["teacher_outputs"], self.temperature)
        known = target.known(batch["labels"])
        if weight == 0 or not known.any():
            return taught, {"teacher": taught}
        labelled: Batch = {name: batch[name][known] for name in ("labels", "weights") if name in batch}
        supervised = learner.label_loss(outputs[known], labelled)
        return (1 - weight) * taught + weight * supervised, {"teacher": taught, "labels": supervised}
