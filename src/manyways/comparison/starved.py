"""Trainings of the label curve that a busy machine gave fewer steps than any entry had, and that are repeated."""

from collections.abc import Mapping
from dataclasses import replace

from manyways.comparison.comparison_plan import ComparisonPlan
from manyways.comparison.conclusion import BASELINE
from manyways.comparison.job import Job, Outcome
from manyways.training.budget import Budget


def repeated(plan: ComparisonPlan, outcomes: Mapping[Job, Outcome]) -> dict[Job, Job]:
    """Trainings in seconds that took fewer steps than the shortest entry that takes some, each with one of so many.

    What an entry is worth in labels is read off them: with fewer steps they would lack training, not labels.
    """
    if plan.budget.unit != "seconds":
        return {}
    curve = [job for job in outcomes if job.method == BASELINE and job.labels in plan.curve]
    entries = {job: outcome for job, outcome in outcomes.items() if job not in curve or job.labels == plan.labels}
    fewest = min((each.steps for each in entries.values() if each.error is None and each.steps), default=0)
    short = [job for job in curve if job not in entries and outcomes[job].error is None]
    return {job: replace(job, budget=str(Budget(fewest, "steps"))) for job in short if outcomes[job].steps < fewest}
