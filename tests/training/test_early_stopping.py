"""Early stopping: it looks now and then, gives up after enough misses, and keeps what was best."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.methods.self_supervised.simclr import SimCLR
from manyways.methods.supervised.supervised import Supervised
from manyways.models.model import Model
from manyways.training.early_stopping import LOOKS, PATIENCE, EarlyStopping, Schedule
from manyways.training.events import Event
from manyways.training.run import Run

NAN = float("nan")


@pytest.fixture(scope="module")
def wine() -> Data:
    """178 rows of three classes, a quarter of them for validation."""
    return mw.read("wine").with_validation(0.25)


@pytest.fixture(autouse=True)
def own_stream() -> Iterator[None]:
    with torch.random.fork_rng():
        yield


class Scored:
    """Stands for a model whose scores are known, one for each look."""

    def __init__(self, model: Model, scores: list[float], losses: Iterable[float] = ()) -> None:
        self._model, self._scores, self._losses = model, iter(scores), iter(losses)
        self.seen: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def evaluate(self, rows: Any) -> dict[str, float]:
        self.seen.append(rows)
        return {
            "accuracy": next(self._scores),
            "balanced_accuracy": 0.0,
            "f1": 0.0,
            "log_loss": next(self._losses, 0.0),
        }


def constant(step: int, steps: int) -> float:
    return 1.0


def watch(
    data: Data, scores: list[float], patience: int | None = 3, schedule: Schedule = constant, losses: Any = ()
) -> tuple[EarlyStopping, Any, Scored]:
    """A stopping that will see `scores`, the learner it watches, and the model that it is shown."""
    learner = Supervised().begin(data, None, 0)
    shown = Scored(Supervised().fit(data, budget=1), scores, losses)
    snapshot: Callable[[], Any] = lambda: shown  # noqa: E731
    return EarlyStopping(patience, learner, snapshot, schedule), learner, shown


def mark(learner: Any, number: float) -> None:
    """Fill the learner's weights with `number`, to know them again."""
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter.fill_(number)


def marked(learner: Any) -> float:
    """The number that the learner was filled with."""
    return float(next(learner.parameters()).detach().flatten()[0])


@pytest.mark.parametrize(("steps", "at"), [(100, range(5, 101, 5)), (7, range(1, 8)), (59, range(2, 60, 2))])
def test_looks_are_spread_evenly(wine: Data, steps: int, at: range) -> None:
    looked = []
    stopping, _, shown = watch(wine, [0.5] * steps)
    for step in range(1, steps + 1):
        before = len(shown.seen)
        stopping.look(step, steps)
        looked += [step] * (len(shown.seen) - before)
    assert looked == list(at)
    assert len(looked) < 2 * LOOKS


def test_labelled_validation_rows_are_what_is_looked_at(wine: Data) -> None:
    some = np.flatnonzero(wine.part[wine.rows] == 1)[:10]
    stopping, _, shown = watch(wine.hide(some), [0.5])
    stopping.look(1, 1)
    expected = wine.validation.ids[10:]
    assert np.array_equal(shown.seen[0].ids, expected)


@pytest.mark.parametrize(
    ("scores", "done_after"),
    [
        ([0.5, 0.4, 0.4, 0.4], 4),
        ([0.5, 0.5, 0.5, 0.5], 4),
        ([0.1, 0.0, 0.0, 0.2, 0.1, 0.1, 0.3, 0.2, 0.2, 0.2], 10),
        ([0.1, 0.2, 0.3, 0.4, 0.5], None),
        ([0.5, NAN, NAN, NAN, NAN, NAN], None),
        ([NAN, 0.3, 0.2, NAN, 0.2, 0.2], 6),
    ],
)
def test_it_is_done_after_as_many_misses_in_a_row_as_patience(
    scores: list[float], done_after: int | None, wine: Data
) -> None:
    stopping, _, _ = watch(wine, scores, patience=3)
    done = []
    for step in range(1, len(scores) + 1):
        stopping.look(step, len(scores))
        done.append(stopping.done)
    assert done == [done_after is not None and step >= done_after for step in range(1, len(scores) + 1)]


