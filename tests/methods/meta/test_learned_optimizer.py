"""LearnedOptimizer: Adam at first, gradients through the steps, and an optimizer for other loops."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import manyways as mw
from manyways.data.data import Data
from manyways.errors import NeedsError, ParameterError
from manyways.methods.meta.learned_optimizer import LearnedOptimizer, OptimizerLearner
from manyways.models.backbones.perceptron import Perceptron
from manyways.models.learned_optimizer import LearnedOptimizerModel
from manyways.models.meta_batch import Call, MetaBatch
from manyways.models.optimizing.adam import best_rate, losses_by_rate
from manyways.models.optimizing.optimizer import RuleOptimizer
from manyways.models.optimizing.tasks import OptimizerNetwork, losses_of
from manyways.models.population import Weights
from manyways.randomness import generator

SMALL = LearnedOptimizer(batch_size=2, task_steps=6, truncation=6, minibatch=8, hidden=8, size=0.125)


@pytest.fixture(scope="module")
def blobs() -> Data:
    """Four classes in two of four columns, 30 rows of each."""
    rng = np.random.default_rng(0)
    labels = np.arange(4).repeat(30)
    values = rng.normal(size=(120, 4))
    values[:, :2] += 1.5 * np.stack([labels % 2, labels // 2], 1)
    columns = {f"x{number}": column for number, column in enumerate(values.T)}
    return mw.read({**columns, "label": labels}, label="label", kinds={"label": "category"})


@pytest.fixture
def learner(blobs: Data) -> OptimizerLearner:
    """A learner whose rule is not Adam any more."""
    torch.manual_seed(0)
    learner = SMALL.begin(blobs, None, 0)
    for parameter in learner.rule.parameters():
        nn.init.normal_(parameter, std=0.1) if parameter.ndim else parameter.data.fill_(-4.0)
    return learner


def losses_by_rule(learner: OptimizerLearner, batch: Any, how: Any = "one by one") -> Tensor:
    """The losses [tasks, steps + 1] of the learner's rule."""
    network = OptimizerNetwork(learner.rule, learner.network)

    def way(call: Call, weights: Weights, task: Any) -> Tensor:
        return losses_of(call, weights, lambda step: call(weights, step), task, learner.network)

    found: Tensor = MetaBatch(network, how=how).run(way, batch)
    return found


def losses_of_a_loop(learner: OptimizerLearner, batch: Any, make: Any) -> Tensor:
    """The same, by a loop of torch with an optimizer that `make` makes of parameters."""
    tasks = []
    for task in range(len(batch["labels"])):
        network = learner.network.eval()
        nn.utils.vector_to_parameters(batch["start"][task].clone(), network.parameters())
        network.requires_grad_(True)
        optimizer, losses = make(network.parameters()), []
        for step in range(batch["labels"].shape[1]):
            inputs = {name: part[task, step] for name, part in batch["inputs"].items()}
            loss = cross_entropy(network(inputs), batch["labels"][task, step])
            losses.append(loss.detach())
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        tasks.append(torch.stack(losses))
    return torch.stack(tasks)


def test_a_new_rule_is_adam_at_the_best_of_its_rates(blobs: Data) -> None:
    learner = SMALL.begin(blobs, None, 0)
    SMALL.prepare(learner)
    batch = SMALL.draw(learner, 0, generator(0))
    rate = float(learner.rule.log_rate.detach().exp())
    by_adam = losses_by_rate(OptimizerNetwork(learner.rule, learner.network), batch)
    assert min(abs(rate / each - 1) for each in by_adam) < 1e-5
    own = losses_by_rule(learner, batch)
    theirs = losses_of_a_loop(learner, batch, lambda p: torch.optim.Adam(p, rate, (0.9, 0.99)))
    torch.testing.assert_close(own, theirs, rtol=1e-3, atol=1e-4)
    nearest = min(by_adam, key=lambda each: abs(rate / each - 1))
    torch.testing.assert_close(by_adam[nearest], theirs, rtol=1e-3, atol=1e-4)


def test_the_best_rate_has_the_lowest_loss_on_the_way(learner: OptimizerLearner) -> None:
    network, batch = OptimizerNetwork(learner.rule, learner.network), SMALL.draw(learner, 0, generator(1))
    means = {rate: float(losses[:, 1:].mean()) for rate, losses in losses_by_rate(network, batch).items()}
    assert means[best_rate(network, batch)] == min(means.values())
    assert len(set(means.values())) == len(means)


@pytest.mark.parametrize("how", ["one by one", "vectorised"])
def test_its_optimizer_makes_the_steps_that_were_learned(learner: OptimizerLearner, how: str) -> None:
    batch = SMALL.draw(learner, 3, generator(0, 3))
    own = losses_by_rule(learner, batch, how)
    theirs = losses_of_a_loop(learner, batch, lambda parameters: RuleOptimizer(parameters, learner.rule))
    torch.testing.assert_close(own, theirs, rtol=1e-3, atol=1e-4)


