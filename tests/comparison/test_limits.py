"""Limits: when a training hangs, by its budget."""

import pytest

from manyways.comparison.limits import Limits
from manyways.training.budget import Budget

pytestmark = pytest.mark.quick


def test_seconds_are_ten_times_the_budget_and_some_for_the_rest() -> None:
    limits = Limits.of(Budget.of("30s"), None)
    assert limits == Limits(seconds=600)
    assert limits.exceeded(began=100, heard=100, now=700) is None
    reason = limits.exceeded(began=100, heard=699, now=701)
    assert reason == "its training was ended after 10 min; more time: --limit SECONDS."


def test_of_other_budgets_it_is_silence_that_counts() -> None:
    limits = Limits.of(Budget.of("10000 steps"), None)
    assert limits.exceeded(began=0, heard=90_000, now=93_000) is None
    assert "after 60 min without progress" in (limits.exceeded(began=0, heard=90_000, now=93_601) or "")


@pytest.mark.parametrize("budget", ["30s", "10 steps"])
def test_a_limit_that_is_given_holds_for_all(budget: str) -> None:
    assert Limits.of(Budget.of(budget), 5) == Limits(seconds=5)
