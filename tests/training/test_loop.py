"""The loop: what a step does and in which order, what is told, and what ends a run."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

import manyways as mw
from manyways.data.data import Data
from manyways.errors import TrainingError
from manyways.methods.supervised.supervised import Supervised
from manyways.training import plan
from manyways.training.budget import Budget
from manyways.training.checkpoint import NAME
from manyways.training.events import Event
from manyways.training.loop import autocast, fast_bfloat16, take_step
from manyways.training.optimizer import make_optimizer, schedule, set_rates
from manyways.training.run import Run


@pytest.fixture(scope="module")
def wine() -> Data:
    """178 rows of 13 numbers and three classes; none for validation."""
    return mw.read("wine")


def first_weight(network: nn.Module) -> Tensor:
    return next(network.parameters()).detach().cpu().clone()


@dataclass(frozen=True, kw_only=True)
class Watched(Supervised):
    """Supervised learning that notes what is called, with the network's first weights at that moment."""

    log: ClassVar[list[tuple[str, int, Tensor]]] = []
    dropout: ClassVar[list[Tensor]] = []

    def draw(self, learner: Any, step: int, rng: torch.Generator) -> dict[str, Any]:
        self.log.append(("draw", step, first_weight(learner.network)))
        return {**super().draw(learner, step, rng), "step": step, "noise": torch.rand(3, generator=rng)}

    def loss(self, learner: Any, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        assert torch.is_grad_enabled()
        assert learner.training
        self.dropout.append(torch.cat([batch["noise"], torch.rand(3)]))
        self.log.append(("loss", batch["step"], first_weight(learner.network)))
        loss, parts = super().loss(learner, batch)
        return loss, {**parts, "doubled": 2 * loss}

    def after(self, learner: Any, step: int) -> None:
        self.log.append(("after", step, first_weight(learner.network)))


@pytest.fixture(autouse=True)
def forget() -> None:
    Watched.log.clear()
    Watched.dropout.clear()


def heard_of(method: Supervised, data: Data, budget: str | int = 20, **options: Any) -> list[Event]:
    """The events of a run."""
    heard: list[Event] = []
    method.fit(data, budget=budget, run=Run(listeners=[heard.append], **options))
    return heard


# --- a step --------------------------------------------------------------------------------------


def test_a_step_draws_then_learns_then_moves_what_follows(wine: Data) -> None:
    Watched().fit(wine, budget=3)
    assert [(name, step) for name, step, _ in Watched.log] == [
        (name, step) for step in range(3) for name in ("draw", "loss", "after")
    ]
    weights = [weight for _, _, weight in Watched.log]
    for draw, loss, after in zip(weights[::3], weights[1::3], weights[2::3], strict=True):
        assert torch.equal(draw, loss)
        assert not torch.equal(loss, after), "`after` comes when the weights have moved"
    assert torch.equal(weights[2], weights[3])


@pytest.mark.quick
def test_a_step_is_a_function_of_seed_and_step(wine: Data) -> None:
    """What is drawn at step 2, dropout included, does not depend on whether steps 0 and 1 were taken here."""
    method = Watched()

    def noise(steps: range, seed: int = 5) -> Tensor:
        learner = method.begin(wine, None, seed)
        for step in steps:
            take_step(method, learner, make_optimizer(method, learner), step, 10, seed)
        return Watched.dropout[-1]

    with torch.random.fork_rng():
        assert torch.equal(noise(range(3)), noise(range(2, 3)))
        assert not torch.equal(noise(range(3)), noise(range(2)))
        assert not torch.equal(noise(range(3)), noise(range(3), seed=6))


@pytest.mark.quick
@pytest.mark.parametrize("clip", [1e-3, None])
def test_the_gradient_is_clipped_to_its_norm(clip: float | None, wine: Data) -> None:
    method = Supervised(clip=clip)
    with torch.random.fork_rng():
        learner = method.begin(wine, None, 0)
        take_step(method, learner, make_optimizer(method, learner), 0, 10, 0)
    squares = [float(p.grad.square().sum()) for p in learner.parameters() if p.grad is not None]
    norm = sum(squares) ** 0.5
    assert norm == pytest.approx(clip, rel=1e-3) if clip else norm > 0.1


def test_the_learner_knows_how_far_the_run_is(wine: Data) -> None:
    shares: list[float] = []

    class Asking(Watched):
        def after(self, learner: Any, step: int) -> None:
            shares.append(learner.progress(step))

    Asking().fit(wine, budget=4)
    assert shares == [0, 0.25, 0.5, 0.75]


@pytest.mark.quick
def test_rates_rise_then_fall_by_a_cosine_to_almost_nothing() -> None:
    rates = [schedule(step, 100, 0.1) for step in range(100)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10] == 1
    assert rates[55] == pytest.approx(0.5)
    assert 0 < rates[99] < 0.001
    assert all(before > after for before, after in zip(rates[10:], rates[11:], strict=False))
    assert schedule(0, 1, 0.05) == 1


@pytest.mark.quick
def test_groups_have_rates_of_their_own_and_start_when_they_should() -> None:
    one, other = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))
    optimizer = torch.optim.SGD(
        [{"params": [one], "highest": 0.1, "starts": 0.0}, {"params": [other], "highest": 0.2, "starts": 0.5}], lr=1.0
    )
    method = Supervised(learning_rate=0.2, warmup=0.0)
    set_rates(optimizer, method, 1, 10)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.1, 0])
    set_rates(optimizer, method, 5, 10)
    whole = 0.2 * schedule(5, 10, 0.0)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([whole / 2, whole])


