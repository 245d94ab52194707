"""Reptile: where the steps of an episode lead, by hand, and classes it never saw."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

import manyways as mw
from manyways.data.data import Data
from manyways.errors import NeedsError
from manyways.methods.meta.reptile import Reptile
from manyways.models.few_shot.adapting import AdamSteps, GradientSteps
from manyways.models.few_shot_model import FewShotModel
from manyways.randomness import generator


@pytest.fixture(scope="module")
def digits() -> Data:
    """Digits, of which three are told apart that were never trained."""
    return mw.read("digits").with_test_classes(0.3)


def plain(parameters: list[torch.Tensor]) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.1)


def adam(parameters: list[torch.Tensor]) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=0.01, betas=(0.0, 0.9))


SMALL = Reptile(ways=3, shots=2, queries=2, batch_size=3, inner_steps=3, inner_batch=5, head="linear", size=0.25)


@pytest.mark.parametrize(
    ("method", "optimizer"),
    [
        (replace(SMALL, inner_rate=0.1), plain),
        (replace(SMALL, inner_rate=0.01, inner_optimizer="adam", beta2=0.9), adam),
        (replace(SMALL, inner_rate=0.1, how="vectorised"), plain),
        (replace(SMALL, inner_rate=0.01, inner_optimizer="adam", beta2=0.9, how="vectorised"), adam),
    ],
    ids=["sgd", "adam", "sgd, vectorised", "adam, vectorised"],
)
def test_the_gradient_leads_to_the_mean_of_where_episodes_led(method: Reptile, optimizer: Any, digits: Data) -> None:
    """θ − mean φ, with φ by an optimiser of torch on a copy, a minibatch after the other."""
    learner, other = (method.begin(digits, None, 0) for _ in range(2))
    batch = method.draw(learner, 0, generator(0, 0))
    assert batch["labels"].shape == (3, 3, 5)
    parts = method.gradients(learner, batch)
    start = {name: tensor.clone() for name, tensor in learner.network.state_dict().items()}
    ended, apart = [], []
    for episode in range(3):
        network = other.network
        network.load_state_dict(start)
        steps = optimizer(list(network.parameters()))
        for step in range(3):
            steps.zero_grad()
            inputs = {name: part[episode, step] for name, part in batch["inputs"].items()}
            cross_entropy(network.train()(inputs), batch["labels"][episode, step]).backward()  # type: ignore[no-untyped-call]
            steps.step()
        ended.append([parameter.detach().clone() for parameter in network.parameters()])
        before = [start[name] for name, _ in network.named_parameters()]
        apart.append(sum(float((a - b).square().sum()) for a, b in zip(before, ended[-1], strict=True)) / 2)
    assert float(parts["loss"]) == pytest.approx(sum(apart) / 3, rel=1e-3)
    for at, parameter in enumerate(learner.network.parameters()):
        mean = torch.stack([weights[at] for weights in ended]).mean(0)
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, parameter.detach() - mean, rtol=1e-2, atol=1e-5)


@pytest.mark.quick
def test_minibatches_are_the_rows_of_an_episode_each_once_before_any_comes_again(digits: Data) -> None:
    method = replace(SMALL, inner_steps=4, inner_batch=6)  # 24 rows, twice the 12 of an episode
    learner = method.begin(digits, None, 0)
    batch = method.draw(learner, 5, generator(0, 5))
    (images,) = batch["inputs"].values()
    for episode in range(3):
        rows = images[episode].flatten(0, 1).flatten(1)
        assert len(torch.unique(rows[:12], dim=0)) == 12
        assert torch.equal(torch.unique(rows[:12], dim=0), torch.unique(rows[12:], dim=0))
        assert batch["labels"][episode].flatten().bincount().tolist() == [8, 8, 8]
    again = method.draw(learner, 5, generator(0, 5))
    assert torch.equal(batch["labels"], again["labels"])


def test_with_sgd_a_step_of_rate_one_goes_all_the_way(digits: Data) -> None:
    method = replace(SMALL, batch_size=1, outer_optimizer="sgd", learning_rate=1.0)
    learner = method.begin(digits, None, 0)
    batch = method.draw(learner, 0, generator(0, 0))
    method.gradients(learner, batch)
    goal = [p.detach() - p.grad for p in learner.network.parameters() if p.grad is not None]
    method.make_optimizer([{"params": list(learner.network.parameters()), "lr": 1.0, "weight_decay": 0.0}]).step()
    for parameter, reached in zip(learner.network.parameters(), goal, strict=True):
        torch.testing.assert_close(parameter.detach(), reached)


def places(first: int, classes: int) -> Data:
    """Classes at places of their own in 3 of 20 columns; the others are noise, as large."""
    rng = np.random.default_rng(first)
    labels = np.arange(first, first + classes).repeat(12)
    values = rng.normal(size=(len(labels), 20))
    values[:, :3] = rng.normal(size=(classes, 3)).repeat(12, 0) + 0.1 * values[:, :3]
    columns = {f"x{number}": column for number, column in enumerate(values.T)}
    return mw.read({**columns, "label": labels}, label="label", kinds={"label": "category"})


def test_meta_training_helps_with_classes_never_seen(tmp_path: Path) -> None:
    old, new = places(0, 40), places(40, 10)
    method = Reptile(inner_rate=0.05, learning_rate=5e-3)
    trained, untrained = (method.fit(old, budget=steps) for steps in (60, 1))
    options: dict[str, Any] = {"queries": 5, "episodes": 60}
    score = trained.evaluate(new, **options)["accuracy"]
    assert score > untrained.evaluate(new, **options)["accuracy"] + 0.25, "of five classes"
    again = mw.load(trained.save(tmp_path / "model"))
    assert again.evaluate(new, **options)["accuracy"] == score


def test_its_model_takes_the_steps_that_it_learned_by(digits: Data) -> None:
    by_adam = replace(SMALL, inner_optimizer="adam", beta2=0.9, inner_rate=0.01, test_steps=7)
    models = [method.fit(digits, budget=1) for method in (by_adam, replace(SMALL, inner_rate=0.2, test_steps=7))]
    adaptations = [model.adaptation for model in models if isinstance(model, FewShotModel)]
    assert adaptations == [AdamSteps(0.01, 7, 0.9), GradientSteps(0.2, 7)]
    for model in models:
        assert 0.2 < model.evaluate(digits.test, queries=2, episodes=5)["accuracy"] <= 1


def test_fewer_classes_than_ways_are_refused(digits: Data) -> None:
    with pytest.raises(NeedsError, match=r"episodes of 8 classes are asked for, and digits has 7\. .*ways=7"):
        Reptile(ways=8).fit(digits, budget=1)
