"""compare: every way to learn side by side, on the same rows, labels, seeds and budget."""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from manyways.checked_json import read
from manyways.comparison.assemble import assemble
from manyways.comparison.comparison_plan import ComparisonPlan, make_plan
from manyways.comparison.contributions import NAME as CONTRIBUTIONS
from manyways.comparison.contributions import read_contributions
from manyways.comparison.given import check_given
from manyways.comparison.job import Job, Outcome, outcome_from_json, outcome_to_json
from manyways.comparison.limits import Limits
from manyways.comparison.progress import CompareProgress, Progress
from manyways.comparison.results import Comparison
from manyways.comparison.start import open_start
from manyways.comparison.starved import repeated
from manyways.comparison.workers import Report, Workers, run_here
from manyways.data.given import Draw
from manyways.data.splitting import Splitting, Way
from manyways.data.storage import home_folder, make_folder
from manyways.data.transport import save_table
from manyways.errors import DataError
from manyways.methods.method import Method
from manyways.models.model import Model
from manyways.permissions import private_folder, tighten
from manyways.training.budget import Budget
from manyways.whole import discard, write_whole

if TYPE_CHECKING:
    from manyways.data.read import Source


def compare(
    data: "Source",
    *,
    methods: Sequence[Method | str] | Literal["all"] | None = None,
    labels: int | None = None,
    draw: Draw = "random",
    budget: Budget | str = "10s",
    seeds: int | Sequence[int] = 3,
    metric: str | None = None,
    test_share: float = 0.2,
    split: Way = "auto",
    folds: int | None = None,
    splits: int | None = None,
    confirm: float | None = None,
    workers: int | None = None,
    on: str | None = None,
    fresh: bool = False,
    start: "Model | str | Path | None" = None,
    backbone: str | None = None,
    limit: float | None = None,
    command: str | None = None,
    on_progress: Callable[[CompareProgress], None] | None = None,
) -> Comparison:
    """Compare `methods` on `data` under one budget: the same rows, labels and seeds for all.

    A method that fails is an entry with its reason. After Ctrl-C what was finished is returned, the rest marked as
    pending; the same call again goes on from there.

    Args:
        data: A `Data`, or anything that `manyways.read` reads, with a label, or with what language models learn from:
            pairs of answers, answers, or running text. Rows without a label are clustered, or drawn, where they are
            images; by `metric` other tasks may be asked for. Rows without a test part give `test_share` to one.
        methods: Methods, or their text; "all" tries every one that the data allows, None a shortlist of at most 12 by
            the kind of data and the number of labels, the quickest first, of which each entry has its `reason`.
        labels: Number of training labels that every method may see, those included that it asks for; drawn anew for
            every seed. None: all.
        draw: "random", as they come, so that a rare class may have none; "stratified": in proportion to the classes,
            and at least one of each.
        budget: Budget of each training; `"10s"` is seconds of training in one process.
        seeds: Number of seeds, or the seeds.
        metric: Metric to compare by; None takes the usual one of the task (`manyways.comparison.tasks`).
        test_share: Share of the rows that become the test part, where there is none.
        split: "random", by "time" (the last rows), by "group" (no group on both sides), or "auto": by time where rows
            have one, else random. Rows of one subject or group are never on both sides, whatever the split.
        folds: Number of folds: each row is tested on once for every seed. None: one test part.
        splits: Number of random splits, each with test rows of its own; every method is trained on each.
        confirm: Share of the rows, drawn as test rows are, that is kept apart from everything: in the end the entry
            that is recommended, and no other, is scored on them. Of data with test rows of its own, a share of these.
            None keeps none apart.
        workers: Processes at once; 0 runs in this process, one by one. By default one per core, up to 8; on a cluster
            as many as it has processors for.
        on: Cluster that trainings run on: "ray" for the Ray cluster that this machine is part of, "ray://HOST:PORT" for
            another; None: this machine.
        fresh: True to throw away finished results of an earlier, same comparison instead of using them.
        start: A model, its folder, or that of a checkpoint. Methods that need one start from it, and so do all language
            methods; it has a row of its own where it can be scored.
        backbone: A pretrained checkpoint, its folder or Hub name (owner/name), that every method starts from which can;
            of several inputs each may have its own, "says=owner/name". Plain supervision, which the others are measured
            against, learns from scratch unless it is among `methods`.
        limit: Seconds after which a training that has not ended is ended, and fails; by default ten times the budget
            and five minutes, or for a budget in other units an hour without progress. Trainings in this process
            (workers=0) and on a cluster have no limit.
        command: Command line that a report shows as the way to repeat this.
        on_progress: Function that is given the progress, as it changes.

    Returns:
        The comparison: its entries with scores and intervals, and the conclusion.

    Raises:
        DataError: The data cannot be read, or nothing can be compared on them.
        ParameterError: An argument is out of its range, or a method cannot be read.
        TrainingError: There is no such cluster, or the connection to it is lost.
    """
    from manyways.data.read import as_data

    check_given({
        "methods": methods, "labels": labels, "seeds": seeds, "metric": metric, "workers": workers, "start": start,
        "backbone": backbone, "on": on, "on_progress": on_progress, "limit": limit,
    })  # fmt: skip
    begun = open_start(start) if start is not None else None
    splitting = Splitting(split, test_share, folds, splits)
    plan = make_plan(
        as_data(data), methods, labels, Budget.of(budget), seeds, metric, splitting, workers, begun, backbone, draw,
        confirm,
    )  # fmt: skip
    if on is not None:
        plan = replace(plan, threads=1)  # a task takes as many processors, and a node may have few
    folder = make_folder(home_folder() / "comparisons" / plan.key)
    jobs = plan.jobs()
    if fresh:
        for job in jobs:
            shutil.rmtree(folder / job.key, ignore_errors=True)
    began, started = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    plan.task.prepare(plan.data)
    outcomes = {job: outcome for job in jobs if (outcome := _earlier(folder / job.key, job))}
    waiting = [job for job in jobs if job not in outcomes]
    interrupted = False

    def carry_out(waiting: list[Job], total: int, note: str = "") -> None:
        progress = Progress(plan, waiting, total, on_progress, note)
        with _reports(plan, waiting, folder, on, workers, Limits.of(plan.budget, limit)) as reports:
            for report in reports:
                if report.outcome:
                    outcomes[report.job] = report.outcome
                    _keep(folder / report.job.key, report.outcome)
                progress.hear(report)

    try:
        carry_out(waiting, len(jobs))
        if again := repeated(plan, outcomes):
            known = {} if fresh else {job: each for job in again.values() if (each := _earlier(folder / job.key, job))}
            outcomes.update(known)
            carry_out([job for job in again.values() if job not in known], len(jobs) + len(again), REPEATED)
            outcomes = {job: outcome for job, outcome in outcomes.items() if job not in again}
    except KeyboardInterrupt:
        interrupted = True
    comparison = assemble(plan, outcomes, folder, interrupted)
    return replace(comparison, started=started, seconds=time.monotonic() - began, command=command or "")


