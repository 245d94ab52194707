"""Budgets: what is written is what is meant, and what is allowed is what is spent."""

from typing import Any

import pytest
import torch

import manyways as mw
from manyways.data.data import Data
from manyways.errors import ParameterError
from manyways.methods.method import Method
from manyways.methods.supervised.supervised import Supervised
from manyways.training import plan
from manyways.training.budget import UNITS, Budget

DAY_LONG = 24 * 3600.0


@pytest.fixture(scope="module")
def cancer() -> Data:
    """569 rows of 30 numbers and two classes."""
    return mw.read("breast-cancer")


@pytest.mark.quick
@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("1 step", 1, "steps"),
        ("500 steps", 500, "steps"),
        (500, 500, "steps"),
        ("1 example", 1, "examples"),
        ("1e4 examples", 10_000, "examples"),
        ("1,234,567 examples", 1_234_567, "examples"),
        ("20s", 20, "seconds"),
        ("1 second", 1, "seconds"),
        ("1.5 Seconds", 1.5, "seconds"),
        (".5 s", 0.5, "seconds"),
        ("2m", 120, "seconds"),
        ("2 min", 120, "seconds"),
        ("1 minute", 60, "seconds"),
        (" 2  minutes ", 120, "seconds"),
        ("24h", DAY_LONG, "seconds"),
        ("1 hour", 3600, "seconds"),
        ("0.5 hours", 1800, "seconds"),
        ("7 flop", 7, "flops"),
        ("3e9 flops", 3e9, "flops"),
        ("2 gflops", 2e9, "flops"),
        ("2 TFLOPs", 2e12, "flops"),
        ("5e-1 tflops", 5e11, "flops"),
    ],
)
def test_every_way_to_write_one(text: str | int, amount: float, unit: str) -> None:
    read = Budget.of(text)
    assert (read.amount, read.unit) == (pytest.approx(amount), unit)


@pytest.mark.quick
def test_a_budget_is_itself() -> None:
    given = Budget(3, "seconds")
    assert Budget.of(given) is given


@pytest.mark.quick
@pytest.mark.parametrize("text", ["", "s", "20 parsecs", "-5 steps", "ten", "5 steps on", "1e 4", "1,5 s", True, None])
def test_anything_else_is_refused_with_examples(text: Any) -> None:
    with pytest.raises(ParameterError, match=r"budget must be a number and a unit, such as 20s, .*; got ") as error:
        Budget.of(text)
    assert str(error.value).endswith(f"got {text!r}.")


@pytest.mark.quick
@pytest.mark.parametrize("text", ["10", " 10", "1e3", "1,000"])
def test_a_number_in_text_without_a_unit_is_asked_about(text: str) -> None:
    number = text.strip().replace(",", "")
    with pytest.raises(ParameterError, match=f"lacks a unit: {number}s or '{number} steps'?"):
        Budget.of(text)
    assert Budget.of(10) == Budget(10, "steps")


@pytest.mark.quick
@pytest.mark.parametrize("text", ["0 steps", "0 s", "0.0 flops", "1.2.3 s", "1e999 steps"])
def test_nothing_and_no_number_are_refused(text: str) -> None:
    with pytest.raises(ParameterError, match=f"budget must be above 0 and a number; got {text!r}"):
        Budget.of(text)


@pytest.mark.quick
@pytest.mark.parametrize("amount", [0, -1, float("nan"), float("inf")])
def test_an_amount_must_be_above_zero_and_end(amount: float) -> None:
    with pytest.raises(ParameterError, match=r"Budget\.amount must be above 0; got"):
        Budget(amount)


@pytest.mark.quick
@pytest.mark.parametrize("amount", ["20s", True, None])
def test_an_amount_in_words_is_told_where_words_are_read(amount: Any) -> None:
    with pytest.raises(ParameterError, match=r"Budget\.amount must be a number; got .*Budget\.of\('20s'\)"):
        Budget(amount)


@pytest.mark.quick
def test_an_unknown_unit_is_refused_with_those_there_are() -> None:
    with pytest.raises(ParameterError, match=r"must be one of steps, examples, seconds, flops; got 'minutes'"):
        Budget(1, "minutes")  # type: ignore[arg-type]


@pytest.mark.quick
@pytest.mark.parametrize("unit", UNITS)
def test_shares_add_up_to_the_whole(unit: Any) -> None:
    whole = Budget(1000, unit)
    shares = [whole.share(part) for part in (0.2, 0.3, 0.5)]
    assert [share.amount for share in shares] == pytest.approx([200, 300, 500])
    assert {share.unit for share in shares} == {unit}


@pytest.mark.quick
def test_a_share_is_at_least_one_step_or_example_and_any_part_of_a_second() -> None:
    assert Budget(2, "steps").share(0.1).amount == 1
    assert Budget(2, "examples").share(0.1).amount == 1
    assert Budget(2, "seconds").share(0.1).amount == pytest.approx(0.2)
    assert Budget(2, "flops").share(0.1).amount == pytest.approx(0.2)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (Budget(1), "1 step"),
        (Budget(1500), "1,500 steps"),
        (Budget(0.25, "seconds"), "0.25 seconds"),
        (Budget(1, "seconds"), "1 second"),
        (Budget(90, "seconds"), "90 seconds"),
        (Budget(1e6, "examples"), "1,000,000 examples"),
        (Budget(2e12, "flops"), "2e+12 flops"),
    ],
)
def test_words_are_read_as_the_budget_they_say(budget: Budget, words: str) -> None:
    assert str(budget) == words
    assert Budget.of(words) == budget


# --- spent ---------------------------------------------------------------------------------------


