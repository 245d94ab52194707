"""SimCLR: its loss against explicit loops, and features that know a row again."""

import math

import numpy as np
import pytest
import torch

from manyways.data.data import Data
from manyways.data.views import Views
from manyways.methods.self_supervised.simclr import SimCLR, normalised_temperature_cross_entropy
from manyways.models.model import Model
from manyways.randomness import generator


def _by_loops(a: torch.Tensor, b: torch.Tensor, temperature: float) -> float:
    """Equation 1 of Chen et al. (2020), term by term."""
    z = [row / math.sqrt(sum(x * x for x in row.tolist())) for row in torch.cat([a, b]).double()]
    count, total = len(a), 0.0
    for i in range(2 * count):
        j = i + count if i < count else i - count
        similar = [math.exp(float(z[i] @ z[k]) / temperature) for k in range(2 * count)]
        total -= math.log(similar[j] / sum(similar[k] for k in range(2 * count) if k != i))
    return total / (2 * count)


@pytest.mark.quick
@pytest.mark.parametrize(("rows", "temperature"), [(2, 0.5), (5, 0.1), (16, 1.0)])
def test_loss_is_equation_one(rows: int, temperature: float) -> None:
    a, b = torch.randn(2, rows, 7, generator=generator(rows)).unbind()
    loss = normalised_temperature_cross_entropy(a, b, temperature)
    assert float(loss) == pytest.approx(_by_loops(a, b, temperature), rel=1e-4)


@pytest.mark.quick
def test_loss_of_orthogonal_pairs_in_closed_form() -> None:
    """Partners equal, all others orthogonal: −log(e^(1/T) / (e^(1/T) + 2N − 2))."""
    views, temperature = torch.eye(8), 0.5
    expected = -math.log(math.exp(2) / (math.exp(2) + 14))
    assert float(normalised_temperature_cross_entropy(views, 3 * views, temperature)) == pytest.approx(expected)


@pytest.mark.quick
def test_loss_pulls_partners_together() -> None:
    a, b = torch.randn(2, 6, 4, generator=generator(0)).unbind()
    b.requires_grad_(True)
    for _ in range(50):
        (gradient,) = torch.autograd.grad(normalised_temperature_cross_entropy(a, b, 0.2), b)
        b = (b - 0.5 * gradient).detach().requires_grad_(True)
    closest = torch.nn.functional.cosine_similarity(b[:, None], a[None], dim=2).argmax(1)
    assert torch.equal(closest, torch.arange(6))


def found_again(model: Model, rows: Data) -> float:
    """The share of held-out rows whose other view is the nearest of all, by the cosine of the features."""
    predictor = model.as_predictor()
    batch = predictor.inputs.encode(rows).batch(np.arange(len(rows)))
    views, rng = Views(predictor.inputs.specs), generator(7)
    with torch.no_grad():
        first, second = (predictor.network.features(views.contrastive(batch, rng)) for _ in range(2))
    cosines = torch.nn.functional.normalize(first) @ torch.nn.functional.normalize(second).T
    return float((cosines.argmax(1) == torch.arange(len(rows))).float().mean())


def test_features_know_a_row_again(digits: Data) -> None:
    """Two views of rows that were never trained on are found among all others, more often than by an untrained net."""
    method = SimCLR(batch_size=128)
    trained = method.fit(digits, budget=150)
    untrained = SimCLR(batch_size=128, learning_rate=1e-12, weight_decay=0.0).fit(digits, budget=1)
    scores = [found_again(model, digits.test) for model in (trained, untrained)]
    assert scores[0] > scores[1] + 0.05


def test_no_label_is_looked_at(digits: Data) -> None:
    hidden = digits.hide(np.arange(len(digits)))
    first, second = (SimCLR(batch_size=32).fit(data, budget=2).embed(digits.test) for data in (digits, hidden))
    assert np.array_equal(first, second)


def test_projection_is_dropped_and_the_two_views_differ(digits: Data) -> None:
    method = SimCLR(batch_size=16, projection=5)
    learner = method.begin(digits, None, 0)
    batch = method.draw(learner, 0, generator(0))
    first, second = batch["inputs"]["image"].chunk(2)
    assert len(first) == 16
    assert not torch.equal(first, second)
    model = method.fit(digits, budget=1)
    assert model.network.head is None
    assert model.embed(digits.test).shape[1] == learner.network.width != 5


@pytest.mark.quick
def test_a_batch_holds_no_row_twice(digits: Data) -> None:
    """In a data set smaller than the batch a row would be told apart from itself."""
    few = digits.select(np.arange(20))
    method = SimCLR()
    learner = method.begin(few, None, 0)
    count = len(learner.rows)
    assert method.examples_per_step(learner) == count < method.batch_size
    assert len(method.draw(learner, 0, generator(0))["inputs"]["image"]) == 2 * count
