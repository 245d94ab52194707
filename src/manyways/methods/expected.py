"""What takes long whatever the budget is said before it starts."""

import time
from collections.abc import Callable

from manyways.training.budget import Budget
from manyways.training.run import Run

LONG = 60.0
"""Seconds that need not be announced where the budget is in no seconds."""


def announce(run: Run, budget: Budget, seconds: float, work: str, instead: str) -> None:
    """Tell those who follow `run` that `work` takes about `seconds`, where that is more than `budget` allows, or long.

    work, instead: the subject of the sentence, and what to type for less of it.
    """
    if seconds <= (budget.amount if budget.unit == "seconds" else LONG):
        return
    from manyways.training.progress import duration

    run.notice(f"{work} takes about {duration(seconds)}, whatever the budget, which is {budget}. {instead}")


def seconds_of(work: Callable[[], object]) -> float:
    """Seconds of `work`, done once."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