REPEATED = "plain supervision took fewer steps than the shortest entry here, and is repeated with as many"


@contextmanager
def _reports(
    plan: ComparisonPlan, jobs: list[Job], folder: Path, on: str | None, workers: int | None, limits: Limits
) -> Iterator[Iterator[Report]]:
    def folder_of(job: Job) -> Path:
        return folder / job.key

    if plan.workers == 0 or not jobs:
        yield run_here(jobs, plan.methods, plan.rows, folder_of)
    elif on is not None:
        from manyways.comparison.on_ray import RayTasks

        with RayTasks(on, workers, plan.threads, plan.rows, folder, folder_of) as tasks:
            yield tasks.run(jobs)
    else:
        table = save_table(plan.rows, folder / "table")
        environment = plan.data.environment.to_json() if plan.data.environment else None
        with Workers(min(plan.workers, len(jobs)), plan.threads, table, folder_of, environment, limits) as processes:
            yield processes.run(jobs)


def _earlier(folder: Path, job: Job) -> Outcome | None:
    path = folder / "outcome.json"
    if not path.exists() or (job.keep_model and not (folder / "model").exists()):
        return None
    try:
        outcome = outcome_from_json(read(path, str(path), DataError).members, str(path))
        if outcome.score is None or job.metric not in outcome.metrics:
            raise DataError(f"{path} holds no {job.metric}; it is damaged or was written by something else.")
        if outcome.contributions and not (folder / CONTRIBUTIONS).exists():
            return None
        if outcome.contributions:
            read_contributions(folder)
    except DataError as error:
        raise DataError(f"{error} Train anew, which replaces it: --fresh, or compare(…, fresh=True).") from error
    return outcome


def _keep(folder: Path, outcome: Outcome) -> None:
    if outcome.error is None:  # a failure may have been the machine's: the same command tries again
        private_folder(folder)
        tighten(write_whole(folder / "outcome.json", json.dumps(outcome_to_json(outcome))))
    discard(folder / "run")
