"""Methods that train another in rounds: what each takes of the budget adds up to the whole."""

from collections.abc import Callable
from dataclasses import replace

import pytest

import manyways as mw
from manyways.data.data import Data
from manyways.methods.method import Learned
from manyways.methods.supervised.supervised import Supervised
from manyways.training.budget import Budget

Rounds = Callable[..., mw.Method]
METHODS = [mw.SelfTraining(rounds=4), mw.ActiveLearning(rounds=3, questions=9)]


@pytest.fixture(scope="module")
def wine() -> Data:
    return mw.read("wine").with_test(0.2).with_labels(20)


@pytest.fixture
def budgets(monkeypatch: pytest.MonkeyPatch) -> list[Budget]:
    """The budgets of the rounds. Each takes the share of it that is next in `taken`, 3 steps where it is of seconds."""
    given: list[Budget] = []
    learn, taken = Supervised.learn, [0.5, 1.4, 0.9, 1.0]

    def partly(self: Supervised, data: Data, model: object, budget: Budget, *rest: object) -> Learned:
        given.append(budget)
        share = taken[len(given) - 1]
        if budget.unit == "steps":
            allowed = max(1, int(min(share, 1.0) * budget.amount))
            return learn(self, data, model, Budget(allowed), *rest)  # type: ignore[arg-type]
        return replace(learn(self, data, model, Budget(3), *rest), seconds=share * budget.amount)  # type: ignore[arg-type]

    monkeypatch.setattr(Supervised, "learn", partly)
    return given


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_steps_that_a_round_leaves_are_those_of_the_others(
    method: mw.Method, wine: Data, budgets: list[Budget]
) -> None:
    model = method.fit(wine, budget="81 steps")
    assert [each.amount for each in budgets] == [20, 23, 24, 27]  # the first takes 10, the third 21 of its 24
    assert model.lineage.steps == 10 + 23 + 21 + 27 == 81


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_seconds_add_up_where_rounds_take_less_or_more(method: mw.Method, wine: Data, budgets: list[Budget]) -> None:
    model = method.fit(wine, budget="40s")
    assert [each.amount for each in budgets] == pytest.approx([10, 35 / 3, (35 - 49 / 3) / 2, 40 - 5 - 49 / 3 - 8.4])
    assert model.lineage.seconds == pytest.approx(40)


def test_as_many_rounds_as_there_are_questions_share_the_budget(wine: Data) -> None:
    model = mw.ActiveLearning(rounds=4, questions=2).fit(wine, budget="30 steps")
    assert [parent.steps for parent in model.lineage.parents] == [10, 10, 10]
    assert model.lineage.facts == {"asked": [1, 1]}


@pytest.mark.quick
@pytest.mark.parametrize(
    ("whole", "spent", "left", "share"),
    [
        (Budget(10), [], 3, 3),
        (Budget(10), [3], 2, 3),
        (Budget(10), [3, 3], 1, 4),
        (Budget(10), [1], 2, 4),
        (Budget(12, "seconds"), [4.0], 2, 4),
        (Budget(12, "seconds"), [13.0], 2, 0.006),  # nothing is left, and a training takes a step
        (Budget(12, "examples"), [99.0], 2, 4),
    ],
)
def test_next_share(whole: Budget, spent: list[float], left: int, share: float) -> None:
    assert whole.next_share(spent, left, 1).amount == pytest.approx(share)
