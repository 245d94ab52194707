"""FedAvg with noise: what it guarantees, what it hides, and that it still learns."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dp_accounting
import numpy as np
import pytest
import torch
from dp_accounting import rdp
from torch import nn
from torch.nn.functional import cross_entropy

import manyways as mw
from manyways.data.data import Data
from manyways.errors import ParameterError
from manyways.methods.federated.fed_avg import FedAvg
from manyways.models.model import Model
from manyways.training.events import Event
from manyways.training.run import Run

Begun = Callable[..., Any]
Movement = Callable[..., torch.Tensor]


def assert_same(model: Model, expected: dict[str, torch.Tensor]) -> None:
    found = model.network.state_dict()
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-5, atol=1e-5)


NOISY: dict[str, Any] = {
    "clip_update": 0.5,
    "noise_multiplier": 1.2,
    "noise_seed": 4,
    "participation": 0.5,
    "size": 0.25,
}


def test_epsilon_is_told_on_the_way_and_kept_with_the_model(numbers: Data, tmp_path: Path) -> None:
    told: list[Event] = []
    method = FedAvg(local_steps=2, delta=1e-4, **NOISY)
    model = method.fit(numbers, budget=40, run=Run(listeners=[told.append]))
    privacy = model.lineage.facts["privacy"]
    assert "took_part" not in model.lineage.facts, "who took part is not to be told where it is kept private"
    accountant = rdp.RdpAccountant()
    accountant.compose(dp_accounting.PoissonSampledDpEvent(0.5, dp_accounting.GaussianDpEvent(1.2)), 20)
    assert privacy["epsilon"] == pytest.approx(accountant.get_epsilon(1e-4), rel=1e-9)
    assert (privacy["delta"], privacy["unit"], privacy["secret_noise"]) == (1e-4, "client", False)
    on_the_way = [event.values["epsilon"] for event in told if event.kind == "step"]
    assert on_the_way[-1] == privacy["epsilon"]
    assert np.all(np.diff(on_the_way) > 0)
    assert mw.load(model.save(tmp_path / "model")).lineage.facts == model.lineage.facts


def test_the_last_round_counts_though_the_budget_cuts_it(numbers: Data) -> None:
    method = FedAvg(local_steps=10, **NOISY)
    cut, whole = method.fit(numbers, budget=11), method.fit(numbers, budget=20)
    assert cut.lineage.facts["privacy"] == whole.lineage.facts["privacy"]


def test_the_noise_is_as_large_as_it_is_said_to_be(numbers: Data, movement: Movement) -> None:
    """Clients that hardly move leave the noise: after 6 rounds √6 · z · C / (q · clients) on every number."""
    method = FedAvg(local_steps=1, learning_rate=1e-12, **NOISY)
    moved = movement(method, numbers, 6)
    clients = len(np.unique(numbers.training.take("client")))
    assert len(moved) > 2000
    assert float(moved.std()) == pytest.approx(6**0.5 * 1.2 * 0.5 / (0.5 * clients), rel=0.05)


def test_without_noise_worth_the_name_updates_are_clipped_and_count_alike(numbers: Data, begun: Begun) -> None:
    """One round by hand: each client's update shortened to C, their sum divided by q · (1 − dropout) · clients."""
    method = FedAvg(
        local_steps=3, clip_update=0.05, noise_multiplier=1e-9, noise_seed=1, participation=0.7, dropout_rate=0.2,
        size=0.25,
    )  # fmt: skip
    learner = begun(method, numbers)
    rounds, start = learner.federation.rounds, learner.network.state_dict()
    total = {name: torch.zeros_like(tensor) for name, tensor in start.items()}
    for client in rounds.reporting(0).tolist():
        network = begun(method, numbers).network
        optimizer = torch.optim.SGD(network.parameters(), method.learning_rate)
        for part in network.modules():
            if isinstance(part, nn.Dropout):
                part.p = 0.0
        at = rounds.round(0).clients.tolist().index(client)
        for local in range(3):
            positions, counts = rounds.round(0).batch(local)
            rows = positions[at][: counts[at]]
            optimizer.zero_grad()
            cross_entropy(network(learner.take(rows)), learner.labels_at(rows)).backward()
            optimizer.step()
        update = {name: tensor.detach() - start[name] for name, tensor in network.state_dict().items()}
        norm = torch.cat([tensor.flatten() for tensor in update.values()]).norm()
        assert norm > 0.05
        for name, tensor in update.items():
            total[name] += tensor * (0.05 / norm)
    expected = {name: start[name] + total[name] / (0.7 * 0.8 * len(rounds.sizes)) for name in start}
    assert_same(method.fit(numbers, budget=3), expected)


