"""Gradient methods over tasks in order: each task is learned from its own rows, and then never comes back."""

import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.storage import RowNumbers
from manyways.data.targets import Target, predictions
from manyways.data.tasks import Tasks
from manyways.errors import TrainingError
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.rows import LabelledMethod
from manyways.methods.fields import NotNegative, Positive, Share
from manyways.methods.needs import ClassesOrStructure, Input, Task
from manyways.models.heads import Head, StructuredHead
from manyways.models.model import Model
from manyways.models.network import Network
from manyways.models.structured import predictor_for
from manyways.models.task_predictor import TaskPredictor, classes_of
from manyways.training.learner import LabelledLearner

NEVER = -1e4
"""The bias of a class that was not seen yet: it is never predicted."""


class ContinualLearner(LabelledLearner):
    """A learner of encoded rows whose tasks come one after the other, each for an equal share of the steps.

    task_of: the place of each labelled row's task in the order, -1 for rows without a label. own: which classes each
    task has, [tasks, classes]. begun: how many tasks have been learned from so far.
    """

    begun: Tensor

    def __init__(self, network: Network, data: Data, encoding: InputEncoding, target: Target, seed: int) -> None:
        super().__init__(network, data, encoding, target, seed)
        self.tasks = Tasks.of(data)
        self.task_of = np.full(len(self.rows), -1)
        for at, rows in enumerate(self.tasks.rows):
            self.task_of[rows] = at
        classes = classes_of(self.tasks, target) if target.classification else np.ones((len(self.tasks), 1), bool)
        self.own = torch.from_numpy(classes)
        self.register_buffer("begun", torch.zeros((), dtype=torch.int64))

    @property
    def validation(self) -> None:
        """None: that the score over all tasks stops rising in the middle of one says nothing of the next."""
        return None

    @property
    def picks(self) -> int:
        """The steps of a task: what is picked begins anew with each."""
        return max(1, self.steps // len(self.tasks))

    def milestones(self, steps: int) -> dict[int, str]:
        count = len(self.tasks)
        if steps < count:
            raise TrainingError(
                f"{count} tasks are learned one after the other, and the budget allows {steps} steps: less than one "
                "each. Give a larger budget."
            )
        self.steps = steps
        return {end: self.tasks.title(at) for at, end in enumerate(self.ends())}

    def ends(self) -> list[int]:
        """After how many steps each task has been learned."""
        return [(at + 1) * self.steps // len(self.tasks) for at in range(len(self.tasks))]

    def task_at(self, step: int) -> int:
        """The place of the task that is learned in `step`."""
        return int(np.searchsorted(self.ends(), step, side="right"))

    def since(self, step: int) -> int:
        """Steps since the task of `step` began."""
        at = self.task_at(step)
        return step - (self.ends()[at - 1] if at else 0)


ContinualT = TypeVar("ContinualT", bound=ContinualLearner)


@dataclass(frozen=True, kw_only=True)
class ContinualMethod(LabelledMethod[ContinualT], Generic[ContinualT]):
    """Learns tasks in their order, one after the other, each from its own rows for an equal share of the steps.

    The order is that of the column with the role time, where there is one; otherwise that of the tasks, where they are
    numbers, or in which they first come. All tasks share one head over all classes. Validation rows are not looked at.
    """

    scenario: Literal["class", "task"] = "class"
    """The question that the model is asked: the class among all that were seen; or among those of the row's task, which
    it is told (class- and task-incremental learning, van de Ven & Tolias 2019)."""
    learning_rate: Positive = 1e-3
    """Learning rate of AdamW, constant after the warm-up: tasks are equals."""
    warmup: Share = 0.0
    """Share of the steps in which the learning rate rises; it is constant afterwards."""
    weight_decay: NotNegative = 0.0
    """Decoupled weight decay of the matrices."""
    augment: bool = False
    """True if batches are seen through weak views."""

    needs: ClassVar = (Input, ClassesOrStructure, Task)
    gives: ClassVar = (predictions() - predictions(structured=False)) | {"classify", "embed"}
    takes: ClassVar = frozenset({"embed"})

    @classmethod
    def example_data(cls) -> Data:
        """Digits in three tasks, of four, three and three digits."""
        return super().example_data().with_tasks(3)

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        if reason := super().lacks(data, model):
            return reason
        if self.scenario == "task" and not data.classification:
            return (
                f"with scenario='task' rows are asked for a class among those of their task, and the label "
                f"{data.label.name!r} is of the kind {data.label.kind}. Leave it out: scenario='class'."
            )
        if self.scenario == "task":
            tasks = Tasks.of(data)
            for at, classes in enumerate(tasks.classes):
                if len(classes) < 2:
                    return (
                        f"with scenario='task' each task must have two classes or more, and all labelled rows of "
                        f"{tasks.names[at]!r} are {classes[0]!r}: told the task, there is nothing left to ask. Join it "
                        "with another, or ask for the class among all: scenario='class'."
                    )
        return None

    def goes_on_with(self, head: Head | None) -> bool:
        """True of a head whose last layer has a bias for each class (see `NEVER`), or which predicts a structure."""
        return isinstance(head, StructuredHead) or (head is not None and head.last is not None)

    def draw(self, learner: ContinualT, step: int, rng: torch.Generator) -> Batch:
        task = learner.task_at(step)
        rows = self.choose(learner, task, step)
        return {
            **learner.see("weak" if self.augment else None, rows, rng),
            "allowed": self.allowed(learner, rows, task).to(learner.device),
        }

    def choose(self, learner: ContinualT, task: int, step: int) -> RowNumbers:
        """The positions of the rows of `step`, in which `task` is learned: `batch_size` of its own."""
        return learner.pick(learner.tasks.rows[task], self.batch_size, learner.since(step))

    def allowed(self, learner: ContinualT, rows: RowNumbers, task: int) -> Tensor:
        """Among which classes each of `rows` is asked while `task` is learned, bool [rows, classes]."""
        if self.scenario == "task":
            return learner.own[torch.from_numpy(learner.task_of[rows])]
        return learner.own[: task + 1].any(0).expand(len(rows), -1)

    def loss(self, learner: ContinualT, batch: Batch) -> Loss:
        outputs = learner.network(batch["inputs"])
        if learner.target.classification:
            outputs = among(outputs, batch["allowed"])
        return learner.label_loss(outputs, batch), {}

    def after(self, learner: ContinualT, step: int) -> None:
        task = learner.task_at(step)
        learner.begun.fill_(task + 1)
        if learner.ends()[task] == step + 1:
            self.end_of_task(learner, task)

    def end_of_task(self, learner: ContinualT, task: int) -> None:
        """Keep what is kept of `task`, whose rows have been seen for the last time, in buffers that `begin` made."""

    def make_model(self, learner: ContinualT) -> Model:
        target = learner.target
        if self.scenario == "task":
            return TaskPredictor(network=learner.network, inputs=learner.encoding, target=target, tasks=learner.tasks)
        network = copy.deepcopy(learner.network)
        if target.classification and network.head and network.head.last:
            network.head.last.bias.data[~learner.own[: int(learner.begun)].any(0)] = NEVER
        return predictor_for(target, network, learner.encoding)

    def schedule(self, step: int, steps: int) -> float:
        """Constant after the warm-up, if there is one."""
        return min(1.0, (step + 1) / max(1, round(self.warmup * steps)))

    def rows_reached(self, learner: ContinualT, steps: int) -> NDArray[np.bool_]:
        """The labelled training rows of the tasks that were begun; of all, while it is trained."""
        used, data = super().rows_reached(learner, steps), learner.data
        if not steps:
            return used
        reached = used.copy()
        # Positions count the training rows; `used` is a mask over all.
        training = np.flatnonzero(data.part[data.rows] == 0)
        reached[training] &= learner.task_of < int(learner.begun)
        return reached

    def facts(self, learner: ContinualT, steps: int) -> dict[str, Any]:
        """The tasks in the order in which they were learned; nothing while it is trained."""
        return {"tasks": list(learner.tasks.names[: int(learner.begun)])} if steps else {}


def among(outputs: Tensor, allowed: Tensor) -> Tensor:
    """Logits [rows, classes] with no probability outside of the `allowed` classes, bool of the same shape."""
    return outputs.float().masked_fill(~allowed, float("-inf"))
