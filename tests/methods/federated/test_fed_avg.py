"""FedAvg: the weights of a plain loop over clients, and clients of every kind."""

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.parts import TEST
from manyways.errors import ManywaysError, NeedsError, ParameterError
from manyways.methods.bases import _privacy
from manyways.methods.federated.fed_avg import FedAvg
from manyways.methods.supervised.supervised import Supervised
from manyways.models import _quicker
from manyways.models._quicker import ONE_BY_ONE, VECTORISED
from manyways.models.model import Model
from manyways.training.run import Run

Begun = Callable[..., Any]
Movement = Callable[..., torch.Tensor]


def held_by(data: Data, holder: Callable[[np.ndarray], np.ndarray]) -> Data:  # type: ignore[type-arg]
    """`data` with the clients that `holder` makes of its labels."""
    names = holder(data.label.take(np.arange(len(data.part))))
    columns = {**data.columns, "client": Column("client", "category", names)}
    return replace(data, columns=columns, roles={**data.roles, "client": ("client",)})


def plain_loop(learner: Any, method: FedAvg, data: Data, steps: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """FedAvg as its paper writes it: client after client, on networks of their own; for the order of rows it asks."""
    rounds, start = learner.federation.rounds, learner.network.state_dict()
    number, left = 0, steps
    while left > 0:
        length = rounds.length(number)
        results, sizes = [], []
        for client in rounds.reporting(number).tolist():
            network = method.begin(data, None, seed).network
            network.load_state_dict(start)
            for part in network.modules():
                if isinstance(part, nn.Dropout):
                    part.p = 0.0
            optimizer = torch.optim.SGD(network.parameters(), method.learning_rate)
            at = rounds.round(number).clients.tolist().index(client)
            for local in range(min(int(rounds.steps[client]), left)):
                positions, counts = rounds.round(number).batch(local)
                rows = positions[at][: counts[at]]
                outputs, labels = network(learner.take(rows)), learner.labels_at(rows)
                loss = cross_entropy(outputs, labels) if data.classification else mse_loss(outputs[:, 0], labels)
                for group in network.parameters():
                    if group.ndim > 1:
                        loss = loss + method.weight_decay / 2 * group.square().sum()
                optimizer.zero_grad()
                loss.backward()
                if method.clip is not None:
                    nn.utils.clip_grad_norm_(network.parameters(), method.clip)
                optimizer.step()
            results.append({name: tensor.detach().clone() for name, tensor in network.state_dict().items()})
            sizes.append(int(rounds.sizes[client]))
        if results:
            start = {
                name: sum(size * result[name] for size, result in zip(sizes, results, strict=True)) / sum(sizes)
                for name in start
            }
        number, left = number + 1, left - length
    return start


def assert_same(model: Model, expected: dict[str, torch.Tensor]) -> None:
    found = model.network.state_dict()
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-5, atol=1e-5)


CASES: dict[str, dict[str, Any]] = {
    "all clients": {},
    "some of them": {"participation": 0.4},
    "some drop out": {"participation": 0.6, "dropout_rate": 0.4, "local_epochs": 2, "batch_size": 7},
    "as many steps of each": {"local_steps": 3, "batch_size": 16},
    "whole batches": {"batch_size": 1000, "local_epochs": 2},
    "decay and clipping": {"weight_decay": 0.1, "clip": 0.5, "batch_size": 8},
}


@pytest.mark.parametrize("how", [VECTORISED, ONE_BY_ONE], ids=["vectorised", "one by one"])
@pytest.mark.parametrize("case", CASES)
def test_weights_are_those_of_a_plain_loop(
    case: str, how: int, numbers: Data, monkeypatch: pytest.MonkeyPatch, begun: Begun
) -> None:
    """The budget ends in the middle of a round, which then counts as far as it got."""
    monkeypatch.setattr(_quicker, "_CHOSEN", {})
    monkeypatch.setattr(_quicker, "_remembered", lambda *_: how)
    method = FedAvg(size=0.5, **CASES[case])
    assert_same(method.fit(numbers, budget=13), plain_loop(begun(method, numbers), method, numbers, 13))


def test_numbers_are_learned_by_the_same_loop(diabetes: Data, begun: Begun) -> None:
    data = diabetes.with_clients(4)
    method = FedAvg(learning_rate=0.02, participation=0.5)
    assert_same(method.fit(data, budget=30), plain_loop(begun(method, data), method, data, 30))


def test_one_client_is_plain_gradient_descent(numbers: Data, begun: Begun) -> None:
    data = held_by(numbers, lambda labels: np.full(len(labels), "all"))
    method = FedAvg()
    model = method.fit(data, budget=40)
    assert_same(model, plain_loop(begun(method, data), method, data, 40))
    shares = {"all": {"rows": len(data.training), "rounds": 2}}
    assert model.lineage.facts == {"rounds": 2, "clients": 1, "took_part": shares}


def test_clients_learn_what_none_of_them_knows(numbers: Data) -> None:
    """Clients of one class each: alone none could tell classes apart."""
    data = held_by(numbers, lambda labels: labels.astype(str))
    model = FedAvg(local_steps=1, batch_size=32).fit(data, budget=150)
    assert model.evaluate(data.test)["accuracy"] > 0.85
    assert model.lineage.facts["clients"] == 10


def test_more_local_work_needs_fewer_rounds(numbers: Data) -> None:
    """The paper's point: after as many rounds, clients that work longer in each have learned more."""
    losses = [
        FedAvg(local_steps=steps).fit(numbers, budget=5 * steps).evaluate(numbers.test)["log_loss"] for steps in (1, 10)
    ]
    assert losses[1] < 0.6 * losses[0]


