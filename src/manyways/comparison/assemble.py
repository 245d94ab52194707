"""From outcomes to a comparison: means, intervals, label efficiency, and the best seen closely."""

import os
import platform
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from manyways.comparison.comparison_plan import ComparisonPlan
from manyways.comparison.conclusion import BASELINE, START, conclude
from manyways.comparison.confirmation import confirm
from manyways.comparison.evidence import Evidence, Outcomes, by_seed
from manyways.comparison.job import Outcome
from manyways.comparison.results import (
    Best,
    Comparison,
    CurvePoint,
    DataSummary,
    Entry,
    InputColumn,
    LabelPoint,
    Machine,
    within,
)
from manyways.comparison.split_cautions import split_cautions
from manyways.comparison.statistics.intervals import seed_interval
from manyways.comparison.uncertainty import with_uncertainty
from manyways.methods.chain import Chain
from manyways.methods.method import Method
from manyways.metrics import higher_is_better
from manyways.models.saving import load_model
from manyways.version import __version__

CONFIDENCE = 0.95
OVER_BUDGET = 1.2
"""Multiple of the budget from which on an entry is marked."""
LOADING = 2.0
"""Seconds that are no excess: the first training of a process loads libraries."""
BUSY = 1.5
"""Multiple of the time of a quiet machine from which on a busy one is warned of."""


def assemble(plan: ComparisonPlan, outcomes: Outcomes, folder: Path, interrupted: bool) -> Comparison:
    """The comparison that `outcomes` of the jobs of `plan` amount to."""
    import torch

    evidence = Evidence(plan, outcomes, folder)
    curve = label_points(plan, evidence)
    entries = [make_entry(plan, name, method, outcomes, interrupted) for name, method in plan.entries.items()]
    if any(job.method == START for job in plan.jobs()):
        entries.insert(0, start_entry(plan, outcomes, interrupted))
    comparison = Comparison(
        data=summarise(plan),
        metric=plan.metric,
        higher_is_better=higher_is_better(plan.metric),
        labels=plan.labels,
        budget=str(plan.budget),
        seeds=plan.seeds,
        machine=Machine(
            os.cpu_count() or 1,
            plan.threads,
            platform.python_version(),
            torch.__version__,
            platform.platform(),
        ),
        version=__version__,
        started="",
        seconds=None,
        entries=tuple(entries),
        label_curve=tuple(curve),
        confidence=CONFIDENCE,
        beside=plan.beside,
        notes=tuple(filter(None, [plan.metric_note, _busy(plan, outcomes)])),
        exhibits=plan.task.overview(entries),
    )
    comparison = with_uncertainty(comparison, evidence)
    comparison = replace(comparison, best=_best(plan, comparison, folder))
    comparison = replace(comparison, conclusion=conclude(comparison))
    if plan.apart is not None and not interrupted:
        comparison = replace(comparison, confirmed=confirm(plan, comparison, folder))
    conclusion = conclude(comparison)
    cautions = (
        *plan.task.cautions(plan.data),
        *split_cautions(plan.rows, plan.rule),
        *conclusion.cautions,
        *plan.shortlist.notes(),
    )
    return replace(comparison, conclusion=replace(conclusion, cautions=cautions))


def label_points(plan: ComparisonPlan, evidence: Evidence) -> list[LabelPoint]:
    """Plain supervision at growing numbers of labels."""
    points = []
    for count in plan.curve:
        scores = tuple(evidence.scores(BASELINE, count).values())
        if scores:
            points.append(LabelPoint(count, float(np.mean(scores)), scores=scores))
    return points


def make_entry(
    plan: ComparisonPlan,
    name: str,
    method: Method,
    outcomes: Outcomes,
    interrupted: bool,
) -> Entry:
    """The row of one method: its mean over seeds and what it cost, or why it failed."""
    mine = {job: outcome for job, outcome in outcomes.items() if job.method == name and job.labels == plan.labels}
    jobs = sorted(mine, key=lambda job: (plan.seeds.index(job.seed), job.split.number))
    done = [mine[job] for job in jobs]
    stages = method.stages if isinstance(method, Chain) else (method,)
    needs = tuple(dict.fromkeys(need.name for stage in stages for need in stage.needs))
    entry = Entry(
        name=name,
        title=plan.titles[name],
        needs=needs,
        gives=tuple(sorted(stages[-1].gives)),
        source="; ".join(stage.paper for stage in stages if stage.paper),
        hyperparameters=method.to_json(),
        pending=interrupted and len(done) < sum(len(plan.splits(place)) for place in range(len(plan.seeds))),
        bound=plan.task.bound(method),
        reference=name in plan.references,
        caution=next((outcome.caution for outcome in done if outcome.caution), ""),
        reason=plan.shortlist.reasons.get(name, ""),
    )
    failed = {job: error for job in jobs if (error := mine[job].error) is not None}
    if failed and len(failed) == len(done):
        return replace(entry, error=next(iter(failed.values())), seconds=float(np.mean([o.wall_seconds for o in done])))
    jobs, done = [job for job in jobs if job not in failed], [outcome for outcome in done if outcome.error is None]
    scores = by_seed({job: mine[job] for job in jobs})
    if not scores:
        return entry
    return replace(
        entry,
        score=float(np.mean(list(scores.values()))),
        scores=tuple(scores.get(seed) for seed in plan.seeds) if failed else tuple(scores.values()),
        seconds=float(np.mean([outcome.seconds for outcome in done])),
        peak_memory_mb=max((o.peak_memory_mb for o in done if o.peak_memory_mb), default=None),
        parameters=done[0].parameters,
        steps=round(float(np.mean([outcome.steps for outcome in done]))),
        metrics={key: float(np.mean([o.metrics[key] for o in done])) for key in done[0].metrics},
        curve=tuple(_curve([outcome.curve for outcome in done], plan.metric)),
        exhibits=next((outcome.exhibits for outcome in done if outcome.exhibits), ()),
        over_budget=_over_budget(plan, done),
        failed_seeds={str(job.seed): error for job, error in failed.items()},
    )


