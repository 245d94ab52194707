"""The task of a comparison follows from the roles of the data."""

from typing import TYPE_CHECKING

from manyways.comparison.tasks.acting import ACTING
from manyways.comparison.tasks.base import Task
from manyways.comparison.tasks.continual import CONTINUAL
from manyways.comparison.tasks.few_shot import FEW_SHOT
from manyways.comparison.tasks.generation import GENERATION
from manyways.comparison.tasks.labelled import CLASSIFICATION, REGRESSION, SEVERAL_LABELS
from manyways.comparison.tasks.language import ANSWERS, JUDGED, PAIRS, TEXT
from manyways.comparison.tasks.retrieval import RETRIEVAL
from manyways.errors import DataError, ParameterError, did_you_mean

if TYPE_CHECKING:
    from manyways.data.data import Data

__all__ = ["TASKS", "Task", "task_of"]

TASKS = {
    task.name: task
    for task in (
        SEVERAL_LABELS,
        FEW_SHOT,
        CONTINUAL,
        CLASSIFICATION,
        REGRESSION,
        PAIRS,
        JUDGED,
        ANSWERS,
        TEXT,
        RETRIEVAL,
        ACTING,
        GENERATION,
    )
}
"""Every task by its name, that of the results; of those that the data asks for, the first is the one."""


def task_of(data: "Data", metric: str | None = None) -> Task:
    """What the roles of `data` ask for; with a `metric`, the first that is scored by it, asked for or allowed besides.

    Raises DataError where nothing could be scored, ParameterError for a metric that nothing could be scored by.
    """
    asked = [task for task in TASKS.values() if task.asked(data)]
    possible = [*asked, *(task for task in TASKS.values() if task not in asked and task.allowed(data))]
    if asked and metric is None:
        return asked[0]
    if found := next((task for task in possible if metric in task.metrics), None):
        return found
    if asked:
        others = "".join(f" For {task.name} there is {', '.join(task.metrics)}." for task in possible[1:])
        raise ParameterError(
            f"metric must be one of {', '.join(asked[0].metrics)} for {asked[0].name}; got {metric!r}."
            f"{did_you_mean(metric or '', [name for task in possible for name in task.metrics])}{others}"
        )
    raise DataError(
        f'{data.name} has nothing to compare by. Name the column to predict, label="…", or those of a language model: '
        f'prompt="…" and completion="…", chosen="…" and rejected="…", or text="…", out of {", ".join(data.columns)}.'
    )
