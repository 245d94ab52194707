"""The task of a comparison follows from the roles of the data."""

from typing import TYPE_CHECKING

from manyways.comparison.tasks.acting import ACTING
from manyways.comparison.tasks.base import Task
from manyways.comparison.tasks.few_shot import FEW_SHOT
from manyways.comparison.tasks.labelled import CLASSIFICATION, REGRESSION, SEVERAL_LABELS
from manyways.comparison.tasks.language import ANSWERS, JUDGED, PAIRS, TEXT
from manyways.comparison.tasks.retrieval import RETRIEVAL
from manyways.errors import DataError

if TYPE_CHECKING:
    from manyways.data.data import Data

__all__ = ["TASKS", "Task", "task_of"]

TASKS = {
    task.name: task
    for task in (SEVERAL_LABELS, FEW_SHOT, CLASSIFICATION, REGRESSION, PAIRS, JUDGED, ANSWERS, TEXT, RETRIEVAL, ACTING)
}
"""Every task by its name, that of the results; of those that the data asks for, the first is the one."""


def task_of(data: "Data") -> Task:
    """What the roles of `data` ask for. Raises DataError where nothing could be scored."""
    for task in TASKS.values():
        if task.asked(data):
            return task
    raise DataError(
        f'{data.name} has nothing to compare by. Name the column to predict, label="…", or those of a language model: '
        f'prompt="…" and completion="…", chosen="…" and rejected="…", or text="…", out of {", ".join(data.columns)}.'
    )
