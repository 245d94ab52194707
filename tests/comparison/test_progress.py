"""Progress: what a comparison will take is said before it starts, and what is left honestly."""

from dataclasses import replace

import pytest

import manyways as mw
from manyways.comparison.comparison_plan import ComparisonPlan, make_plan
from manyways.comparison.job import Outcome
from manyways.comparison.progress import CompareProgress, Progress
from manyways.comparison.workers import Report
from manyways.data.splitting import Splitting
from manyways.training.budget import Budget

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def plan() -> ComparisonPlan:
    """One seed: supervised, ridge, the line for reference, and three numbers of labels."""
    made = make_plan(mw.read("wine"), ["supervised", "ridge"], None, Budget.of("60s"), 1, None, Splitting(), 2)
    return replace(made, workers=2)


def test_what_it_will_take_is_said_first(plan: ComparisonPlan) -> None:
    heard: list[CompareProgress] = []
    jobs = plan.jobs()
    trained = [job for job in jobs if job.method == "supervised"]
    Progress(plan, jobs, len(jobs), heard.append)
    (first,) = heard
    seconds = (62 * len(trained) + 2 * 2) / 2
    assert first.remaining_seconds == pytest.approx(seconds)
    assert first.finished == f"{len(jobs)} trainings, 2 at a time: about {round(seconds / 60)} min"


def test_in_steps_nothing_is_promised_before_a_training_of_steps_has_ended(plan: ComparisonPlan) -> None:
    heard: list[CompareProgress] = []
    counted = replace(plan, budget=Budget.of("5 steps"))
    jobs = counted.jobs()
    progress = Progress(counted, jobs, len(jobs), heard.append)
    assert (heard[0].finished or "").endswith("; the first show how long they take")
    ridge = next(job for job in jobs if job.method == "ridge")
    progress.hear(Report(ridge, outcome=Outcome(score=0.9, wall_seconds=0.1)))
    assert heard[-1].remaining_seconds is None  # a closed form says nothing of what takes steps
    first = next(job for job in jobs if job.method == "supervised")
    progress.hear(Report(first, outcome=Outcome(score=0.9, wall_seconds=30.0)))
    left = len([job for job in jobs if job.method == "supervised"]) - 1
    assert heard[-1].remaining_seconds == pytest.approx((30.0 * left + 0.1) / 2)


def test_shares_of_what_runs_count(plan: ComparisonPlan) -> None:
    heard: list[CompareProgress] = []
    jobs = plan.jobs()[:1]
    progress = Progress(plan, jobs, 1, heard.append)
    progress.hear(Report(jobs[0], progress=0.5))
    assert heard[-1].remaining_seconds == pytest.approx(31.0)
    assert heard[-1].running[0][1] == 0.5
    progress.hear(Report(jobs[0], outcome=Outcome(error="out of luck")))
    assert (heard[-1].done, heard[-1].remaining_seconds, heard[-1].running) == (1, 0, ())
    assert (heard[-1].finished or "").endswith("failed: out of luck")


def test_what_is_known_from_before_is_said(plan: ComparisonPlan) -> None:
    heard: list[CompareProgress] = []
    Progress(plan, plan.jobs()[:1], 6, heard.append)
    Progress(plan, [], 6, heard.append)
    assert heard[0].finished == "5 of 6 trainings are known from before, 1 left: about 62 s"
    assert heard[1].finished == "6 of 6 trainings are known from before"
