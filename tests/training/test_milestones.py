"""What a learner or its method adds to the loop: milestones, work besides the steps, and signs of trouble."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic

import pytest
import torch
from torch.nn.functional import cross_entropy

import manyways as mw
from manyways.data.data import Data
from manyways.errors import TrainingError
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.rows import LabelledLearnerT, LabelledMethod
from manyways.methods.needs import Input, Label
from manyways.methods.supervised.supervised import Supervised
from manyways.models.model import Model
from manyways.training import plan
from manyways.training.budget import Budget
from manyways.training.events import Event, JsonLines
from manyways.training.learner import LabelledLearner
from manyways.training.progress import ProgressBar
from manyways.training.run import Run


@pytest.fixture(scope="module")
def wine() -> Data:
    return mw.read("wine")


@dataclass(frozen=True, kw_only=True)
class Plain(LabelledMethod[LabelledLearnerT], Generic[LabelledLearnerT]):
    """Supervised learning on a learner of any class."""

    needs: ClassVar = (Input, Label)
    gives: ClassVar = frozenset({"classify"})

    def draw(self, learner: LabelledLearnerT, step: int, rng: torch.Generator) -> Batch:
        rows = learner.pick(learner.labelled, self.batch_size, step)
        return {"inputs": learner.take(rows), "labels": learner.labels_at(rows)}

    def loss(self, learner: LabelledLearnerT, batch: Batch) -> Loss:
        return cross_entropy(learner.network(batch["inputs"]), batch["labels"]), {}


class LearnerInParts(LabelledLearner):
    """A learner of which something ends after 7 steps, and after all."""

    def milestones(self, steps: int) -> dict[int, str]:
        return {7: "the first part", steps: "the last"}


@dataclass(frozen=True, kw_only=True)
class InParts(Plain[LearnerInParts]):
    """Supervised learning with milestones."""


def test_listeners_are_offered_the_model_at_milestones(wine: Data) -> None:
    heard: list[tuple[str, int, str]] = []

    def listen(event: Event) -> None:
        if event.model is not None:
            assert event.model().target is not None
            heard.append((event.kind, event.step, event.note))

    InParts().fit(wine, budget=20, run=Run(listeners=[listen], evaluations=2))
    assert heard == [
        ("milestone", 7, "the first part"),
        ("evaluate", 10, ""),
        ("evaluate", 20, ""),
        ("milestone", 20, "the last"),
    ]


def test_notes_are_written_to_a_log(wine: Data, tmp_path: Path) -> None:
    InParts().fit(wine, budget=10, run=Run(listeners=[JsonLines(tmp_path / "log.jsonl")]))
    assert '"note": "the first part"' in (tmp_path / "log.jsonl").read_text()


@dataclass(frozen=True, kw_only=True)
class WithOverhead(Supervised):
    """Supervised learning that computes something three times besides its steps."""

    calls: ClassVar[list[int]] = []

    def besides(self, learner: Any) -> tuple[int, Callable[[], object]]:
        return 3, lambda: self.calls.append(1)


def test_what_is_computed_besides_the_steps_is_paid_for(wine: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of 0.1 s and three times 1 s in a budget of 10 s leave 70 steps."""
    monkeypatch.setattr(plan, "_seconds", lambda budget, step: 0.1)
    monkeypatch.setattr(plan, "_once", lambda unit, work: (work(), 1.0)[1])
    learner = WithOverhead().begin(wine, None, 0)
    optimizer = torch.optim.SGD(learner.parameters(), lr=0.1)

    def steps(method: Supervised, seconds: float) -> int:
        return plan.plan_steps(method, learner, optimizer, Budget(seconds, "seconds"), 0, lambda *rest: None)

    assert steps(WithOverhead(), 10) == 70
    assert len(WithOverhead.calls) == 1
    assert steps(Supervised(), 10) == 100
    assert steps(WithOverhead(), 2) == 1


@dataclass
class Signs:
    """Signs of trouble after 30 steps, and of weights that are not sound from a step on."""

    sound_until: int
    taken: int = 0

    @property
    def sound(self) -> bool:
        return self.taken <= self.sound_until

    def trouble(self, steps: int) -> str | None:
        return "It went wrong. Try something else." if self.taken >= 30 else None


class WrongLearner(LabelledLearner):
    """A learner with signs of trouble."""

    signs: Signs

    @property
    def recovery(self) -> Signs:
        return self.signs


@dataclass(frozen=True, kw_only=True)
class GoesWrong(Plain[WrongLearner]):
    """Supervised learning that is in trouble after 30 steps, and not sound from the 20th on."""

    sound_until: int = 20

    def begin(self, data: Data, model: Model | None, seed: int) -> WrongLearner:
        learner = super().begin(data, model, seed)
        learner.signs = Signs(self.sound_until)
        return learner

    def after(self, learner: WrongLearner, step: int) -> None:
        learner.signs.taken = step + 1


def test_the_last_sound_weights_are_kept(wine: Data) -> None:
    heard: list[Event] = []
    model = GoesWrong().fit(wine, budget=100, run=Run(listeners=[heard.append]))
    assert [event.kind for event in heard][-2:] == ["diverge", "stop"]
    assert model.lineage.facts["caution"] == (
        "It went wrong. Try something else. What is kept are the weights of step 20, the last that were good."
    )
    assert model.lineage.steps == 30
    seen: list[Any] = []

    def look(event: Event) -> None:
        if event.kind == "evaluate" and event.model is not None:
            seen.append(event.model().outputs(wine))

    GoesWrong().fit(wine, budget=100, run=Run(listeners=[look], evaluations=5))
    assert (model.outputs(wine) == seen[0]).all(), "after 20 of 100 steps"


def test_without_good_weights_it_is_an_error(wine: Data) -> None:
    with pytest.raises(TrainingError, match=r"^It went wrong\. Try something else\.$"):
        GoesWrong(sound_until=0).fit(wine, budget=100)


def test_the_bar_says_it(wine: Data) -> None:
    from io import StringIO

    from rich.console import Console

    out = StringIO()
    with ProgressBar(Console(file=out, width=200)) as bar:
        GoesWrong().fit(wine, budget=100, run=Run(listeners=[bar]))
    assert "It went wrong. Try something else. What is kept" in out.getvalue()
