"""Learning without forgetting: what the network said of the classes before, it goes on saying of new rows."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from manyways.data.data import Data
from manyways.data.targets.classes import kl_distillation
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.last_teacher import LastTeacher
from manyways.methods.bases.tasks_in_order import ContinualLearner, ContinualMethod, among
from manyways.methods.fields import NotNegative, Positive
from manyways.methods.method import Ablations
from manyways.methods.needs import Classes, Input, Task
from manyways.models.model import Model


class LwFLearner(ContinualLearner):
    """A continual learner, and the network as it was when the last task ended."""

    teacher: LastTeacher


@dataclass(frozen=True, kw_only=True)
class LwF(ContinualMethod[LwFLearner]):
    """Learn each task from its own rows, and keep what the network before it said of them.

    No old row is kept: the rows of the new task are shown to the network as it was when the last one ended, and the
    network that learns is held to its answers about the classes so far, of each task among its own where the task is
    told. It is made for that question (`scenario="task"`); among all classes that were seen it forgets as plain
    fine-tuning does.
    """

    distillation_weight: NotNegative = 1.0
    """Weight of the old answers (λ₀)."""
    temperature: Positive = 2.0
    """Temperature of both answers (T); the higher, the more unlikely classes count."""

    needs: ClassVar = (Input, Classes, Task)
    gives: ClassVar = frozenset({"classify", "embed"})
    paper: ClassVar = "Li & Hoiem, Learning without forgetting, ECCV 2016"

    def ablations(self, data: Data) -> Ablations:
        return {**super().ablations(data), "its old answers": (replace(self, distillation_weight=0.0), data)}

    def begin(self, data: Data, model: Model | None, seed: int) -> LwFLearner:
        learner = super().begin(data, model, seed)
        learner.teacher = LastTeacher(learner.network)
        return learner

    def draw(self, learner: LwFLearner, step: int, rng: torch.Generator) -> Batch:
        return {**super().draw(learner, step, rng), "task": learner.task_at(step)}

    def loss(self, learner: LwFLearner, batch: Batch) -> Loss:
        outputs = learner.network(batch["inputs"])
        labels = learner.label_loss(among(outputs, batch["allowed"]), batch)
        if not self.distillation_weight:
            return labels, {}
        # In the first task, too, where nothing is to be kept: a step costs as much as later, and budgets hold.
        teacher = learner.teacher(batch["inputs"])
        if not batch["task"]:
            return labels, {}
        old = [kl_distillation(outputs[:, own], teacher[:, own], self.temperature)
               for own in self.questions(learner, batch["task"])]  # fmt: skip
        distillation = torch.stack(old).sum()
        return labels + self.distillation_weight * distillation, {"labels": labels, "distillation": distillation}

    def questions(self, learner: LwFLearner, task: int) -> list[Tensor]:
        """Masks of the classes [classes] among which the teacher of the tasks before `task` answers, each by itself."""
        before = learner.own[:task].to(learner.device)
        return list(before) if self.scenario == "task" else [before.any(0)]

    def end_of_task(self, learner: LwFLearner, task: int) -> None:
        learner.teacher.take_from(learner.network)