def test_a_model_that_has_not_changed_is_not_looked_at_again(wine: Data) -> None:
    """Some methods change their model at few steps: what was seen before is no miss, also after a restart."""
    stopping, learner, shown = watch(wine, [0.5, 0.4, 0.4], patience=3)
    learner.changes = lambda step: step // 3
    for step in range(1, 7):
        stopping.look(step, 9)
    assert len(shown.seen) == 2, "before the first change there is nothing to see"
    again, other, seen = watch(wine, [0.4, 0.4], patience=3)
    other.changes = learner.changes
    again.restore(stopping.best, stopping.facts())
    for step in (7, 8, 9):
        again.look(step, 9)
    assert len(seen.seen) == 1
    assert not again.done


def test_the_best_weights_are_put_back(wine: Data) -> None:
    stopping, learner, _ = watch(wine, [0.1, 0.6, 0.6, 0.2])
    for step in range(1, 5):
        mark(learner, step)
        stopping.look(step, 4)
    assert marked(learner) == 4
    stopping.finish()
    assert marked(learner) == 2, "of equal scores the first"


def test_of_equal_scores_the_lower_loss_is_better(wine: Data) -> None:
    """Also where the first of them was seen before a restart."""
    stopping, learner, _ = watch(wine, [0.6, 0.6, 0.6], losses=[0.5, 0.4, 0.45])
    for step in range(1, 4):
        mark(learner, step)
        stopping.look(step, 4)
    again, other, _ = watch(wine, [0.6], losses=[0.41])
    again.restore(stopping.best, stopping.facts())
    mark(other, 4)
    again.look(4, 4)
    again.finish()
    assert marked(other) == 2
    assert again.facts()["misses"] == 2


def test_no_look_is_a_miss_while_rates_rise(wine: Data) -> None:
    scores = [0.5, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]
    stopping, _, _ = watch(wine, scores, patience=2, schedule=lambda step, steps: min(1.0, (step + 1) / 5))
    done = []
    for step in range(1, 8):
        stopping.look(step, 7)
        done.append(stopping.done)
    assert done == [False] * 5 + [True] * 2  # the rate of the sixth step is no higher than that of the fifth


def test_rates_that_anneal_are_trained_to_the_end_unless_asked(wine: Data) -> None:
    for patience, schedule, done in (
        (None, constant, True),
        (None, Supervised().schedule, False),
        (PATIENCE, Supervised().schedule, True),
    ):
        stopping, _, _ = watch(wine, [0.5] * 20, patience=patience, schedule=schedule)
        for step in range(1, 21):
            stopping.look(step, 20)
        assert stopping.done is done
    method = Supervised(learning_rate=3.0, clip=None, warmup=0.0)
    assert method.fit(wine, budget=60, seed=1).lineage.steps == 60


def test_it_goes_on_from_what_a_checkpoint_kept(wine: Data) -> None:
    scores = [0.3, 0.7, 0.2, 0.1, 0.6, 0.5]
    first, learner, _ = watch(wine, scores[:4], patience=4)
    for step in range(1, 5):
        mark(learner, step)
        first.look(step, 6)
    second, learner, _ = watch(wine, scores[4:], patience=4)
    second.restore(first.best, first.facts())
    mark(learner, 9)
    second.look(5, 6)
    assert not second.done
    second.look(6, 6)
    assert second.done, "two misses before the checkpoint and two after it"
    second.finish()
    assert marked(learner) == 2


def test_nothing_was_best_before_the_first_look(wine: Data) -> None:
    first, learner, _ = watch(wine, [])
    assert first.facts() == {"score": None, "loss": None, "misses": 0, "changes": 0}
    second, learner, _ = watch(wine, [-5.0])
    second.restore(first.best, first.facts())
    mark(learner, 3)
    second.finish()
    assert marked(learner) == 3
    second.look(1, 1)
    assert second.best


