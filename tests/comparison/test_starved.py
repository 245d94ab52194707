"""Trainings of the label curve get at least the steps of the shortest entry."""

from dataclasses import replace
from typing import Any

import pytest

import manyways as mw
from manyways.comparison import workers
from manyways.comparison.comparison_plan import ComparisonPlan, make_plan
from manyways.comparison.job import Job, Outcome
from manyways.comparison.starved import repeated
from manyways.data.splitting import Splitting
from manyways.training.budget import Budget

CHAIN = "simclr >> fine-tune"


@pytest.fixture(scope="module")
def plan() -> ComparisonPlan:
    data = mw.read("digits").with_test(0.25)
    return make_plan(data, ["supervised", CHAIN, "ridge"], 40, Budget.of("10s"), 1, None, Splitting(), 0)


def outcomes_of(plan: ComparisonPlan, curve: list[int]) -> dict[Job, Outcome]:
    """500 steps of plain supervision, 120 of the chain, none of ridge, and those of the curve with more labels."""
    steps = iter(curve)
    entries = {"supervised": 500, CHAIN: 120, "ridge": 0, "majority": 0}
    return {
        job: Outcome(score=0.5, steps=entries[job.method] if job.labels == 40 else next(steps)) for job in plan.jobs()
    }


@pytest.mark.quick
def test_those_below_the_shortest_entry_are_repeated(plan: ComparisonPlan) -> None:
    outcomes = outcomes_of(plan, [119, 120, 480, 3])
    again = repeated(plan, outcomes)
    assert [(job.labels, job.budget) for job in again.values()] == [
        (plan.curve[1], "120 steps"), (plan.curve[4], "120 steps")
    ]  # fmt: skip
    assert all(replace(job, budget=old.budget) == old for old, job in again.items())
    assert repeated(replace(plan, budget=Budget(120)), outcomes) == {}
    failed = {job: replace(each, error="out of luck") for job, each in outcomes.items() if each.steps == 3}
    assert len(repeated(plan, outcomes | failed)) == 1


def test_a_comparison_repeats_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the clock gives plain supervision with more labels a step, and the entry as many as it says."""
    carried, carry_out = [], workers.run_job

    def on_a_busy_machine(job: Job, *rest: Any) -> Outcome:
        carried.append((job.method, job.labels, job.budget))
        if not job.budget.endswith("seconds"):
            return carry_out(job, *rest)
        return carry_out(replace(job, budget="12 steps" if job.labels == 300 else "1 step"), *rest)

    monkeypatch.setattr(workers, "run_job", on_a_busy_machine)
    data = mw.read("digits").with_test(0.5)
    options = {"methods": ["supervised"], "labels": 300, "budget": "5s", "seeds": 1, "workers": 0}
    found = mw.compare(data, **options)
    again = [(method, labels) for method, labels, budget in carried if budget == "12 steps"]
    more = [point.labels for point in found.label_curve if point.labels != 300]
    assert again == [("supervised", labels) for labels in more]
    assert more
    carried.clear()
    assert mw.compare(data, **options).label_curve == found.label_curve
    assert carried == []
