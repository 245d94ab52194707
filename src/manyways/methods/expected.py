"""Announcements of what takes long, whatever the budget, before it starts."""

import time
import warnings
from collections.abc import Callable

from manyways.training.budget import Budget
from manyways.training.run import Run

Say = Callable[[float, str, str], None]
"""Announces work by its seconds, its name and what takes less."""
LONG = 60.0
"""Seconds that need not be announced where the budget is in no seconds."""


def announce(run: Run, budget: Budget, seconds: float, work: str, instead: str) -> None:
    """Tell those who follow `run` that `work` takes about `seconds`, where that is more than `budget` allows, or long.

    Where nobody listens it is a warning. work, instead: the subject of the sentence, and what to type for less of it.
    """
    if seconds <= (budget.amount if budget.unit == "seconds" else LONG):
        return
    from manyways.training.progress import duration

    note = f"{work} takes about {duration(seconds)}, whatever the budget, which is {budget}. {instead}"
    run.notice(note)
    if not run.listeners:
        warnings.warn(note, stacklevel=4)


def seconds_of(work: Callable[[], object]) -> float:
    """Seconds of `work`, done once."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
