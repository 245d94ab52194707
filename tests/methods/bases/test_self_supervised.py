"""Self-supervised methods: the pretext task is scored, features that collapsed are named, and both reach a report."""

from dataclasses import dataclass

import pytest
import torch
from torch.nn.functional import normalize

import manyways as mw
from manyways.data.data import Data
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.self_supervised import effective_rank, spread
from manyways.methods.bases.two_views import partner_accuracy
from manyways.methods.self_supervised.simclr import SimCLR, SimCLRLearner
from manyways.randomness import generator
from manyways.training.events import Event
from manyways.training.run import Run


@pytest.mark.quick
def test_spread_and_rank_in_closed_form() -> None:
    """The corners ±e of a cross in four dimensions are spread evenly; one point has neither spread nor rank."""
    cross = torch.cat([torch.eye(4), -torch.eye(4)])
    assert spread(cross) == pytest.approx(1)
    assert spread(7 * cross) == pytest.approx(1), "features of any length"
    assert effective_rank(cross + 5) == pytest.approx(4)
    assert spread(torch.ones(9, 4)) == pytest.approx(0, abs=1e-6)
    assert effective_rank(torch.outer(torch.arange(9.0), torch.ones(4))) == pytest.approx(1, abs=1e-4)


@pytest.mark.quick
def test_partners_are_found_by_the_cosine() -> None:
    rows = torch.randn(32, 16, generator=generator(0))
    same = partner_accuracy(rows, 3 * rows)
    assert same == {"accuracy": 1.0, "chance": pytest.approx(1 / 63)}
    assert partner_accuracy(rows, rows.roll(1, 0))["accuracy"] == 0.0


@pytest.mark.quick
def test_what_scores_say() -> None:
    method = SimCLR()
    learned = {"accuracy": 0.3, "chance": 0.25, "spread": 0.5, "effective_rank": 20.0}
    assert method.cautions(learned, 1024) == []
    assert "0.25" not in str(method.cautions(learned, 1024))
    few = method.cautions(learned, 100)  # three standard errors of a hundred rows are 13 points
    assert few == [
        (
            "The pretext task was not learned: its accuracy is 30.00%, and chance gives 25.00%. Train longer, or take "
            "another pretext task."
        )
    ]
    (collapsed,) = method.cautions({**learned, "spread": 0.001}, 1024)
    assert collapsed.startswith("The representation has collapsed: all rows have nearly the same (spread 0.001")


def test_a_fit_notes_its_pretext_task_and_leaves_its_weights_alone(
    digits: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = SimCLR(batch_size=32).fit(digits, budget=3)
    scores = plain.lineage.facts["pretext"]
    assert set(scores) == {"accuracy", "chance", "spread", "effective_rank"}
    assert 0 < scores["accuracy"] <= 1
    assert scores["spread"] > 0.1
    assert scores["effective_rank"] > 5
    monkeypatch.setattr(SimCLR, "scores_of", lambda self, learner: {"spread": 1.0})
    unscored = SimCLR(batch_size=32).fit(digits, budget=3)
    others = unscored.network.state_dict()
    assert all(torch.equal(tensor, others[name]) for name, tensor in plain.network.state_dict().items())


def test_scores_are_of_the_network_in_evaluation_and_leave_it_as_it_was(digits: Data) -> None:
    method = SimCLR(batch_size=32)
    learner = method.begin(digits, None, 0)
    learner.train()
    before = {name: tensor.clone() for name, tensor in learner.state_dict().items()}
    scores = method.scores_of(learner)
    assert all(torch.equal(tensor, before[name]) for name, tensor in learner.state_dict().items())
    assert learner.training
    assert method.scores_of(learner) == scores


@dataclass(frozen=True, kw_only=True)
class Collapsing(SimCLR):
    """Views of one row are to be alike, and nothing holds those of others apart."""

    def loss(self, learner: SimCLRLearner, batch: Batch) -> Loss:
        projections = normalize(self.compared(learner, batch["inputs"]), dim=1)
        return (projections - projections.mean(0)).square().sum(1).mean(), {}


def test_collapse_is_told(digits: Data) -> None:
    events: list[Event] = []
    method = Collapsing(batch_size=32, learning_rate=1e-2)
    model = method.fit(digits, budget=30, run=Run(listeners=(events.append,)))
    assert model.lineage.facts["pretext"]["spread"] < 0.03
    assert "The representation has collapsed" in model.lineage.facts["caution"]
    assert [event.note for event in events if event.kind == "notice"] == [model.lineage.facts["caution"]]


def test_a_comparison_shows_what_a_stage_says_of_itself(digits: Data) -> None:
    methods = ["simclr(batch_size=32) >> linear-probe"]
    comparison = mw.compare(digits, labels=40, methods=methods, budget="6 steps", seeds=2, workers=0)
    entry = next(each for each in comparison.entries if not each.reference)
    assert entry.metrics["pretext_chance of simclr"] == pytest.approx(1 / 511, rel=0.01)
    accuracy = entry.metrics["pretext_accuracy of simclr"]
    assert accuracy is not None
    assert 0 < accuracy <= 1
