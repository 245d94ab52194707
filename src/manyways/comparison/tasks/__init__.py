"""The task of a comparison follows from the roles of the data."""

from typing import TYPE_CHECKING

from manyways.comparison.tasks.acting import Acting
from manyways.comparison.tasks.base import Task
from manyways.comparison.tasks.continual import Continual
from manyways.comparison.tasks.few_shot import FewShot
from manyways.comparison.tasks.generation import Generation
from manyways.comparison.tasks.labelled import Classification, Regression, SeveralLabels
from manyways.comparison.tasks.language import Answers, Judged, Pairs, Text
from manyways.comparison.tasks.retrieval import Retrieval
from manyways.data.roles import did_you_mean
from manyways.errors import DataError, ParameterError

if TYPE_CHECKING:
    from manyways.data.data import Data

__all__ = ["TASKS", "Task", "task_of"]

TASKS: dict[str, Task] = {
    kind.name: kind()
    for kind in (
        SeveralLabels, FewShot, Continual, Classification, Regression, Pairs, Judged, Answers, Text, Retrieval, Acting,
        Generation,
    )
}  # fmt: skip
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