def test_a_client_without_training_rows_takes_no_part(numbers: Data) -> None:
    data = held_by(numbers, lambda labels: np.where(labels < 5, "a", "b"))
    whole = np.array(data.columns["client"].values, object)
    whole[data.part == TEST] = "only for testing"
    whole[np.flatnonzero(data.part != TEST)[:20]] = "hidden"
    data = held_by(numbers, lambda _: whole)
    data = data.hide(np.flatnonzero(data.take("client") == "hidden"))
    model = FedAvg().fit(data, budget=20)
    assert model.lineage.facts["clients"] == 2
    assert len(model.lineage.rows) == data.training.labelled.sum()


def test_lineage_has_the_rows_of_those_who_took_part(numbers: Data, begun: Begun) -> None:
    method = FedAvg(participation=0.2, local_steps=2)
    model = method.fit(numbers, budget=5)
    rounds = begun(method, numbers).federation.rounds
    clients = np.unique(np.concatenate([rounds.reporting(number) for number in range(3)]))
    assert 2 <= len(clients) < 9
    names = np.unique(numbers.training.take("client"))[clients]
    expected = numbers.training.ids[np.isin(numbers.training.take("client"), names)]
    assert {tuple(row) for row in model.lineage.rows.tolist()} == {tuple(row) for row in expected.tolist()}
    facts = model.lineage.facts
    assert (facts["rounds"], facts["clients"]) == (3, len(clients))
    held = numbers.training.take("client")
    assert {name: share["rows"] for name, share in facts["took_part"].items()} == {
        str(name): int((held == name).sum()) for name in names
    }
    reported = np.concatenate([rounds.reporting(number) for number in range(3)])
    assert sum(share["rounds"] for share in facts["took_part"].values()) == len(reported)


def test_a_round_in_which_all_drop_out_changes_nothing(numbers: Data, begun: Begun, movement: Movement) -> None:
    method = FedAvg(participation=0.2, dropout_rate=0.8, local_steps=1)
    rounds = begun(method, numbers).federation.rounds
    silent = next(number for number in range(50) if len(rounds.reporting(number)))
    assert silent > 0, "the first round reports: take another seed"
    assert not movement(method, numbers, silent).any()
    assert movement(method, numbers, silent + 1).any()


def test_starts_from_a_model(numbers: Data) -> None:
    start = Supervised().fit(numbers, budget=150)
    tuned = FedAvg(learning_rate=1e-6).fit(numbers, start, budget=10)
    assert tuned.evaluate(numbers.test)["accuracy"] == pytest.approx(start.evaluate(numbers.test)["accuracy"], abs=0.02)
    assert [stage.title for stage in tuned.lineage.stages()] == ["fed-avg(learning_rate=1e-06)", "supervised"]


def test_a_round_longer_than_many_looks_is_no_reason_to_stop(numbers: Data) -> None:
    """Between the ends of rounds the model is the same, and a look at it says nothing about progress."""
    data = numbers.with_validation(0.2)
    stages = []
    model = FedAvg(local_steps=60, patience=1, learning_rate=0.01).fit(
        data, budget=120, run=Run(listeners=[lambda event: stages.append(event.kind)])
    )
    assert model.lineage.steps == 120
    assert "stop" not in stages


def test_images_with_batch_norm_are_learned_through_weak_views(digits: Data) -> None:
    """Running statistics are averaged with the weights."""
    data = digits.with_clients(5)
    few = data.select(np.arange(0, len(data), 3))
    model = FedAvg(augment=True, local_steps=4, size=0.5).fit(few, budget=60)
    assert model.evaluate(few.test)["accuracy"] > 0.8
    means = [tensor for name, tensor in model.network.state_dict().items() if name.endswith("running_mean")]
    assert means
    assert all(mean.abs().max() > 0.01 for mean in means)


# --- what is refused -----------------------------------------------------------------------------------


def test_without_clients_it_says_what_to_type(digits: Data) -> None:
    with pytest.raises(
        NeedsError, match=r'no column has the role client. Name it: client="…".*data.with_clients\(10\)'
    ):
        FedAvg().fit(digits, budget=1)


def test_rows_that_nobody_holds_are_refused(numbers: Data) -> None:
    names = np.array(["a", "b"] * (len(numbers.part) // 2), object)
    names[np.flatnonzero(numbers.part != TEST)[3]] = None
    names[np.flatnonzero(numbers.part == TEST)[3]] = None
    with pytest.raises(NeedsError, match="1 of 320 training rows have nothing in 'client'"):
        FedAvg().fit(held_by(numbers, lambda _: names), budget=1)


@pytest.mark.quick
def test_fields_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ParameterError, match="local_steps stands in place of local_epochs"):
        FedAvg(local_steps=3, local_epochs=2)
    with pytest.raises(ParameterError, match="noise_multiplier is a multiple of clip_update"):
        FedAvg(noise_multiplier=1.0)
    with pytest.raises(ParameterError, match="beta2 is AdamW's"):
        FedAvg(beta2=0.9)


def test_batch_norm_and_noise_are_refused(digits: Data) -> None:
    with pytest.raises(ParameterError, match=r'neither clipped nor noisy.*backbone="vit"'):
        FedAvg(clip_update=1.0, noise_multiplier=1.0, local_steps=1).fit(digits.with_clients(3), budget=1)


def test_without_an_accountant_noise_is_refused_before_training(numbers: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    _privacy._one_round.cache_clear()
    monkeypatch.setitem(sys.modules, "dp_accounting", None)
    with pytest.raises(ManywaysError, match=r"pip install 'manyways\[privacy\]'"):
        FedAvg(clip_update=1.0, noise_multiplier=1.0, local_steps=1).fit(numbers, budget=1)