def _over_budget(plan: ComparisonPlan, done: Sequence[Outcome]) -> float | None:
    """The multiple of the budget in seconds that trainings took, where it is more than `OVER_BUDGET`."""
    if plan.budget.unit != "seconds":
        return None
    seconds = float(np.mean([outcome.fit_seconds for outcome in done]))
    return seconds / plan.budget.amount if seconds > OVER_BUDGET * plan.budget.amount + LOADING else None


def _busy(plan: ComparisonPlan, outcomes: Outcomes) -> str:
    """The warning that the machine was busy, where trainings were that much slower than on a quiet one."""
    slow = [outcome.slowdown for outcome in outcomes.values() if outcome.slowdown > BUSY]
    if plan.budget.unit != "seconds" or not slow:
        return ""
    some = f"{len(slow)} of {len(outcomes)} trainings were" if len(slow) > 1 else "a training was"
    return (
        f"The machine was busy: {some} up to {max(slow):.2g} times slower than on a quiet one, and took fewer steps. "
        "Repeat on a quiet machine, with fewer --workers, or with a budget in steps."
    )


def start_entry(plan: ComparisonPlan, outcomes: Outcomes, interrupted: bool) -> Entry:
    """The row of the model that all started from, as it is: one score, which stands for every seed."""
    assert plan.start is not None
    model = plan.start.model
    entry = Entry(
        name=START,
        title="Start, untrained",
        gives=tuple(sorted(model.gives)),
        hyperparameters={"folder": str(plan.start.folder), "made by": model.lineage.title},
        pending=interrupted,
    )
    mine = {job: outcome for job, outcome in outcomes.items() if job.method == START}
    outcome = next(iter(mine.values()), None)
    if outcome is None or outcome.score is None:
        return replace(entry, error=outcome.error if outcome else None)
    scores = (next(iter(by_seed(mine).values())),) * len(plan.seeds)
    return replace(
        entry, score=scores[0], scores=scores, seconds=0.0, parameters=outcome.parameters,
        steps=0, metrics=dict(outcome.metrics), pending=False,
    )  # fmt: skip


def _curve(curves: list[list[tuple[int, float, float]]], metric: str) -> list[CurvePoint]:
    """The learning curve: means over trainings, and intervals over seeds alone, of the test rows looked at."""
    points = []
    for at in range(min(len(curve) for curve in curves)):
        steps, seconds, scores = zip(*(curve[at] for curve in curves), strict=True)
        mean = (float(np.mean(steps)), float(np.mean(seconds)), float(np.mean(scores)))
        points.append(CurvePoint(round(mean[0]), mean[1], mean[2], *within(metric, *seed_interval(scores, CONFIDENCE))))
    return points


def _best(plan: ComparisonPlan, comparison: Comparison, folder: Path) -> Best | None:
    for entry in comparison.contestants():
        job = next(job for job in plan.jobs() if job.method == entry.name)
        place = Path(job.start) if job.method == START and job.start else folder / job.key / "model"
        if place.exists():
            return plan.task.closely(entry.name, load_model(place), plan.data.test)
    return None


def summarise(plan: ComparisonPlan) -> DataSummary:
    """A summary of the data that the comparison was made on."""
    data, labelled, tested = plan.data, plan.task.labelled, plan.tested()
    visible = plan.task.visible(data)
    if plan.labels is not None:
        visible = data.with_labels(plan.labels, plan.seeds[0], draw=plan.draw)
    return DataSummary(
        name=data.name,
        source=data.source,
        fingerprint=data.fingerprint,
        rows=len(data),
        training_rows=len(data.training),
        test_rows=len(tested.test),
        labels_shown=int(visible.training.labelled.sum()) if labelled else 0,
        labels_known=int(data.training.known.sum()) if labelled else 0,
        label=data.label.name if labelled else "",
        task=plan.task.name,
        classes=tuple(map(str, data.classes)) if labelled and data.classification else None,
        inputs=tuple(
            InputColumn(column.name, column.of.modality, column.of.detail(column.values.shape, column.rate))
            for column in data.inputs
        )
        or tuple(_text_column(name, role) for role, names in data.roles.items() for name in names),
        learned_from=plan.task.learned_from(data, visible),
        scored_on=plan.task.scored_on(tested),
    )


def _text_column(name: str, role: str) -> InputColumn:
    return InputColumn(name, "text", role if role != name else "")
