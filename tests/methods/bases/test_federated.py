"""Siblings of FedAvg in a few lines each: what they add is what differs, and the rest is the base's."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import manyways as mw
from manyways.data.data import Data
from manyways.errors import ParameterError
from manyways.methods.bases.federated import FederatedLearner, FederatedMethod
from manyways.methods.bases.gradient import Batch
from manyways.methods.federated.fed_avg import FedAvg
from manyways.methods.fields import NotNegative
from manyways.models.model import Model
from manyways.models.population import Weights
from manyways.training.events import Event
from manyways.training.run import Run


@pytest.fixture(scope="module")
def digits() -> Data:
    """Digits held by five clients, few of whom hold all classes."""
    return mw.read("digits").select(np.arange(600)).with_test(0.3).with_clients(5, alpha=0.3)


@dataclass(frozen=True, kw_only=True)
class FedProx(FederatedMethod[FederatedLearner]):
    """Clients are pulled back to where the round began (Li et al., MLSys 2020)."""

    pull: NotNegative = 0.1

    def local_losses(self, learner: FederatedLearner, batch: Batch) -> Tensor:
        moved, clients = learner.federation.updates(learner.network.state_dict()), len(batch["labels"])
        squares = [part[:clients].flatten(1).square().sum(1) for part in moved.values()]
        return self.mean_losses(learner, batch) + self.pull / 2 * torch.stack(squares).sum(0)

    def aggregate(self, learner: FederatedLearner, number: int) -> Weights:
        return self.mean_weights(learner, number)


class MomentumLearner(FederatedLearner):
    """The clients, and the server's velocity [parameters]."""

    velocity: Tensor


@dataclass(frozen=True, kw_only=True)
class FedAvgM(FederatedMethod[MomentumLearner]):
    """The server moves with momentum (Hsu, Qi & Brown 2019)."""

    momentum: NotNegative = 0.5

    def begin(self, data: Data, model: Model | None, seed: int) -> MomentumLearner:
        learner = super().begin(data, model, seed)
        learner.register_buffer("velocity", torch.zeros(sum(p.numel() for p in learner.network.parameters())))
        return learner

    def local_losses(self, learner: MomentumLearner, batch: Batch) -> Tensor:
        return self.mean_losses(learner, batch)

    def aggregate(self, learner: MomentumLearner, number: int) -> Weights:
        start, mean = learner.network.state_dict(), self.mean_weights(learner, number)
        names = [name for name, _ in learner.network.named_parameters()]
        moved = torch.cat([(mean[name] - start[name]).flatten() for name in names])
        learner.velocity.mul_(self.momentum).add_(moved)
        steps = learner.velocity.split([start[name].numel() for name in names])
        return mean | {name: start[name] + step.view_as(start[name]) for name, step in zip(names, steps, strict=True)}


def drift(method: FederatedMethod[Any], data: Data) -> float:
    """How far clients have moved from the start just before the first round ends."""
    far: list[float] = []

    class Watched(type(method)):  # type: ignore[misc]
        def aggregate(self, learner: FederatedLearner, number: int) -> Weights:
            moved = learner.federation.updates(learner.network.state_dict())
            far.append(float(sum(part.square().sum() for part in moved.values())))
            return super().aggregate(learner, number)  # type: ignore[no-any-return]

    Watched(local_steps=20, pull=getattr(method, "pull", 0.0)).fit(data, budget=20)
    return far[0]


def test_without_a_pull_fed_prox_is_fed_avg(digits: Data) -> None:
    prox, plain = (kind(local_steps=4).fit(digits, budget=12) for kind in (lambda **f: FedProx(pull=0.0, **f), FedAvg))
    assert np.array_equal(prox.outputs(digits.test), plain.outputs(digits.test))
    assert prox.lineage.facts == plain.lineage.facts


def test_a_pull_keeps_clients_near_the_start(digits: Data) -> None:
    free, pulled = (drift(FedProx(pull=pull), digits) for pull in (0.0, 1.0))
    assert pulled < 0.5 * free


def test_a_server_with_momentum_goes_on_in_its_direction(digits: Data) -> None:
    """After two rounds: the first moves as FedAvg's, the second further by half of the first."""
    seen: list[Weights] = []

    class Watched(FedAvgM):
        def aggregate(self, learner: MomentumLearner, number: int) -> Weights:
            start, mean = {**learner.network.state_dict()}, self.mean_weights(learner, number)
            after = super().aggregate(learner, number)
            seen.append({name: after[name] - start[name] for name in start} | {"mean": mean["head.linear.weight"]})
            seen[-1]["own"] = mean["head.linear.weight"] - start["head.linear.weight"]
            return after

    Watched(local_steps=3).fit(digits, budget=6)
    first, second = (step["head.linear.weight"] for step in seen)
    torch.testing.assert_close(first, seen[0]["own"])
    torch.testing.assert_close(second, seen[1]["own"] + 0.5 * first)


def test_a_run_that_was_killed_finds_its_velocity_again(digits: Data, tmp_path: Any) -> None:
    whole = FedAvgM(local_steps=3).fit(digits, budget=12)

    def stop(event: Event) -> None:
        if event.kind == "checkpoint" and event.step >= 7:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        run = Run(folder=tmp_path / "run", listeners=[stop], checkpoint_seconds=0)
        FedAvgM(local_steps=3).fit(digits, budget=12, run=run)
    resumed = FedAvgM(local_steps=3).fit(digits, budget=12, run=Run(folder=tmp_path / "run"))
    assert np.array_equal(whole.outputs(digits.test), resumed.outputs(digits.test))


def test_siblings_have_the_privacy_of_the_base(digits: Data) -> None:
    private = {"local_steps": 3, "clip_update": 0.5, "noise_multiplier": 1.0, "noise_seed": 1, "backbone": "vit"}
    model = FedAvgM(**private).fit(digits, budget=6)
    assert model.lineage.facts["privacy"]["epsilon"] > 0
    with pytest.raises(ParameterError, match=r"FedProx\.noise_multiplier is a multiple of clip_update"):
        FedProx(noise_multiplier=1.0, local_steps=3)