@pytest.mark.quick
def test_only_matrices_decay(wine: Data) -> None:
    method = Supervised(weight_decay=0.3)
    with torch.random.fork_rng():
        learner = method.begin(wine, None, 0)
    decays = {
        parameter: group["weight_decay"]
        for group in make_optimizer(method, learner).param_groups
        for parameter in group["params"]
    }
    assert set(decays) == set(learner.parameters())
    assert all(decay == (0.3 if parameter.ndim >= 2 else 0) for parameter, decay in decays.items())


def test_precision_is_that_which_is_asked_for(wine: Data) -> None:
    cpu = torch.device("cpu")
    types = []
    for precision in ("float32", "bfloat16", "auto"):
        with autocast(precision, cpu):
            types.append((torch.ones(2, 2) @ torch.ones(2, 2)).dtype)
    fast = torch.bfloat16 if fast_bfloat16(cpu) else torch.float32
    assert types == [torch.float32, torch.bfloat16, fast]
    model = Supervised(precision="bfloat16").fit(wine, budget=2)
    assert {tensor.dtype for tensor in model.network.parameters()} == {torch.float32}, "weights stay precise"


# --- what is told --------------------------------------------------------------------------------


def test_losses_are_told_by_name_every_tenth_step_and_at_the_end(wine: Data) -> None:
    heard = heard_of(Watched(), wine, 25)
    assert [(event.kind, event.step) for event in heard] == [
        ("start", 0), ("step", 10), ("step", 20), ("step", 25), ("end", 25),
    ]  # fmt: skip
    assert {event.steps for event in heard} == {25}
    for event in heard[1:-1]:
        assert event.values["doubled"] == pytest.approx(2 * event.values["loss"])
    seconds = [event.seconds for event in heard]
    assert seconds == sorted(seconds)
    assert seconds[0] == 0 < seconds[1]


@pytest.mark.parametrize(("evaluations", "steps"), [(4, [5, 10, 15, 20]), (3, [7, 13, 20]), (1, [20]), (0, [])])
def test_the_model_is_offered_as_it_stands(evaluations: int, steps: list[int], wine: Data) -> None:
    weights: list[Tensor] = []

    def keep(event: Event) -> None:
        if event.model:
            assert event.kind == "evaluate"
            model = event.model()
            assert model.evaluate(wine)["accuracy"] > 0
            weights.append(first_weight(model.network))

    heard: list[Event] = []
    model = Watched().fit(wine, budget=20, run=Run(listeners=[heard.append, keep], evaluations=evaluations))
    assert [event.step for event in heard if event.kind == "evaluate"] == steps
    after = [weight for name, _, weight in Watched.log if name == "after"]
    assert all(torch.equal(weight, after[step - 1]) for weight, step in zip(weights, steps, strict=True))
    if weights:
        assert torch.equal(weights[-1], first_weight(model.network))


