"""Limits of a training in another process, beyond which it hangs and is ended."""

from dataclasses import dataclass

from manyways.training.budget import Budget
from manyways.training.progress import duration

TIMES, BESIDES = 10, 300.0
"""A training may take so many times its budget, and so many seconds more for what is no training."""
SILENCE = 3600.0
"""Seconds without progress after which a training whose budget is no time hangs."""


@dataclass(frozen=True)
class Limits:
    """Seconds that a training may take in all, and without progress; None for no limit."""

    seconds: float | None = None
    silence: float | None = None

    @staticmethod
    def of(budget: Budget, limit: float | None) -> "Limits":
        """The limits of trainings with `budget`: `limit` seconds, where it is given."""
        if limit is not None:
            return Limits(seconds=limit)
        if budget.unit == "seconds":
            return Limits(seconds=TIMES * budget.amount + BESIDES)
        return Limits(silence=SILENCE)

    def exceeded(self, began: float, heard: float, now: float) -> str | None:
        """The reason to end what began at `began` and was last heard of at `heard`; None where there is none."""
        for since, limit, what in ((began, self.seconds, ""), (heard, self.silence, " without progress")):
            if limit is not None and now - since > limit:
                return f"its training was ended after {duration(limit)}{what}; more time: --limit SECONDS."
        return None