@pytest.mark.parametrize("case", ["no validation rows", "hidden labels"])
def test_without_labelled_validation_rows_nothing_is_looked_at(case: str, wine: Data) -> None:
    data = mw.read("wine") if case == "no validation rows" else wine.with_labels(40, draw="stratified")
    stopping, learner, shown = watch(data, [])
    stopping.look(1, 1)
    assert not shown.seen
    assert not stopping.done
    mark(learner, 2)
    stopping.finish()
    assert marked(learner) == 2


# --- in a run ------------------------------------------------------------------------------------


def followed(method: Supervised, data: Data, metric: str) -> tuple[list[float], list[torch.Tensor], Model, list[Event]]:
    """The validation score and the first weights at every look of a run, its model and its events."""
    heard: list[Event] = []
    scores: list[float] = []
    weights: list[torch.Tensor] = []

    def follow(event: Event) -> None:
        heard.append(event)
        if event.model:
            model = event.model()
            scores.append(model.evaluate(data.validation)[metric])
            weights.append(next(model.network.parameters()).detach().clone())

    model = method.fit(data, budget=LOOKS, run=Run(listeners=[follow], evaluations=LOOKS))
    return scores, weights, model, heard


def test_a_run_ends_early_and_keeps_its_best_weights(wine: Data) -> None:
    """A rate that is far too high makes scores jump: the model is the best of those looked at, not the last."""
    method = Supervised(learning_rate=3.0, clip=None, warmup=0.0, patience=4)
    scores, weights, model, heard = followed(method, wine, "accuracy")
    assert heard[-1].kind == "stop"
    assert heard[-1].step == model.lineage.steps == len(scores) < LOOKS
    best = scores.index(max(scores))
    assert best == len(scores) - 1 - method.patience
    assert torch.equal(next(model.network.parameters()), weights[best])
    assert not torch.equal(weights[best], weights[-1])


def test_numbers_are_judged_by_r2() -> None:
    data = mw.read("diabetes").with_validation(0.25)
    method = Supervised(learning_rate=0.05, warmup=0.0, patience=3)
    scores, _, model, heard = followed(method, data, "r2")
    assert heard[-1].kind == "stop"
    assert model.evaluate(data.validation)["r2"] == pytest.approx(max(scores))
    assert max(scores) > scores[-1] + 0.01


def test_equal_numbers_tell_nothing_and_end_nothing() -> None:
    """Of validation labels that are all the same there is no R²."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 2)), rng.normal(size=60)
    y[40:] = 0.25
    columns = [Column("x", "number", x), Column("y", "number", y)]
    part = np.r_[np.zeros(40), np.ones(20)].astype(np.uint8)
    data = Data.from_columns(columns, {"input": ["x"], "label": ["y"]}, part=part)
    assert Supervised(patience=1).fit(data, budget=20).lineage.steps == 20


def test_a_method_without_labels_runs_to_its_end(wine: Data) -> None:
    assert SimCLR(batch_size=16, patience=1).fit(wine, budget=20).lineage.steps == 20


def test_a_run_that_was_interrupted_stops_where_it_would_have(wine: Data, tmp_path: Path) -> None:
    method = Supervised(learning_rate=3.0, clip=None, warmup=0.0, patience=4)
    whole = method.fit(wine, budget=LOOKS)
    assert 3 < whole.lineage.steps < LOOKS

    def die(event: Event) -> None:
        if event.kind == "checkpoint" and event.step == whole.lineage.steps - 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        method.fit(wine, budget=LOOKS, run=Run(tmp_path, [die], checkpoint_seconds=0))
    heard: list[Event] = []
    resumed = method.fit(wine, budget=LOOKS, run=Run(tmp_path, [heard.append], checkpoint_seconds=0))
    assert (heard[0].kind, heard[0].step) == ("resume", whole.lineage.steps - 2)
    assert resumed.lineage.steps == whole.lineage.steps
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name]), name
