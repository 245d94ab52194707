"""Siblings of MAML in a few lines each: other inner steps, and another outer loss."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

import manyways as mw
from manyways.data.data import Data
from manyways.methods.bases.episodes import EpisodeLearner
from manyways.methods.bases.gradient import Loss
from manyways.methods.bases.inner_loop import InnerLoopMethod
from manyways.methods.meta.maml import MAML
from manyways.models.meta_batch import Call
from manyways.models.population import Weights
from manyways.randomness import generator


@pytest.fixture(scope="module")
def digits() -> Data:
    """Digits, of which three are told apart that were never trained."""
    return mw.read("digits").with_test_classes(0.3)


@dataclass(frozen=True, kw_only=True)
class Reptile(InnerLoopMethod[EpisodeLearner]):
    """Weights move towards where each episode led (Nichol, Achiam & Schulman 2018)."""

    def adapt(self, call: Call, weights: Weights, shots: Any) -> Weights:
        return self.descended(call, weights, shots, first_order=True)

    def outer_loss(self, call: Call, weights: Weights, adapted: Weights, queries: Any) -> Loss:
        apart = [(weight - adapted[name].detach()).square().sum() for name, weight in weights.items()]
        return torch.stack(apart).sum() / 2, {}


@dataclass(frozen=True, kw_only=True)
class ANIL(MAML):
    """The inner steps move the head alone (Raghu et al., ICLR 2020)."""

    def adapt(self, call: Call, weights: Weights, shots: Any) -> Weights:
        return self.descended(call, weights, shots, first_order=self.first_order, only="head.")


@pytest.mark.quick
def test_reptile_descends_towards_the_mean_of_where_episodes_led(digits: Data) -> None:
    """The gradient is θ − mean θ′, with θ′ by plain steps on a copy."""
    method = Reptile(ways=3, shots=2, queries=2, batch_size=3, inner_rate=0.1, inner_steps=2)
    learner = method.begin(digits, None, 0)
    batch = method.draw(learner, 0, generator(0, 0))
    method.gradients(learner, batch)
    ended = []
    for episode in range(3):
        network = method.begin(digits, None, 0).network
        network.load_state_dict(learner.network.state_dict())
        inputs = {name: part[episode] for name, part in batch["support"]["inputs"].items()}
        for _ in range(2):
            loss = torch.nn.functional.cross_entropy(network(inputs), batch["support"]["labels"][episode])
            found = torch.autograd.grad(loss, list(network.parameters()))
            with torch.no_grad():
                for parameter, gradient in zip(network.parameters(), found, strict=True):
                    parameter.sub_(0.1 * gradient)
        ended.append([parameter.detach() for parameter in network.parameters()])
    for at, parameter in enumerate(learner.network.parameters()):
        mean = torch.stack([weights[at] for weights in ended]).mean(0)
        torch.testing.assert_close(parameter.grad, parameter.detach() - mean, rtol=1e-3, atol=1e-5)


def test_its_model_turns_to_classes_never_seen(digits: Data, tmp_path: Path) -> None:
    method = Reptile(ways=3, shots=5, queries=5, batch_size=4, inner_rate=0.1, inner_steps=3)
    model = method.fit(digits, budget=20)
    assert model.evaluate(digits.test, queries=5, episodes=30)["accuracy"] > 0.6, "of three classes"
    again = mw.load(model.save(tmp_path / "model"))
    assert again.evaluate(digits.test, queries=1, episodes=5) == model.evaluate(digits.test, queries=1, episodes=5)


@pytest.mark.quick
def test_anil_moves_the_head_alone(digits: Data) -> None:
    method = ANIL(ways=3, shots=2, queries=2, inner_steps=2, how="one by one")
    learner = method.begin(digits, None, 0)
    weights = {name: weight.detach() for name, weight in learner.network.named_parameters()}
    shots = method.draw(learner, 0, generator(0, 0))["support"]
    one = {"inputs": {name: part[0] for name, part in shots["inputs"].items()}, "labels": shots["labels"][0]}
    call = lambda now, inputs: torch.func.functional_call(learner.network, now, (inputs,))  # noqa: E731
    adapted = method.adapt(call, weights, one)
    moved = {name for name in weights if not torch.equal(weights[name], adapted[name])}
    assert moved
    assert all(name.startswith("head.") for name in moved)
    whole = MAML(ways=3, shots=2, queries=2, inner_steps=2).adapt(call, weights, one)
    assert any(not torch.equal(weights[name], whole[name]) for name in weights if not name.startswith("head."))