def test_examples_are_counted_by_the_rows_of_a_batch(cancer: Data) -> None:
    method = Supervised(batch_size=10)
    assert method.fit(cancer, budget="49 examples").lineage.steps == 4
    assert method.fit(cancer, budget="3 examples").lineage.steps == 1, "a run is one step at least"


def linear() -> Supervised:
    """A linear model of 30 numbers and two classes in batches of 64: its operations can be counted by hand."""
    return Supervised(backbone="flat", batch_size=64, augment=False, precision="float32")


FLOPS_OF_A_STEP = 2 * (2 * 64 * 30 * 2)
"""A multiplication and an addition for each row, input and output: once forwards, once for the weights' gradient."""


@pytest.mark.parametrize(("steps", "budget"), [(10, 10.5), (7, 7.0), (1, 0.01)])
def test_operations_are_those_of_the_network(cancer: Data, steps: int, budget: float) -> None:
    model = linear().fit(cancer, budget=Budget(budget * FLOPS_OF_A_STEP, "flops"))
    assert model.lineage.steps == steps


def test_steps_that_were_taken_to_plan_are_taken_back(cancer: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planned by operations or by time, the same number of steps gives the same weights."""

    def timed(budget: Budget, step: Any) -> float:
        for number in range(6):
            step(number)
        return budget.amount / 8.5

    monkeypatch.setattr(plan, "_seconds", timed)
    plain, counted, clocked = (
        linear().fit(cancer, budget=budget)
        for budget in (Budget(8), Budget(8.5 * FLOPS_OF_A_STEP, "flops"), Budget(DAY_LONG, "seconds"))
    )
    assert plain.lineage.steps == counted.lineage.steps == clocked.lineage.steps == 8
    for name, tensor in plain.network.state_dict().items():
        assert torch.equal(tensor, counted.network.state_dict()[name]), name
        assert torch.equal(tensor, clocked.network.state_dict()[name]), name


@pytest.mark.quick
def test_time_is_that_of_the_median_step_after_the_first_two(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    lengths = iter([9.0, 9.0, 0.1, 0.3, 0.1, 0.1, 0.1, 0.1, 0.1])
    taken: list[int] = []

    def step(number: int) -> None:
        taken.append(number)
        clock[0] += next(lengths)

    monkeypatch.setattr(plan.time, "perf_counter", lambda: clock[0])
    assert plan._seconds(Budget(1, "seconds"), step) == pytest.approx(0.1)
    assert taken == list(range(6)), "four steps are enough where they take more than a twentieth of the budget"


def test_a_budget_in_seconds_is_about_kept(cancer: Data) -> None:
    lineage = linear().fit(cancer, budget="0.5s").lineage
    assert lineage.steps > 10
    assert 0.05 < lineage.seconds < 1.5


def test_steps_of_different_cost_are_planned_by_whole_periods(cancer: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every third step costs more, as where a rollout serves three, the mean step is what is planned with."""

    class Rolling(Supervised):
        def period(self) -> int:
            return 3

        def draw(self, learner: Any, step: int, rng: torch.Generator) -> Any:
            clock[0] += 1.0 if step % 3 == 0 else 0.1
            return super().draw(learner, step, rng)

    clock = [0.0]
    monkeypatch.setattr(plan.time, "perf_counter", lambda: clock[0])
    assert Rolling(backbone="flat").fit(cancer, budget="12.1s").lineage.steps == 30


@pytest.mark.quick
@pytest.mark.parametrize("amount", [7, 10, 100, 101])
@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (0.001, 1.0, 5.0), (5.0, 1.0, 0.001, 1.0)])
def test_steps_that_are_divided_add_up(amount: int, weights: tuple[float, ...]) -> None:
    parts = Budget(amount, "steps").divided(weights, [1] * len(weights))
    assert sum(part.amount for part in parts) == amount
    assert all(part.amount >= 1 for part in parts)
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part.amount - amount * weight / sum(weights)) < len(weights)
    seconds = Budget(amount, "seconds").divided(weights, [1] * len(weights))
    assert sum(part.amount for part in seconds) == pytest.approx(amount)


FEW = [
    (mw.SelfTraining(base=mw.Supervised(size=0.25)), 3),
    (mw.ActiveLearning(base=mw.Supervised(size=0.25)), 5),
    (mw.SimCLR(size=0.25, batch_size=16) >> mw.SelfTraining(base=mw.FineTune(), rounds=2), 3),
    (mw.Sharded(method=mw.Supervised(size=0.25), shards=2, slices=2), 4),
    (mw.SelfTraining(base=mw.SelfTraining(base=mw.Supervised(size=0.25), rounds=2), rounds=2), 4),
]


@pytest.mark.parametrize(("method", "fewest"), FEW, ids=str)
def test_trainings_of_trainings_take_no_more_steps_than_they_may(method: Method, fewest: int, cancer: Data) -> None:
    few = cancer.with_labels(40, draw="stratified")
    with pytest.raises(ParameterError, match=rf"takes {fewest} steps at least.*got a budget of 2 steps. Allow more"):
        method.fit(few, budget=2)
    for budget in (fewest, 11):
        spent = method.fit(few, budget=budget).lineage.steps
        assert spent == budget or (isinstance(method, mw.Sharded) and fewest <= spent <= budget)


def test_methods_without_steps_need_none(cancer: Data) -> None:
    few = cancer.with_labels(40, draw="stratified")
    assert mw.SelfTraining(base=mw.Ridge()).fit(few, budget=1).lineage.steps == 0
    chain = mw.SimCLR(size=0.25, batch_size=16) >> mw.LinearProbe(penalty=1.0)
    assert chain.fit(few, budget=1).lineage.steps == 1
