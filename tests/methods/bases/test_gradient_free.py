"""Training by steps without autograd: a method that estimates its gradients is one of the same loop."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

import manyways as mw
from manyways.data.data import Data
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.rows import LabelledMethod
from manyways.methods.fields import Count, Positive
from manyways.methods.needs import Classes, Input
from manyways.training.events import Event
from manyways.training.learner import LabelledLearner
from manyways.training.loop import take_step
from manyways.training.optimizer import make_optimizer


@dataclass(frozen=True, kw_only=True)
class Evolution(LabelledMethod[LabelledLearner]):
    """Evolution strategies with mirrored sampling (Salimans et al. 2017)."""

    pairs: Count = 16
    sigma: Positive = 0.02

    needs: ClassVar = (Input, Classes)
    gives: ClassVar = frozenset({"classify"})

    def draw(self, learner: LabelledLearner, step: int, rng: torch.Generator) -> Batch:
        rows = learner.pick(learner.labelled, self.batch_size, step)
        count = sum(p.numel() for p in learner.network.parameters())
        noise = torch.randn(self.pairs, count, generator=rng)
        return {"inputs": learner.take(rows), "labels": learner.labels_at(rows), "noise": noise}

    def loss(self, learner: LabelledLearner, batch: Batch) -> Loss:
        return torch.nn.functional.cross_entropy(learner.network.eval()(batch["inputs"]), batch["labels"]), {}

    @torch.no_grad()
    def gradients(self, learner: LabelledLearner, batch: Batch) -> dict[str, Tensor]:
        weights = list(learner.network.parameters())
        here, estimate, losses = parameters_to_vector(weights), torch.zeros(batch["noise"].shape[1]), []
        for noise in batch["noise"]:
            pair = []
            for sign in (1, -1):
                vector_to_parameters(here + sign * self.sigma * noise, weights)
                pair.append(self.loss(learner, batch)[0])
            estimate += (pair[0] - pair[1]) / (2 * self.sigma * self.pairs) * noise
            losses += pair
        vector_to_parameters(here, weights)
        for weight, slope in zip(weights, estimate.split([weight.numel() for weight in weights]), strict=True):
            weight.grad = slope.view_as(weight)
        return {"loss": torch.stack(losses).mean()}


@pytest.fixture(scope="module")
def wine() -> Data:
    return mw.read("wine").with_test(0.3)


def test_the_estimate_points_where_the_gradient_does(wine: Data) -> None:
    method = Evolution(pairs=2000, size=0.1)
    learner = method.begin(wine, None, 0)
    batch = method.draw(learner, 0, torch.Generator().manual_seed(0))
    method.gradients(learner, batch)
    estimate = torch.cat([p.grad.flatten() for p in learner.network.parameters() if p.grad is not None])
    exact = torch.autograd.grad(method.loss(learner, batch)[0], list(learner.network.parameters()))
    exact = torch.cat([part.flatten() for part in exact])
    assert float(torch.cosine_similarity(estimate, exact, dim=0)) > 0.8


def test_it_learns_and_goes_on_where_it_stopped(wine: Data, tmp_path: Path) -> None:
    method = Evolution(size=0.25, learning_rate=0.02)
    model = method.fit(wine, budget=80)
    assert model.evaluate(wine.test)["accuracy"] > 0.85

    def stop(event: Event) -> None:
        if event.kind == "checkpoint" and event.step >= 30:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        method.fit(wine, budget=80, run=mw.Run(folder=tmp_path, listeners=[stop], checkpoint_seconds=0))
    assert np.array_equal(method.fit(wine, budget=80, run=mw.Run(folder=tmp_path)).outputs(wine), model.outputs(wine))


@pytest.mark.quick
def test_no_graph_is_made(wine: Data) -> None:
    """A network whose forward pass cannot be differentiated is trained all the same."""
    method = Evolution(size=0.1)
    learner = method.begin(wine, None, 0)
    first = learner.network.parts[0]
    plain = first.forward
    first.forward = lambda *given: torch.from_numpy(np.tanh(plain(*given).detach().numpy()))  # type: ignore[method-assign]
    before = parameters_to_vector(learner.network.parameters()).clone()
    take_step(method, learner, make_optimizer(method, learner), 0, 10, 0)
    moved = parameters_to_vector(learner.network.parameters()) - before
    assert bool((moved != 0).float().mean() > 0.9)
