"""Siblings of MultiTask in a few lines each: other ways for losses, and for gradients, to go together."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from manyways.data.data import Data
from manyways.methods.bases.gradient import Batch
from manyways.methods.bases.labels import LabelsLearner, LabelsMethod
from manyways.methods.multi_task.multi_task import MultiTask
from manyways.models.labels_predictor import LabelsPredictor
from manyways.randomness import generator


@dataclass(frozen=True, kw_only=True)
class Geometric(LabelsMethod[LabelsLearner]):
    """The geometric mean of the losses (Chennupati et al., MultiNet++, 2019)."""

    def together(self, learner: LabelsLearner, losses: dict[str, Tensor]) -> Tensor:
        return torch.stack(list(losses.values())).log().mean().exp()


@dataclass(frozen=True, kw_only=True)
class MGDA(LabelsMethod[LabelsLearner]):
    """The shortest convex combination of the gradients (Sener & Koltun, NeurIPS 2018), by Frank and Wolfe's steps."""

    def gradients(self, learner: LabelsLearner, batch: Batch) -> dict[str, Tensor]:
        return self.combined_gradients(learner, batch, self.shortest)

    def shortest(self, gradients: Tensor) -> Tensor:
        products, weights = gradients @ gradients.T, torch.full((len(gradients),), 1 / len(gradients))
        for _ in range(200):
            slopes = products @ weights
            step = torch.eye(len(weights))[int(slopes.argmin())] - weights
            curve = step @ products @ step
            weights = weights + (-(step @ slopes) / curve.clamp_min(1e-12)).clamp(0, 1) * step
        return weights @ gradients


@pytest.fixture(scope="module")
def digits() -> Data:
    """Digits with three labels."""
    return MultiTask.example_data().with_test(0.2)


def begun(method: LabelsMethod[LabelsLearner], data: Data) -> LabelsLearner:
    """A learner with the same weights at every call, nothing dropped."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return method.begin(data, None, 0).eval()


def shared_gradient(method: LabelsMethod[LabelsLearner], data: Data) -> tuple[Tensor, Tensor]:
    """The gradient of the shared weights in a step, and those of the labels [labels, weights]."""
    learner = begun(method, data)
    batch = method.draw(learner, 0, generator(0, 0))
    _, parts = method.loss(learner, batch)
    (network,) = learner.network.members
    shared = [p for name, p in network.named_parameters() if not name.startswith("head.")]
    apart = [torch.autograd.grad(part, shared, retain_graph=True) for part in parts.values()]
    method.gradients(learner, batch)
    given = torch.cat([p.grad.flatten() for p in shared if p.grad is not None])
    return given, torch.stack([torch.cat([part.flatten() for part in parts]) for parts in apart])


@pytest.mark.quick
def test_losses_go_together_as_the_method_says(digits: Data) -> None:
    """The gradient of a geometric mean is G / n · Σ ∇L / L."""
    method = Geometric(augment=False, precision="float32")
    learner = begun(method, digits)
    _, parts = method.loss(learner, method.draw(learner, 0, generator(0, 0)))
    losses = torch.stack([part.detach() for part in parts.values()])
    given, apart = shared_gradient(method, digits)
    expected = losses.log().mean().exp() / len(losses) * (apart / losses[:, None]).sum(0)
    torch.testing.assert_close(given, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.quick
def test_gradients_go_together_as_the_method_says(digits: Data) -> None:
    """The shortest of all combinations raises no loss: its product with each gradient is at least its square."""
    given, apart = shared_gradient(MGDA(augment=False, precision="float32"), digits)
    square = float(given.square().sum())
    assert (apart @ given >= 0.9 * square).all()
    assert square < float(apart.mean(0).square().sum())


@pytest.mark.parametrize("method", [Geometric(), MGDA()], ids=lambda method: type(method).__name__)
def test_a_sibling_learns_all_labels(method: LabelsMethod[LabelsLearner], digits: Data) -> None:
    model = method.fit(digits, budget=120)
    assert isinstance(model, LabelsPredictor)
    scores = model.evaluate(digits.test)
    assert scores["accuracy of label"] > 0.7
    assert scores["accuracy of even"] > 0.75
    assert model.predict(digits.test).dtype.names == ("label", "even", "ink")
