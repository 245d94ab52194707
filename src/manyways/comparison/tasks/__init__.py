"""The task of a comparison follows from the roles of the data."""

from functools import cache
from typing import TYPE_CHECKING

from manyways.comparison.tasks.base import Task
from manyways.errors import DataError, ParameterError, did_you_mean
from manyways.registry import Classes

if TYPE_CHECKING:
    from manyways.data.data import Data

__all__ = ["TASKS", "Task", "all_tasks", "find_task", "task_of"]

TASKS: Classes[Task] = Classes("tasks", Task, "manyways.comparison.tasks")
"""Every kind of task by its name, that of the results: those of this folder, and of the group `manyways.tasks`."""


@cache
def all_tasks() -> tuple[Task, ...]:
    """Every task; of those that the data asks for, the first is the one."""
    return tuple(kind() for kind in sorted(TASKS.all().values(), key=lambda kind: (kind.precedence, kind.name)))


def find_task(name: str) -> Task:
    """The task called `name`. Raises ParameterError where there is none."""
    return next((task for task in all_tasks() if task.name == name), None) or TASKS.find(name)()


def task_of(data: "Data", metric: str | None = None) -> Task:
    """What the roles of `data` ask for; with a `metric`, the first that is scored by it, asked for or allowed besides.

    Raises DataError where nothing could be scored, ParameterError for a metric that nothing could be scored by.
    """
    asked = [task for task in all_tasks() if task.asked(data)]
    possible = [*asked, *(task for task in all_tasks() if task not in asked and task.allowed(data))]
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
