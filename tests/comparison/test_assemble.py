"""From outcomes to a comparison: means, intervals and label efficiency, by numbers that can be checked by hand."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from scipy.stats import ttest_1samp

from manyways.comparison.assemble import assemble, summarise
from manyways.comparison.comparison_plan import ComparisonPlan, make_plan
from manyways.comparison.job import Job, Outcome
from manyways.comparison.results import Comparison
from manyways.comparison.statistics.intervals import seed_interval
from manyways.comparison.table import render_table
from manyways.data.read import read
from manyways.data.splitting import Splitting
from manyways.training.budget import Budget

pytestmark = pytest.mark.quick

CHAIN = "simclr >> fine-tune"
NOWHERE = Path("no folder")


@pytest.fixture(scope="module")
def plan() -> ComparisonPlan:
    """Two ways with three seeds on 40 of 1,347 labels of digits."""
    data = read("digits").with_test(0.25)
    return make_plan(data, ["supervised", CHAIN], 40, Budget.of("20 steps"), 3, None, Splitting(), 0)


def outcome(score: float, **more: Any) -> Outcome:
    """What a training with this score would have given."""
    given = {"metrics": {"accuracy": score}, "seconds": 2.0, "steps": 20, "parameters": 1000, "peak_memory_mb": 300.0}
    return Outcome(score=score, **(given | more))


def outcomes_of(plan: ComparisonPlan, scores: Sequence[float]) -> dict[Job, Outcome]:
    """Scores for the jobs of the chain by seed; plain supervision at n labels has 0.5 with 40 and 0.9 with all."""
    line = dict(zip(plan.curve, [0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95], strict=False))
    found = {}
    for job in plan.jobs():
        if job.method == CHAIN:
            if job.seed < len(scores):
                found[job] = outcome(scores[job.seed])
        else:
            assert job.labels is not None
            found[job] = outcome(line[job.labels] + 0.01 * (job.seed - 1))
    return found


def entry_of(plan: ComparisonPlan, outcomes: dict[Job, Outcome], interrupted: bool = False) -> Any:
    """The row of the chain."""
    comparison = assemble(plan, outcomes, NOWHERE, interrupted)
    return next(entry for entry in comparison.entries if entry.name == CHAIN)


def test_interval_is_students() -> None:
    values = [0.7, 0.8, 0.84, 0.9]
    low, high = seed_interval(values, 0.95)
    wanted = ttest_1samp(values, 0).confidence_interval(0.95)
    assert (low, high) == pytest.approx((wanted.low, wanted.high))
    assert seed_interval([0.7], 0.95) == (None, None)
    assert seed_interval([0.7, 0.7], 0.95) == (0.7, 0.7)


def test_an_entry_is_the_mean_over_its_seeds(plan: ComparisonPlan) -> None:
    found = outcomes_of(plan, [0.6, 0.7, 0.8])
    for job in found:
        if job.method == CHAIN:
            more = {"seconds": 1.0 + job.seed, "steps": 18 + job.seed, "peak_memory_mb": 100.0 * (1 + job.seed)}
            curve = [(10, 0.5, 0.3 + 0.1 * job.seed), (20, 1.0, 0.5)][: 2 if job.seed else 1]
            found[job] = replace(found[job], curve=curve, **more)
    entry = entry_of(plan, found)
    assert entry.score == pytest.approx(0.7)
    assert entry.scores == (0.6, 0.7, 0.8)
    assert (entry.low, entry.high) == pytest.approx(seed_interval([0.6, 0.7, 0.8], 0.95, fraction=True))
    assert (entry.seconds, entry.steps, entry.parameters) == (2.0, 19, 1000)
    assert entry.peak_memory_mb == 300.0  # the highest, not the mean
    assert entry.metrics == {"accuracy": pytest.approx(0.7)}
    assert [(point.step, point.score) for point in entry.curve] == [(10, pytest.approx(0.4))]  # where all have one
    assert entry.title == "simclr >> fine-tune"
    assert entry.gives == tuple(sorted(plan.methods[CHAIN].stages[-1].gives))  # type: ignore[attr-defined]
    assert "input" in entry.needs
    assert "label" in entry.needs
    assert [stage["name"] for stage in entry.hyperparameters["stages"]] == ["simclr", "fine-tune"]


def test_scores_are_in_the_order_of_the_seeds(plan: ComparisonPlan) -> None:
    backwards = replace(plan, seeds=(2, 0, 1))
    assert entry_of(backwards, outcomes_of(plan, [0.6, 0.7, 0.8])).scores == (0.8, 0.6, 0.7)


def test_a_seed_that_failed_is_one_seed_that_failed(plan: ComparisonPlan, tmp_path: Path) -> None:
    outcomes = outcomes_of(plan, [0.6, 0.7, 0.8])
    second = next(job for job in outcomes if job.method == CHAIN and job.seed == 1)
    outcomes[second] = Outcome(error="out of luck", wall_seconds=3.0)
    entry = entry_of(plan, outcomes)
    assert (entry.score, entry.error, entry.seconds) == (pytest.approx(0.7), None, 2.0)
    assert entry.scores == (0.6, None, 0.8)
    assert (entry.low, entry.high) == pytest.approx(seed_interval([0.6, 0.8], 0.95, fraction=True))
    assert entry.failed_seeds == {"1": "out of luck"}
    made = assemble(plan, outcomes, tmp_path, interrupted=False)
    assert made.conclusion is not None
    assert any("1 of 3 trainings of simclr >> fine-tune failed" in each for each in made.conclusion.cautions)
    assert "(1 of 3 failed)" in table_of(made)


def test_where_all_seeds_failed_the_entry_failed(plan: ComparisonPlan) -> None:
    outcomes = outcomes_of(plan, [0.6, 0.7, 0.8])
    for job in outcomes:
        if job.method == CHAIN:
            outcomes[job] = Outcome(error="out of luck", wall_seconds=3.0)
    entry = entry_of(plan, outcomes)
    assert (entry.score, entry.error, entry.seconds) == (None, "out of luck", 3.0)
    assert not entry.scored


def test_what_took_more_than_the_budget_is_marked(plan: ComparisonPlan, tmp_path: Path) -> None:
    """The whole fit counts, and only of seconds is there too much."""
    outcomes = {
        job: replace(each, fit_seconds=17.0 if job.method == CHAIN else 13.9)
        for job, each in outcomes_of(plan, [0.6, 0.7, 0.8]).items()
    }
    assert entry_of(plan, outcomes).over_budget is None
    timed = assemble(replace(plan, budget=Budget(10, "seconds")), outcomes, tmp_path, interrupted=False)
    assert [entry.over_budget for entry in timed.ways] == [None, pytest.approx(1.7)]
    assert "(1.7 × the budget)" in table_of(timed)
    assert timed.conclusion is not None
    assert any("simclr >> fine-tune (1.7 times as much)" in caution for caution in timed.conclusion.cautions)


def test_a_busy_machine_is_warned_of(plan: ComparisonPlan, tmp_path: Path) -> None:
    outcomes = outcomes_of(plan, [0.6, 0.7, 0.8])
    slow = next(job for job in outcomes if job.method == CHAIN)
    for slowdown, warned in ((1.4, False), (2.5, True)):
        outcomes[slow] = replace(outcomes[slow], slowdown=slowdown)
        made = assemble(replace(plan, budget=Budget(1, "seconds")), outcomes, tmp_path, interrupted=False)
        assert any("busy: a training was up to 2.5 times slower" in note for note in made.notes) is warned
    assert assemble(plan, outcomes, tmp_path, interrupted=False).notes == ()  # a budget in steps is kept all the same


def table_of(comparison: Comparison) -> str:
    """The table as a terminal shows it."""
    console = Console(width=160)
    with console.capture() as capture:
        console.print(render_table(comparison))
    return capture.get()


@pytest.mark.parametrize(("scores", "pending"), [([], True), ([0.6], True), ([0.6, 0.7, 0.8], False)])
def test_what_had_not_finished_is_pending(plan: ComparisonPlan, scores: list[float], pending: bool) -> None:
    assert entry_of(plan, outcomes_of(plan, scores), interrupted=True).pending is pending
    assert not entry_of(plan, outcomes_of(plan, scores)).pending


def test_label_points_are_plain_supervision_alone(plan: ComparisonPlan) -> None:
    points = assemble(plan, outcomes_of(plan, [0.99, 0.99, 0.99]), NOWHERE, interrupted=False).label_curve
    assert [point.labels for point in points] == list(plan.curve)
    assert (points[0].labels, points[-1].labels) == (40, 1348)
    assert points[0].score == pytest.approx(0.5)
    assert points[0].scores == pytest.approx((0.49, 0.5, 0.51))
    assert (points[0].low, points[0].high) == pytest.approx(seed_interval([0.49, 0.5, 0.51], 0.95))


def test_labels_that_plain_supervision_would_need(plan: ComparisonPlan) -> None:
    second = plan.curve[1]
    assert entry_of(plan, outcomes_of(plan, [0.6] * 3)).labels_equivalent == pytest.approx(second)
    halfway = entry_of(plan, outcomes_of(plan, [0.55] * 3)).labels_equivalent
    assert halfway == pytest.approx((40 * second) ** 0.5)  # between two points in the logarithm
    beyond = entry_of(plan, outcomes_of(plan, [0.99] * 3))
    assert (beyond.labels_equivalent, beyond.labels_note) == (None, "about 1,348 or more")


def test_an_unfinished_comparison_has_no_best(plan: ComparisonPlan, tmp_path: Path) -> None:
    found = assemble(plan, {}, tmp_path, interrupted=True)
    assert [entry.pending for entry in found.entries] == [True] * 3
    assert found.best is None
    assert found.label_curve == ()
    assert found.conclusion is not None
    assert found.conclusion.recommended is None


def test_summary_counts_what_is_shown_and_what_is_known(plan: ComparisonPlan) -> None:
    data = summarise(plan)
    assert (data.rows, data.training_rows, data.test_rows) == (1797, 1348, 449)
    assert (data.labels_shown, data.labels_known, data.label) == (40, 1348, "label")
    assert data.classes == tuple("0123456789")
    assert [(column.name, column.kind, column.detail) for column in data.inputs] == [
        ("image", "image", "8×8 pixels, grey")
    ]
    assert data.fingerprint == plan.data.fingerprint


def test_plain_supervision_is_worth_the_labels_that_it_had(plan: ComparisonPlan, tmp_path: Path) -> None:
    """Also where its scores happen to fall with more labels."""
    counts = plan.curve
    scores = {job: 0.9 - 0.1 * counts.index(job.labels) if job.labels in counts else 0.5 for job in plan.jobs()}
    made = assemble(plan, {job: outcome(score) for job, score in scores.items()}, tmp_path, interrupted=False)
    assert next(entry for entry in made.entries if entry.name == "supervised").labels_equivalent == 40
