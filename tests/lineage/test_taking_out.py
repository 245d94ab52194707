"""Methods that take rows out of their models are let to, and what they promise is checked."""

from collections.abc import Callable

import numpy as np
import pytest

import manyways as mw
from manyways.data.data import Data
from manyways.lineage.forgetting.verification import relative_difference, verify
from manyways.methods.discovery import all_methods
from manyways.methods.method import Method
from manyways.testing.trial import difference

SMALL: dict[str, Callable[[], Method]] = {
    "sharded": lambda: mw.Sharded(method=mw.Supervised(size=0.25), shards=4, slices=2),
}
NAMES = sorted(name for name, kind in all_methods().items() if kind.forgets is not None)


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_taken_out_where_the_method_can(name: str, people: Data, store: mw.Store) -> None:
    kind = all_methods()[name]
    method = SMALL[name]() if name in SMALL else kind()
    model = method.fit(people, budget=16, seed=2, run=mw.Run(store=store))
    mine = people.training.select(people.training.take("person") == "person-1")
    done = mw.forget(model, mine)
    (step,) = done.plan.steps
    assert (step.how, step.guarantee) == (f"{name} takes them out", kind.forgets), step.note
    assert done.model is not None
    expected = method.fit(people.without(mine.ids), budget=16, seed=2)
    if kind.forgets == "bitwise":
        assert difference(done.model, expected) is None
    else:
        assert relative_difference(done.model, expected) <= 1e-8
    assert done.model.lineage.facts["forgotten_rows"] == len(mine)
    (verdict,) = verify(done.receipt, allow=mw.receipt_sources(done.receipt)[0]).models
    assert verdict.verdict == "same", verdict.note
    again = people.training.select(people.training.take("person") == "person-2")
    later = mw.forget(done.model, again)
    assert later.plan.steps[0].how == step.how, "it can forget more than once"
    assert verify(later.receipt, allow=mw.receipt_sources(later.receipt)[0]).holds


def test_learning_again_can_be_asked_for(people: Data, store: mw.Store) -> None:
    method = mw.Ridge() if "ridge" in all_methods() else all_methods()[NAMES[0]]()
    model = method.fit(people, run=mw.Run(store=store))
    done = mw.forget(model, subject="person-1", how="retrain")
    assert (done.plan.steps[0].how, done.plan.steps[0].guarantee) == ("learned again", "bitwise")
    rest = people.without(people.select(people.take("person") == "person-1").ids)
    assert done.model is not None
    assert difference(done.model, method.fit(rest)) is None


def test_what_was_made_of_it_is_as_near_as_it_is(people: Data, store: mw.Store) -> None:
    near = [name for name in NAMES if all_methods()[name].forgets == "1e-8"]
    start = all_methods()[near[0]]().fit(people, run=mw.Run(store=store))
    mw.Distill(size=0.25).fit(people, start, budget=2, run=mw.Run(store=store))
    done = mw.forget(subject="person-1")
    assert [step.guarantee for step in done.plan.steps] == ["1e-8", "1e-8"]
    assert done.plan.steps[1].how == "learned again"


def test_a_method_that_cannot_after_all_is_learned_again(
    people: Data, store: mw.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from manyways.errors import NeedsError

    method = all_methods()[NAMES[0]]()
    model = method.fit(people, run=mw.Run(store=store))

    def cannot(*_: object, **__: object) -> None:
        raise NeedsError("It cannot, of this data.")

    monkeypatch.setattr(type(method), "forget", cannot)
    done = mw.forget(model, subject="person-1")
    (step,) = done.plan.steps
    assert (step.how, step.guarantee, step.note) == ("learned again", "bitwise", "It cannot, of this data.")
    rest = people.without(people.select(people.take("person") == "person-1").ids)
    assert done.model is not None
    assert difference(done.model, method.fit(rest)) is None
    assert done.receipt["models"][0]["how"] == "learned again"


def test_rows_that_the_source_no_longer_has_cannot_be_taken_out(people: Data, store: mw.Store) -> None:
    method = all_methods()[NAMES[0]]()
    model = method.fit(people, run=mw.Run(store=store))
    rest = people.without(people.select(people.take("person") == "person-1").ids)
    done = mw.forget(model, subject="person-1", data=rest)
    (step,) = done.plan.steps
    assert step.how == "learned again"
    assert "no longer has the rows" in step.note
    assert done.model is not None
    assert difference(done.model, method.fit(rest)) is None
    assert np.array_equal(done.model.lineage.all_rows(), method.fit(rest).lineage.all_rows())