def test_clipping_alone_bounds_what_a_client_does(numbers: Data, movement: Movement) -> None:
    """Without noise the mean of clipped updates is still one by rows: it moves by the bound at most."""
    method = FedAvg(clip_update=1e-3, local_steps=5, learning_rate=1.0)
    assert 1e-5 < float(movement(method, numbers, 5).norm()) <= 1e-3 * 1.001
    assert "privacy" not in method.fit(numbers, budget=5).lineage.facts


def test_noise_is_a_secret_unless_it_is_given_a_seed(numbers: Data) -> None:
    method = FedAvg(local_steps=1, **{**NOISY, "noise_seed": None})
    first, second = (method.fit(numbers, budget=2) for _ in range(2))
    assert not torch.equal(next(first.network.parameters()), next(second.network.parameters()))
    assert first.lineage.facts["privacy"]["secret_noise"] is True
    known = FedAvg(local_steps=1, **NOISY)
    first, second = (known.fit(numbers, budget=2) for _ in range(2))
    assert torch.equal(next(first.network.parameters()), next(second.network.parameters()))


class Killed(BaseException):
    """Stands for a kill."""


def test_a_run_that_was_killed_goes_on_with_its_secret(
    numbers: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = iter([11, 22, 11])
    monkeypatch.setattr("manyways.methods.bases.federated.secret_seed", lambda: next(secrets))
    method = FedAvg(local_steps=4, **{**NOISY, "noise_seed": None})

    def kill(event: Event) -> None:
        if event.kind == "checkpoint" and event.step == 6:
            raise Killed

    with pytest.raises(Killed):
        method.fit(numbers, budget=11, run=Run(tmp_path / "run", [kill], checkpoint_seconds=0))
    resumed = method.fit(numbers, budget=11, run=Run(tmp_path / "run"))
    whole = method.fit(numbers, budget=11)
    for ours, theirs in zip(resumed.network.parameters(), whole.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert np.array_equal(resumed.lineage.rows, whole.lineage.rows)


def test_a_round_to_which_nobody_came_still_gets_its_noise(numbers: Data, begun: Begun, movement: Movement) -> None:
    """Else it would tell that nobody came."""
    method = FedAvg(local_steps=1, **{**NOISY, "participation": 1e-6})
    assert not len(begun(method, numbers).federation.rounds.reporting(0))
    moved = movement(method, numbers, 1)
    assert (moved != 0).float().mean() > 0.99


def test_it_learns_under_noise(table: Callable[[int], Data]) -> None:
    """With 100 clients a guarantee costs some accuracy, not all of it."""
    data = table(1797).with_test(0.25).with_clients(100, alpha=10.0)
    model = FedAvg(
        participation=0.5, local_steps=5, clip_update=0.5, noise_multiplier=1.0, noise_seed=0, size=0.25
    ).fit(data, budget=150)
    assert model.evaluate(data.test)["accuracy"] > 0.8
    assert model.lineage.facts["privacy"]["epsilon"] < 21


# --- what would tell of clients beside the weights -----------------------------------------------------


def same_weights(ours: Model, theirs: Model) -> bool:
    pairs = zip(ours.network.state_dict().values(), theirs.network.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_nothing_is_picked_by_validation_rows(numbers: Data) -> None:
    """Scores that never get better would end the run after five looks, and would be the clients' own."""
    method = FedAvg(local_steps=1, learning_rate=1e-9, **{**NOISY, "noise_multiplier": 1e-9})
    watched = numbers.with_validation(0.2)
    rows = np.flatnonzero(watched.part[watched.rows] == 1)
    labels = watched.take("label")[rows]
    other = watched.with_label_values(rows, labels[::-1])
    model, again = method.fit(watched, budget=40), method.fit(other, budget=40)
    assert (model.lineage.steps, model.lineage.facts["rounds"]) == (40, 40)
    assert same_weights(model, again)
    stopped = FedAvg(local_steps=1, learning_rate=1e-9, size=0.25).fit(watched, budget=40)
    assert stopped.lineage.steps < 40, "without noise there is nothing to hide"


@pytest.mark.quick
def test_fields_that_would_tell_of_clients_are_refused() -> None:
    with pytest.raises(
        ParameterError, match=r"noise_multiplier needs local_steps.*got local_epochs=1. Try local_steps"
    ):
        FedAvg(**NOISY)
    with pytest.raises(ParameterError, match="patience waits for scores on validation rows.*leave it out; got 3"):
        FedAvg(local_steps=1, patience=3, **NOISY)


def test_how_long_a_round_is_and_what_a_step_reads_tell_of_no_client(numbers: Data, begun: Begun) -> None:
    """One client has nearly all rows; in most rounds nobody reports."""
    (column,) = numbers.roles["client"]
    names = np.where(np.arange(len(numbers.part)) % 50 == 0, "small", "large")
    skewed = mw.read(
        {**{name: each.values for name, each in numbers.columns.items()}, column: names}, label="label", client=column
    )  # fmt: skip
    method = FedAvg(local_steps=3, **{**NOISY, "participation": 0.2})
    learner = begun(method, skewed)
    rounds = learner.federation.rounds
    assert {rounds.length(number) for number in range(30)} == {3}
    assert any(not len(rounds.reporting(number)) for number in range(30))
    assert method.examples_per_step(learner) == round(0.2 * 2 * method.batch_size)
    assert method.fit(skewed, budget=10).lineage.facts["rounds"] == 4


def test_what_the_guarantee_leaves_out_is_listed(numbers: Data) -> None:
    public, private = numbers.select(np.arange(len(numbers)) % 2 == 0), numbers.select(np.arange(len(numbers)) % 2 == 1)
    method = FedAvg(local_steps=1, **{name: value for name, value in NOISY.items() if name != "size"})
    alone = method.fit(private, budget=2).lineage.facts["privacy"]
    assert alone["covers"] == "the weights"
    for part in (
        "encoders and statistics of the inputs 'table'",
        "classes of 'label'",
        "noise_seed",
        "losses",
        "lineage",
    ):
        assert part in alone["outside"], part
    start = mw.Supervised(size=0.25).fit(public, budget=2)
    begun = method.fit(private, start, budget=2).lineage.facts["privacy"]
    assert "encoders" not in begun["outside"]
    assert "classes of" not in begun["outside"]
    secret = replace(method, noise_seed=None)
    assert "noise_seed" not in secret.fit(private, start, budget=2).lineage.facts["privacy"]["outside"]


def test_the_label_is_scaled_as_the_public_start_scales_it() -> None:
    rows = mw.read("diabetes").with_clients(6)
    public, private = rows.select(np.arange(len(rows)) % 4 == 0), rows.select(np.arange(len(rows)) % 4 != 0)
    start = mw.Supervised(size=0.25).fit(public, budget=2)
    method = FedAvg(local_steps=1, clip_update=0.5, noise_multiplier=1.0, noise_seed=1)
    model = method.fit(private, start, budget=2)
    assert model.target == start.target
    assert "deviation of" not in model.lineage.facts["privacy"]["outside"]
    plain = FedAvg(local_steps=1).fit(private, start, budget=2)
    assert plain.target != start.target


def test_the_secret_is_gone_when_fit_returns(
    numbers: Data, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the run's folder and the store; and the same call again gives the same model, without a step."""
    secret = 0x1234_5678_9ABC_DEF1
    monkeypatch.setattr("manyways.methods.bases.federated.secret_seed", lambda: secret)
    method = FedAvg(local_steps=2, **{**NOISY, "noise_seed": None})
    seen: list[bool] = []

    def held() -> bool:
        files = [path for place in (tmp_path, home) for path in place.rglob("*") if path.is_file()]
        texts = [path.read_bytes() for path in files]
        return any(secret.to_bytes(8, "little") in text or str(secret).encode() in text for text in texts)

    def look(event: Event) -> None:
        if event.kind == "checkpoint":
            seen.append(held())

    def run(*listeners: Any) -> Run:
        return Run(tmp_path / "run", listeners, checkpoint_seconds=0, store=mw.Store())

    model = method.fit(numbers, budget=11, run=run(look))
    assert all(seen), "a run that is killed must find it"
    assert not held()
    told: list[Event] = []
    again = method.fit(numbers, budget=11, run=run(told.append))
    assert not [event for event in told if event.kind == "step"]
    assert not held()
    assert same_weights(model, again)
    assert np.array_equal(model.lineage.rows, again.lineage.rows)
    assert {**model.lineage.facts} == {**again.lineage.facts}
