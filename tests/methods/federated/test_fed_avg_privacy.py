"""FedAvg with noise: what it guarantees, what it hides, and that it still learns."""

from collections.abc import Callable
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
    monkeypatch.setattr("manyways.methods.federated.fed_avg.secret_seed", lambda: next(secrets))
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
