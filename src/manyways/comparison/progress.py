"""Progress of a comparison: what it will take, what runs, and what is left."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from manyways.comparison.comparison_plan import ComparisonPlan
from manyways.comparison.job import Job
from manyways.comparison.workers import Report
from manyways.data.phrases import count_of
from manyways.methods.expressions import parse_method
from manyways.training.progress import duration

BESIDES = 2.0
"""Seconds that a training takes besides its budget, or where it takes no steps, until some have ended."""


@dataclass(frozen=True)
class CompareProgress:
    """Progress of a comparison: jobs done, those running with their progress in [0, 1], and the last that ended.

    In the first one `finished` says what the comparison will take. `remaining_seconds` is None where nothing is known.
    """

    done: int
    total: int
    running: Sequence[tuple[str, float]]
    finished: str | None = None
    remaining_seconds: float | None = None


class Progress:
    """Counts jobs, and estimates the time that remains from the budget and from those that ended.

    Args:
        plan: The comparison.
        waiting: Jobs to be done.
        total: Jobs in all, with those that are known from before.
        tell: Function that hears of it.
        note: What is said at first, in place of what it will take.
    """

    def __init__(
        self, plan: ComparisonPlan, waiting: Sequence[Job], total: int,
        tell: Callable[[CompareProgress], None] | None, note: str = "",
    ) -> None:  # fmt: skip
        self._plan, self._total, self._tell = plan, total, tell
        self._left = dict.fromkeys(waiting, 0.0)
        self._running: set[Job] = set()
        self._steps = {job.method: _takes_steps(plan, job) for job in waiting}
        self._seconds: dict[bool, list[float]] = {True: [], False: []}
        if tell:
            tell(CompareProgress(total - len(waiting), total, (), note or self._announcement(), self._remaining()))

    def hear(self, report: Report) -> None:
        """Take in `report` and tell the listener."""
        finished, job = None, report.job
        if report.outcome is None:
            self._left[job] = report.progress or 0.0
            self._running.add(job)
        else:
            self._left.pop(job, None)
            self._running.discard(job)
            self._seconds[self._steps[job.method]].append(report.outcome.wall_seconds)
            score = report.outcome.score
            what = f"{self._plan.metric} {score:.4f}" if score is not None else f"failed: {report.outcome.error}"
            finished = f"{self._describe(job)}: {what}"
        if self._tell:
            running = tuple((self._describe(job), share) for job, share in self._left.items() if job in self._running)
            done = self._total - len(self._left)
            self._tell(CompareProgress(done, self._total, running, finished, self._remaining()))

    def _describe(self, job: Job) -> str:
        return describe(job, self._plan.task.labelled, self._plan.titles.get(job.method))

    def _announcement(self) -> str | None:
        """The number of trainings, and about how long they take, before the first begins."""
        known = self._total - len(self._left)
        if not self._left:
            return f"{self._total} of {self._total} trainings are known from before"
        words = f"{count_of(len(self._left), 'training')}"
        if known:
            words = f"{known} of {self._total} trainings are known from before, {len(self._left)} left"
        at_once = min(self._at_once, len(self._left))
        words += f", {at_once} at a time" if at_once > 1 else ""
        seconds = self._remaining()
        return f"{words}: about {duration(seconds)}" if seconds else f"{words}; the first show how long they take"

    @property
    def _at_once(self) -> int:
        return max(1, self._plan.workers)

    def _remaining(self) -> float | None:
        """Seconds left: what a training took so far, or its budget; those without steps apart from the others."""
        budget = self._plan.budget
        expected = {True: budget.amount + BESIDES if budget.unit == "seconds" else None, False: BESIDES}
        seconds = 0.0
        for job, share in self._left.items():
            ended = self._seconds[self._steps[job.method]]
            each = fmean(ended) if ended else expected[self._steps[job.method]]
            if each is None:
                return None
            seconds += each * (1 - share)
        return seconds / min(self._at_once, max(1, len(self._left)))


def _takes_steps(plan: ComparisonPlan, job: Job) -> bool:
    if job.method in plan.entries:
        return plan.entries[job.method].fewest_steps() > 0
    return bool(job.budget) and parse_method(job.method).fewest_steps() > 0


def describe(job: Job, labelled: bool = True, title: str | None = None) -> str:
    """A job in a few words, with the title of its entry; without one, with its name."""
    shown = "all labels" if job.labels is None else f"{job.labels} labels"
    return ", ".join([title or job.method, *([shown] if labelled else []), f"seed {job.seed}", *job.split.title])
