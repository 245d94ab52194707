"""compare: every way to learn side by side, on the same rows, labels, seeds and budget."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from manyways.comparison.advise import completed
from manyways.comparison.assemble import assemble
from manyways.comparison.conclusion import START
from manyways.comparison.job import Job, Outcome, fields_of, outcome_from_json, outcome_to_json
from manyways.comparison.label_efficiency import label_counts
from manyways.comparison.records import write_whole
from manyways.comparison.results import Comparison
from manyways.comparison.start import Start, open_start
from manyways.comparison.tasks import Task, task_of
from manyways.comparison.workers import Report, Workers, run_here
from manyways.data.data import Data
from manyways.data.storage import home_folder, make_folder
from manyways.data.targets import check_labels
from manyways.data.transport import save_table
from manyways.errors import DataError, NeedsError, ParameterError
from manyways.methods.discovery import all_methods
from manyways.methods.expressions import parse_method
from manyways.methods.method import Method
from manyways.methods.starts import given, last, stages
from manyways.models.model import Model
from manyways.training.budget import Budget

if TYPE_CHECKING:
    from manyways.data.read import Source

BASELINE = "supervised"
MOST_WORKERS = 8


@dataclass(frozen=True)
class CompareProgress:
    """How far a comparison is: jobs done, those running with their progress in [0, 1], and the last that ended."""

    done: int
    total: int
    running: Sequence[tuple[str, float]]
    finished: str | None = None
    remaining_seconds: float | None = None


@dataclass(frozen=True)
class Plan:
    """What is compared: the data with its test part, the methods by their text, and the conditions for all."""

    data: Data
    methods: dict[str, Method]
    labels: int | None
    budget: Budget
    seeds: tuple[int, ...]
    metric: str
    workers: int
    threads: int
    curve: tuple[int, ...]
    task: Task
    start: Start | None = None

    def jobs(self) -> list[Job]:
        """Every training, the first seed of all methods first, so that an early look compares them all."""
        kept = self.seeds[0]
        entries = [
            self._begun(Job(name, self.labels, seed, str(self.budget), self.metric, seed == kept, fields_of(method)))
            for seed in self.seeds
            for name, method in self.methods.items()
        ]
        if self.start is not None and self.start.scored_by(self.task):
            entries.insert(0, self._begun(Job(START, self.labels, kept, "", self.metric)))
        if not self.task.labelled:
            return entries
        plain = fields_of(parse_method(BASELINE))
        curve = [
            Job(BASELINE, count, seed, str(self.budget), self.metric, fields=plain)
            for seed in self.seeds
            for count in self.curve
        ]
        have = {job.key for job in entries}
        return entries + [job for job in curve if job.key not in have]

    def _begun(self, job: Job) -> Job:
        """`job` with the model that it starts from, where it does."""
        method = self.methods.get(job.method)
        if self.start is None or (method is not None and not self.start.begins(method, self.task)):
            return job
        return replace(job, start=str(self.start.folder), start_key=self.start.key)

    @property
    def key(self) -> str:
        """A hash of what all results have in common."""
        facts = [
            self.data.fingerprint,
            self.threads if self.budget.unit == "seconds" else None,
            manyways_version(),
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]


def compare(
    data: "Source",
    *,
    methods: Sequence[Method | str] | None = None,
    labels: int | None = None,
    budget: Budget | str = "10s",
    seeds: int | Sequence[int] = 3,
    metric: str | None = None,
    test_share: float = 0.2,
    workers: int | None = None,
    fresh: bool = False,
    start: "Model | str | Path | None" = None,
    command: str | None = None,
    on_progress: Callable[[CompareProgress], None] | None = None,
) -> Comparison:
    """Try `methods` on `data` under one budget and say which way gets the most out of it.

    data: anything that `manyways.read` reads, with a label, or with what language models learn from: pairs of answers,
        answers, or running text. Rows without a test part give `test_share` to one.
    methods: methods, or their text; None tries all that the roles of the data allow.
    labels: how many training labels every method may see (stratified; anew for every seed); None: all there are.
    metric: what to compare by; None takes the usual one of the task (`manyways.comparison.tasks`).
    start: a model, its folder, or that of a checkpoint. Methods that need one start from it, and so do all language
        methods; it has a row of its own where it can be scored.
    budget: what each training may spend; `"10s"` is seconds of training in one process.
    seeds: how many, or which.
    workers: processes at once; 0 runs in this process, one by one. By default one per core, up to 8.
    fresh: whether finished results of an earlier, same comparison are thrown away instead of used.

    A method that fails is an entry with its reason. After Ctrl-C what was finished is returned, the rest marked as
    pending; the same call again goes on from there. Raises DataError or ParameterError where nothing can be compared.
    """
    from manyways.data.read import as_data

    begun = open_start(start) if start is not None else None
    plan = make_plan(as_data(data), methods, labels, Budget.of(budget), seeds, metric, test_share, workers, begun)
    folder = make_folder(home_folder() / "comparisons" / plan.key)
    jobs = plan.jobs()
    if fresh:
        for job in jobs:
            shutil.rmtree(folder / job.key, ignore_errors=True)
    began, started = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    plan.task.prepare(plan.data)
    outcomes = {job: outcome for job in jobs if (outcome := _earlier(folder / job.key, job))}
    progress = _Progress(len(jobs), len(outcomes), on_progress, plan)
    interrupted = False
    try:
        with _reports(plan, [job for job in jobs if job not in outcomes], folder) as reports:
            for report in reports:
                if report.outcome:
                    outcomes[report.job] = report.outcome
                    _keep(folder / report.job.key, report.outcome)
                progress.hear(report)
    except KeyboardInterrupt:
        interrupted = True
    comparison = assemble(plan, outcomes, folder, interrupted)
    return replace(comparison, started=started, seconds=time.monotonic() - began, command=command or "")


def make_plan(
    data: Data, methods: Sequence[Method | str] | None, labels: int | None, budget: Budget, seeds: int | Sequence[int],
    metric: str | None, test_share: float, workers: int | None, start: Start | None = None,
) -> Plan:  # fmt: skip
    """Check what was asked for and fill in the defaults."""
    named = None if methods is None else [_method(method) for method in methods]
    if named and not len(data.test) and data.labels and all(last(method).new_classes for method in named):
        data = named[0].set_aside(data, test_share)  # else the classes to be told apart would be known ones
    task = task_of(data, metric)
    if task.has_labels and not data.training.known.any():
        columns = " or ".join(repr(label.name) for label in data.labels)
        raise DataError(
            f"No training row of {data.name} has a label in the column {columns}; a comparison needs labels "
            "to learn from and to score by. Label some rows."
        )
    wanted = task.gives | task.scored
    if named and not any(given(method) & wanted for method in named):
        raise NeedsError(
            f"Models that give {' or '.join(sorted(wanted))} can be compared on {data.name} ({task.name}); "
            f"{', '.join(map(str, named))} makes none. `manyways advise` says which methods do."
        )
    if labels is not None and not task.has_labels:
        raise ParameterError(
            f"labels says how many labels are shown, and {data.name} has none to predict; leave it out."
        )
    if not len(data.test) and data.environment is None:
        data = data.with_some_as_test(test_share)
    numbers = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    if not numbers or len(set(numbers)) < len(numbers):
        raise ParameterError(f"seeds must be at least one, and each another; got {seeds!r}.")
    shown = data.with_labels(labels, numbers[0]) if labels is not None else data
    if task.has_labels:
        check_labels(shown)
    chosen = suggested(shown, task, start) if named is None else named
    if not chosen:
        hint = "" if start is not None or task.has_labels else " A language model to start from opens more: start=…."
        raise NeedsError(f"No method can learn from {data.name}; `manyways advise` says what each one lacks.{hint}")
    texts: dict[str, Method] = {}
    for method in chosen:
        if texts.setdefault(str(method), method) != method:
            raise ParameterError(
                f"Two methods that differ are both written {method}; compare them one after the other."
            )
    cores = os.cpu_count() or 1
    count = min(cores, MOST_WORKERS) if workers is None else workers
    if count < 0:
        raise ParameterError(f"workers must be 0 or more; got {count}.")
    return Plan(
        data=data,
        methods=texts,
        labels=labels,
        budget=budget,
        seeds=numbers,
        metric=metric or task.usual(shared=start is not None),
        workers=count,
        threads=max(1, cores // max(1, count)),
        curve=_label_curve(data, shown) if task.labelled else (),
        task=task,
        start=start,
    )


def _label_curve(data: Data, shown: Data) -> tuple[int, ...]:
    known, seen = int(data.training.known.sum()), int(shown.training.labelled.sum())
    return tuple(label_counts(seen, known, len(data.classes) if data.classification else 2))


def manyways_version() -> str:
    """The version of this package."""
    import manyways

    return manyways.__version__


def _method(given: Method | str) -> Method:
    return parse_method(given) if isinstance(given, str) else given


def suggested(data: Data, task: Task, start: Start | None = None) -> list[Method]:
    """What the methods suggest for `data`, those that `start` begins as they are, others from nothing, by name."""
    kinds = all_methods().values()
    candidates = [parse_method(text) for kind in kinds for text in kind.suggestions(data)]
    if start is not None and task.has_labels:
        candidates += [method for kind in kinds if (method := kind()).needs_start() and start.begins(method, task)]
    fitting: dict[str, Method] = {}
    for method in candidates:
        if not (given(method, data) & task.gives and task.enters(method)):
            continue
        begun = start is not None and start.begins(method, task)
        found = method if begun else completed(method, data) if start is None or task.has_labels else None
        if found is not None and found.lacks(data, start.model if begun and start is not None else None) is None:
            fitting[str(found)] = found
    return sorted(fitting.values(), key=lambda method: (str(method) != BASELINE, len(stages(method)), str(method)))


@contextmanager
def _reports(plan: Plan, jobs: list[Job], folder: Path) -> Iterator[Iterator[Report]]:
    if plan.workers == 0 or not jobs:
        yield run_here(jobs, plan.methods, plan.data, lambda job: folder / job.key)
        return
    table = save_table(plan.data, folder / "table")
    with Workers(min(plan.workers, len(jobs)), plan.threads, table, lambda job: folder / job.key) as workers:
        yield workers.run(jobs)


def _earlier(folder: Path, job: Job) -> Outcome | None:
    path = folder / "outcome.json"
    if not path.exists() or (job.keep_model and not (folder / "model").exists()):
        return None
    return outcome_from_json(json.loads(path.read_text(encoding="utf-8")))


def _keep(folder: Path, outcome: Outcome) -> None:
    shutil.rmtree(folder / "run", ignore_errors=True)
    if outcome.error is None:  # a failure may have been the machine's: the same command tries again
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "outcome.json", json.dumps(outcome_to_json(outcome)))


class _Progress:
    """Counts jobs and guesses the time that remains from those that ended."""

    def __init__(self, total: int, done: int, tell: Callable[[CompareProgress], None] | None, plan: Plan) -> None:
        self._total, self._done, self._tell, self._plan = total, done, tell, plan
        self._running: dict[Job, float] = {}
        self._began, self._ended_here = time.monotonic(), 0
        if tell:
            earlier = f"{done} of {total} trainings are known from before" if done else None
            tell(CompareProgress(done, total, (), earlier))

    def hear(self, report: Report) -> None:
        """Take in `report` and tell the listener."""
        finished = None
        if report.outcome is None:
            self._running[report.job] = report.progress or 0.0
        else:
            self._running.pop(report.job, None)
            self._done, self._ended_here = self._done + 1, self._ended_here + 1
            score = report.outcome.score
            what = f"{self._plan.metric} {score:.4f}" if score is not None else f"failed: {report.outcome.error}"
            finished = f"{describe(report.job, self._plan.task.labelled)}: {what}"
        if self._tell:
            running = tuple((describe(job, self._plan.task.labelled), at) for job, at in self._running.items())
            self._tell(CompareProgress(self._done, self._total, running, finished, self._remaining()))

    def _remaining(self) -> float | None:
        if not self._ended_here:
            return None
        return (time.monotonic() - self._began) / self._ended_here * (self._total - self._done)


def describe(job: Job, labelled: bool = True) -> str:
    """A job in a few words."""
    shown = "all labels" if job.labels is None else f"{job.labels} labels"
    return ", ".join([job.method, *([shown] if labelled else []), f"seed {job.seed}"])
