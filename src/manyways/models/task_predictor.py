"""TaskPredictor: a predictor that is told which task a row belongs to."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.targets import Target
from manyways.data.tasks import Tasks
from manyways.models.lineage import Lineage
from manyways.models.predictor import Predictor
from manyways.models.reading import inputs_of

if TYPE_CHECKING:
    from manyways.data.read import Source

FAR = 1e4
"""Number that is taken from the logits of other tasks' classes: their probability is 0."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TaskPredictor(Predictor):
    """A network over rows that says which class of its own task a row has; a column says which task that is.

    Rows must have the column with that role under the name that it had in training. Raises DataError where it is
    missing, or names a task that was not learned.
    """

    kind: ClassVar[str] = "task-predictor"
    tasks: Tasks

    def outputs(self, source: "Source") -> NDArray[np.float32]:
        """Logits of classes, float32 [rows, classes]; those of other tasks' classes are lowered by 10,000."""
        data = inputs_of(source, self.inputs, **self.roles_read)
        assert self.target is not None
        own = classes_of(self.tasks, self.target)[self.tasks.numbers(data)]
        found = super().outputs(data)
        return np.where(own, found, found - np.float32(FAR))

    @property
    def roles_read(self) -> dict[str, str]:
        return {"task": self.tasks.column}

    def write(self, folder: Path) -> dict[str, Any]:
        return {**super().write(folder), "tasks": self.tasks.to_json()}

    @classmethod
    def read(cls, folder: Path, saved: Mapping[str, Any], gives: frozenset[str], lineage: Lineage) -> "TaskPredictor":
        plain = Predictor.read(folder, saved, gives, lineage)
        return cls(
            network=plain.network, inputs=plain.inputs, target=plain.target, gives=gives, lineage=lineage,
            tasks=Tasks.from_json(saved["tasks"]),
        )  # fmt: skip


def classes_of(tasks: Tasks, target: Target) -> NDArray[np.bool_]:
    """Mask of the classes of `target` that each task has, [tasks, classes]."""
    code = {name: at for at, name in enumerate(target.classes)}
    own = np.zeros((len(tasks), len(target.classes)), bool)
    for at, classes in enumerate(tasks.classes):
        own[at, [code[name] for name in classes]] = True
    return own