def test_the_gradient_goes_through_the_steps(learner: OptimizerLearner) -> None:
    """By finite differences of the learned rate, in float64; cut after a step it is another."""
    exact = learner.double()
    batch: Any = SMALL.draw(exact, 0, generator(0))
    batch = {**batch, "start": batch["start"].double(), "inputs": {n: t.double() for n, t in batch["inputs"].items()}}

    def loss(method: LearnedOptimizer = SMALL) -> Tensor:
        found: Tensor = method.loss(exact, batch)[0]
        return found

    (slope,) = torch.autograd.grad(loss(), exact.rule.log_rate)
    values = []
    for way in (1, -1):
        exact.rule.log_rate.data += way * 1e-5
        values.append(float(loss().detach()))
        exact.rule.log_rate.data -= way * 1e-5
    assert float(slope) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-4)
    (cut,) = torch.autograd.grad(loss(replace(SMALL, truncation=1)), exact.rule.log_rate)
    assert float(cut) != pytest.approx(float(slope), rel=1e-2)


def test_it_learns_to_beat_a_tuned_adam(blobs: Data, tmp_path: Path) -> None:
    method = replace(SMALL, batch_size=4, task_steps=10, truncation=10, learning_rate=1e-2)
    begun, trained = (method.fit(blobs, budget=steps) for steps in (1, 60))
    before, after = (model.evaluate(blobs, tasks=16, seed=1) for model in (begun, trained))
    assert before["adam_mean_loss"] == pytest.approx(after["adam_mean_loss"])
    assert before["mean_loss"] > 0.98 * before["adam_mean_loss"], "Adam at a rate that was chosen on other tasks"
    assert after["mean_loss"] < 0.99 * after["adam_mean_loss"]
    again = mw.load(trained.save(tmp_path / "optimizer"))
    assert isinstance(again, LearnedOptimizerModel)
    assert again.evaluate(blobs, tasks=16, seed=1) == after


@dataclass(frozen=True, kw_only=True)
class LearnedSteps(mw.Supervised):
    """Supervised learning whose steps a learned optimizer makes."""

    learning_rate: float = 1.0
    optimizer: str = ""

    def make_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        model = mw.load(self.optimizer)
        assert isinstance(model, LearnedOptimizerModel)
        return model.optimizer(groups)


def test_other_methods_learn_by_it(blobs: Data, tmp_path: Path) -> None:
    place = SMALL.fit(blobs, budget=1).save(tmp_path / "optimizer")
    data = blobs.with_test(0.3)
    model = LearnedSteps(optimizer=str(place)).fit(data, budget=60)
    assert model.evaluate(data.test)["accuracy"] > 0.5, "of four classes"


def test_its_optimizer_goes_on_from_its_state(learner: OptimizerLearner) -> None:
    def steps(optimizer: torch.optim.Optimizer, parameter: Tensor, gradients: Iterable[float]) -> None:
        for gradient in gradients:
            parameter.grad = torch.full_like(parameter, gradient)
            optimizer.step()

    whole, first = (nn.Parameter(torch.ones(3)) for _ in range(2))
    steps(RuleOptimizer([whole], learner.rule), whole, (1.0, -2.0, 3.0))
    begun = RuleOptimizer([first], learner.rule)
    steps(begun, first, (1.0, -2.0))
    second = nn.Parameter(first.detach().clone())
    resumed = RuleOptimizer([second], learner.rule)
    resumed.load_state_dict(begun.state_dict())
    steps(resumed, second, (3.0,))
    assert torch.equal(second, whole)
    halved = nn.Parameter(torch.ones(3))
    steps(RuleOptimizer([halved], learner.rule, lr=0.5), halved, (1.0,))
    full = nn.Parameter(torch.ones(3))
    steps(RuleOptimizer([full], learner.rule), full, (1.0,))
    torch.testing.assert_close(1 - halved, (1 - full) / 2)


def test_what_cannot_be_is_refused(blobs: Data, learner: OptimizerLearner) -> None:
    with pytest.raises(NeedsError, match=r"episodes of 5 classes are asked for, and data has 4\. .*ways=4"):
        replace(SMALL, ways=5).fit(blobs, budget=1)
    with pytest.raises(NeedsError, match=r"has 30"):
        replace(SMALL, rows=31).fit(blobs, budget=1)
    with pytest.raises(ParameterError, match=r"lr must be 0 or above; got -1"):
        RuleOptimizer([nn.Parameter(torch.ones(1))], learner.rule, lr=-1)


def test_a_backbone_without_a_second_derivative_is_refused(monkeypatch: pytest.MonkeyPatch, blobs: Data) -> None:
    monkeypatch.setattr(Perceptron, "differentiable_twice", False)
    with pytest.raises(ParameterError, match=r"^LearnedOptimizer takes second .* 'perceptron' has none"):
        SMALL.fit(blobs, budget=1)
    with pytest.raises(ParameterError, match=r"^MAML takes .* Take first_order=true, or another"):
        mw.MAML(ways=3).fit(blobs, budget=1)
