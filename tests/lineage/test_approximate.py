"""Approximate methods forget only where they are asked for by name, and what they make is labelled as no proof."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

import manyways as mw
from manyways.data.data import Data
from manyways.errors import NeedsError, StoreError
from manyways.lineage.forgetting.verification import verify
from manyways.methods.method import Learned, Method
from manyways.models.model import Model
from manyways.testing.trial import difference
from manyways.training.budget import Budget
from manyways.training.run import Run


@dataclass(frozen=True, kw_only=True)
class Blur(Method):
    """Shrink all weights a little: as good as no forgetting, and quickly done."""

    gives: ClassVar = frozenset({"classify", "embed"})
    takes: ClassVar = frozenset({"classify"})
    requires_model: ClassVar = True
    approximate: ClassVar = True

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        import copy
        from dataclasses import replace

        assert model is not None
        network = copy.deepcopy(model.network)
        for parameter in network.parameters():
            parameter.data.mul_(0.9)
        return Learned(replace(model, network=network), data.part[data.rows] == 0, (model,))

    def forget(self, model: Model, data: Data, rows: NDArray[np.bool_], **options: Any) -> Model:
        assert rows.shape == (len(data),)
        assert rows.any()
        if "classify" not in model.gives:
            raise NeedsError("It blurs classifiers.")
        return self.fit(data, model)


BLURRED = str(Blur())


@pytest.fixture
def blur(monkeypatch: pytest.MonkeyPatch) -> str:
    """The method's name, which is known for a while."""
    from manyways.methods import expressions

    monkeypatch.setattr("manyways.lineage.forgetting.planner.parse_method", lambda text: Blur() if text == "blur" else
                        expressions.parse_method(text))  # fmt: skip
    return "blur"


def test_a_chain_is_blurred_where_it_can_be(blur: str, people: Data, store: mw.Store) -> None:
    chain = mw.SimCLR(size=0.25, batch_size=8) >> mw.FineTune()
    model = chain.fit(people, budget=4, run=mw.Run(store=store))
    done = mw.forget(model, subject="person-1", how=blur)
    first, second, whole = done.plan.steps
    assert (first.how, first.note) == ("learned again", "It blurs classifiers.")
    assert (second.how, second.guarantee) == (BLURRED, "not proof")
    assert (whole.how, whole.guarantee) == ("put together again", "not proof")
    assert done.model is not None
    expected = Blur().fit(people, mw.FineTune().fit(people, mw.SimCLR(size=0.25, batch_size=8).fit(people, budget=2),
                                                    budget=2))  # fmt: skip
    assert difference(done.model, expected) is None
    assert [each.verdict for each in verify(done.receipt, allow=mw.receipt_sources(done.receipt)[0]).models] == [
        "same",
        "not proof",
        "not proof",
    ]
    rows = {each.tobytes() for each in done.model.lineage.all_rows()}
    assert not any(each.tobytes() in rows for each in people.select(people.take("person") == "person-1").ids)


def test_what_is_made_of_it_is_no_proof_either(blur: str, people: Data, store: mw.Store) -> None:
    run = mw.Run(store=store)
    start = mw.LinearProbe(penalty=1.0).fit(people, run=run)
    mine = people.select(people.take("person") == "person-1")
    mw.Distill(size=0.25).fit(people.without(mine.ids), start, budget=2, run=run)
    done = mw.forget(subject="person-1", how=blur)
    assert [(step.how, step.guarantee) for step in done.plan.steps] == [
        (BLURRED, "not proof"),
        ("learned again", "not proof"),
    ]
    # Its ancestor is gone, so it can be blurred or deleted, but not learned again.
    with pytest.raises(StoreError, match="2 of 2 models cannot forget: test-approximate"):
        mw.forget(subject="person-2")
    assert mw.forget(subject="person-2", how=blur).plan.steps[0].guarantee == "not proof"
    assert [step.how for step in mw.forget(subject="person-3", delete=True).plan.steps] == ["deleted", "deleted"]


def test_scrub_is_asked_for_by_its_name(people: Data, store: mw.Store) -> None:
    chain = mw.LinearProbe(penalty=1.0) >> mw.Distill(size=0.25)
    model = chain.fit(people, budget=4, run=mw.Run(store=store))
    done = mw.forget(model, subject="person-1", how="scrub(batch_size=8)")
    assert [(step.how, step.guarantee) for step in done.plan.steps] == [
        ("scrub(batch_size=8)", "not proof"),
        ("scrub(batch_size=8)", "not proof"),
        ("put together again", "not proof"),
    ]
    assert done.model is not None
    assert done.model.lineage.parents[0].facts["proof"] is False
    again = mw.forget(subject="person-2", how="npo(batch_size=8)")
    assert again.plan.steps[0].title == "scrub(batch_size=8)"
    with pytest.raises(StoreError, match=r"it was made from (npo|scrub).*, which is not in the store"):
        mw.forget(subject="person-3")