def test_looking_at_the_model_changes_nothing(wine: Data) -> None:
    def look(event: Event) -> None:
        if event.model:
            event.model().evaluate(wine)
            torch.rand(7)

    plain = Supervised().fit(wine, budget=10)
    watched = Supervised().fit(wine, budget=10, run=Run(listeners=[look], evaluations=5))
    for name, tensor in plain.network.state_dict().items():
        assert torch.equal(tensor, watched.network.state_dict()[name]), name


# --- what ends it --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Breaking(Supervised):
    """Supervised learning whose loss, or a part of it, is no number from step 13 on."""

    what: str = "loss"
    value: float = float("inf")

    def draw(self, learner: Any, step: int, rng: torch.Generator) -> dict[str, Any]:
        return {**super().draw(learner, step, rng), "wrong": self.value if step >= 13 else 1.0}

    def loss(self, learner: Any, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        loss, _ = super().loss(learner, batch)
        return (loss * batch["wrong"], {}) if self.what == "loss" else (loss, {"part": loss * batch["wrong"]})


def test_a_loss_that_is_not_finite_ends_the_run(wine: Data) -> None:
    with pytest.raises(TrainingError, match=r"not finite at step 20 of 40: loss = .*Try a tenth of the learning rate"):
        Breaking().fit(wine, budget=40)


def test_a_part_that_is_not_finite_is_named(wine: Data) -> None:
    with pytest.raises(TrainingError, match=r"not finite at step 20 of 40: part = -inf\. Try"):
        Breaking(what="part", value=float("-inf")).fit(wine, budget=40)


def test_the_last_step_is_checked_too(wine: Data) -> None:
    with pytest.raises(TrainingError, match="not finite at step 15 of 15: loss = "):
        Breaking().fit(wine, budget=15)
    Breaking().fit(wine, budget=13)


def test_the_checkpoint_before_a_loss_that_is_not_finite_is_kept(wine: Data, tmp_path: Path) -> None:
    with pytest.raises(TrainingError):
        Breaking().fit(wine, budget=40, run=Run(tmp_path, checkpoint_seconds=3600))
    assert (tmp_path / NAME).exists(), "the plan, which is written before the first step"


@dataclass(frozen=True, kw_only=True)
class Slow(Supervised):
    """Supervised learning whose steps take longer than they were planned to."""

    def after(self, learner: Any, step: int) -> None:
        time.sleep(0.01)


def test_steps_that_are_slower_than_planned_end_at_half_more_than_the_budget(
    wine: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "_seconds", lambda budget, step: 0.001)
    last = heard_of(Slow(), wine, "0.2s")[-1]
    assert last.kind == "stop"
    assert last.steps == 200
    assert last.step <= 30
    assert last.seconds > 0.3


def test_the_plan_of_a_run_in_seconds_outlives_a_kill(
    wine: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Timed anew, the steps would be others, and with them the schedule and the weights."""

    class Killed(Exception):
        pass

    def die(event: Event) -> None:
        if event.kind == "step":
            raise Killed

    budget = Budget(1000, "seconds")
    monkeypatch.setattr(plan, "_seconds", lambda budget, step: 40.0)
    with pytest.raises(Killed):
        Supervised().fit(wine, budget=budget, run=Run(tmp_path, [die]))
    monkeypatch.setattr(plan, "_seconds", lambda budget, step: 10.0)
    heard: list[Event] = []
    resumed = Supervised().fit(wine, budget=budget, run=Run(tmp_path, [heard.append]))
    assert (heard[0].kind, heard[0].steps) == ("resume", 25)
    assert resumed.lineage.steps == 25
    for name, tensor in Supervised().fit(wine, budget=25).network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name]), name
