"""The task of a comparison follows from the roles of the data."""

from functools import cache
from typing import TYPE_CHECKING

from manyways.comparison.tasks.base import Task
from manyways.comparison.tasks.labelled import OneLabel
from manyways.data.targets import TARGETS
from manyways.errors import DataError, ParameterError, did_you_mean
from manyways.registry import Classes

if TYPE_CHECKING:
    from manyways.data.data import Data

__all__ = ["TASKS", "Task", "all_tasks", "find_task", "task_of"]

TASKS: Classes[Task] = Classes("tasks", Task, "manyways.comparison.tasks")
"""Every kind of task by its name, that of the results: those of this folder, and of the group `manyways.tasks`."""


@cache
def all_tasks() -> tuple[Task, ...]:
    """Every task, one for each kind of label among them; of those that the data asks for, the first is the one."""
    tasks = [kind() for kind in TASKS.all().values()] + [OneLabel(kind) for kind in TARGETS.all().values()]
    return tuple(sorted(tasks, key=lambda task: (task.precedence, task.name)))


def find_task(name: str) -> Task:
    """The task called `name`. Raises ParameterError where there is none."""
    tasks = {task.name: task for task in all_tasks()}
    if name not in tasks:
        raise ParameterError(f"There is no task {name!r}; tasks are {', '.join(tasks)}.{did_you_mean(name, tasks)}")
    return tasks[name]


def task_of(data: "Data", metric: str | None = None) -> Task:
    """The task that `data` asks for; with a `metric`, the first that is scored by it, asked for or allowed besides.

    Raises DataError where nothing could be scored, ParameterError for a metric that nothing could be scored by.
    """
    asking = [task for task in all_tasks() if task.applies(data)]
    possible = [*asking, *(task for task in all_tasks() if task not in asking and task.allowed(data))]
    if asking and metric is None:
        return asking[0]
    if found := next((task for task in possible if metric in task.metrics_on(data)), None):
        return found
    if asking:
        others = "".join(f" For {task.name} there is {', '.join(task.metrics_on(data))}." for task in possible[1:])
        raise ParameterError(
            f"metric must be one of {', '.join(asking[0].metrics_on(data))} for {asking[0].name}; got {metric!r}."
            f"{did_you_mean(metric or '', [name for task in possible for name in task.metrics_on(data)])}{others}"
        )
    raise DataError(
        f'{data.name} has nothing to compare by. Name the column to predict, label="…", or those of a language model: '
        f'prompt="…" and completion="…", chosen="…" and rejected="…", or text="…", out of {", ".join(data.columns)}.'
    )
