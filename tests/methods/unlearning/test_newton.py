"""Newton: a step that takes a head from the optimum of all rows to nearly that of the rows that stay."""

import re

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import manyways as mw
from manyways.data.data import Data
from manyways.errors import NeedsError
from manyways.methods.supervised.naive_bayes import NaiveBayes
from manyways.methods.supervised.supervised import Supervised
from manyways.methods.transfer.linear_probe import LinearProbe
from manyways.methods.unlearning.newton import Newton, _step, conjugate_gradients, curvature, slope
from manyways.models.heads import LinearHead
from manyways.training.events import Event

from .conftest import Case


@pytest.mark.quick
def test_a_probe_is_moved_to_where_the_other_rows_alone_take_it() -> None:
    """Guo et al.: what is left of the distance is of second order in the share of rows that are gone."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(600, 8)).astype(np.float32)
    labels = (features @ rng.normal(size=(8, 3)) + rng.gumbel(size=(600, 3))).argmax(1)
    left = {}
    for count in (6, 60):
        rows = [torch.from_numpy(features[count:]), torch.from_numpy(features[:count])]
        said = [torch.from_numpy(labels[count:]), torch.from_numpy(labels[:count])]
        mean, scale = features[count:].mean(0), features[count:].std(0)
        found = [
            LogisticRegression(C=0.5, tol=1e-10, max_iter=10_000).fit((features[first:] - mean) / scale, labels[first:])
            for first in (0, count)
        ]
        head = LinearHead(8, 3)
        with torch.no_grad():
            head.linear.weight.copy_(torch.from_numpy(found[0].coef_ / scale))
            head.linear.bias.copy_(torch.from_numpy(found[0].intercept_ - found[0].coef_ @ (mean / scale)))
        _step(head, rows, said, 2.0)
        moved = head.linear.weight.detach().numpy() * scale
        left[count] = np.abs(moved - found[1].coef_).max() / np.abs(found[0].coef_ - found[1].coef_).max()
    assert left[6] < 0.05
    assert left[60] < 0.2


@pytest.mark.quick
def test_numbers_are_moved_all_the_way() -> None:
    """The loss of a linear regression is a parabola, so that one step ends at the optimum of the rows that stay."""
    rng = np.random.default_rng(1)
    features = rng.normal(size=(80, 5))
    labels = features @ rng.normal(size=5) + rng.normal(size=80)
    design = np.concatenate([features, np.ones((80, 1))], 1)
    ridge = np.diag([3.0] * 5 + [3e-6])
    whole, rest = (np.linalg.solve(x.T @ x + ridge, x.T @ y) for x, y in ((design, labels), (design[20:], labels[20:])))
    rows = [torch.from_numpy(design[20:]), torch.from_numpy(design[:20])]
    said = [torch.from_numpy(labels[20:]), torch.from_numpy(labels[:20])]
    now = torch.from_numpy(whole)[None]
    multiply, added = curvature(rows[0], now, said[0]), torch.from_numpy(ridge)
    step = conjugate_gradients(lambda x: multiply(x) + x @ added, slope(rows[1], now, said[1]))
    np.testing.assert_allclose((now + step)[0], rest, rtol=1e-8)


@pytest.mark.quick
def test_curvature_and_slope_are_derivatives_of_the_cross_entropy() -> None:
    rng = torch.Generator().manual_seed(0)
    rows, labels = torch.randn(30, 4, generator=rng).double(), torch.randint(0, 3, (30,), generator=rng)
    weights = torch.randn(3, 4, generator=rng).double().requires_grad_()
    loss = torch.nn.functional.cross_entropy(rows @ weights.T, labels, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, weights, create_graph=True)
    torch.testing.assert_close(slope(rows, weights.detach(), labels), gradient.detach())
    direction = torch.randn(3, 4, generator=rng).double()
    (second,) = torch.autograd.grad((gradient * direction).sum(), weights)
    torch.testing.assert_close(curvature(rows, weights.detach(), labels)(direction), second)


def test_probabilities_of_a_probe_come_near_those_of_one_trained_without_the_rows(digits: Data) -> None:
    training = digits.part[digits.rows] == 0
    rows = training & (np.cumsum(training) % 40 == 7)
    method = LinearProbe(penalty=10.0)
    model, without = method.fit(digits), method.fit(digits.select(~rows))
    made = Newton(penalty=10.0).forget(model, digits, rows)
    gone = digits.select(rows)
    before, after = (np.abs(m.probabilities(gone) - without.probabilities(gone)).mean() for m in (model, made))
    assert after < 0.25 * before


def test_a_class_is_forgotten_by_the_head_alone(one_class: Case) -> None:
    made = Newton(penalty=10.0).forget(one_class.model, one_class.data, one_class.rows)
    gone, kept, like = one_class.scores(made, "accuracy")
    before = one_class.scores(one_class.model, "accuracy")
    assert gone < 0.2
    assert kept > before[1] - 0.04
    assert like > before[2] - 0.06
    for name, tensor in one_class.model.network.backbones.state_dict().items():  # type: ignore[union-attr]
        assert torch.equal(tensor, made.network.backbones.state_dict()[name]), name  # type: ignore[union-attr]


def test_noise_goes_where_the_other_rows_do_not_mind(one_class: Case) -> None:
    """Blurred by its information, the model keeps more than one blurred as much everywhere."""
    model, rows = one_class.model, one_class.rows
    blurred = Newton(noise=0.02, noisy="all").forget(model, one_class.data, rows)
    plain = Newton().forget(model, one_class.data, rows)
    pairs = zip(blurred.network.parameters(), plain.network.parameters(), strict=True)
    size = float(torch.cat([(a - b).detach().flatten() for a, b in pairs]).std())
    assert size > 0
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in plain.network.parameters():
            weight.add_(size * torch.randn(weight.shape, generator=rng))
    assert one_class.scores(blurred, "accuracy")[1] > one_class.scores(plain, "accuracy")[1] + 0.05


def test_other_heads_are_refused(wine: Data) -> None:
    rows = (wine.part[wine.rows] == 0) & (np.arange(len(wine)) % 9 == 0)
    with pytest.raises(NeedsError, match="naive-bayes has none that it could move"):
        Newton().forget(NaiveBayes().fit(wine), wine, rows)
    model = Supervised().fit(wine, budget=2)
    model.network.head = None
    with pytest.raises(NeedsError, match="it moves a linear head, which supervised has not"):
        Newton().forget(model, wine, rows)


def test_a_step_that_goes_too_far_says_so() -> None:
    """The head that batches of a single row leave is far from its optimum, which the step takes it to be at."""
    rows = mw.read("diabetes").with_test(0.2)
    data = rows.with_forgotten(np.arange(len(rows)) % 2 == 0)
    heard: list[Event] = []
    run = mw.Run(listeners=[heard.append])
    noisy = mw.Newton().fit(data, mw.Supervised(batch_size=1).fit(rows, budget=200), run=run)
    caution = noisy.lineage.facts["caution"]
    assert re.search(r"squared error.*of the rows that stay grew from 0\.\d+ to .*linear-probe leaves it", caution)
    assert [event.note for event in heard if event.kind == "notice"] == [caution]
    probe = mw.LinearProbe(penalty=100.0).fit(rows)
    assert "caution" not in mw.Newton().fit(data, probe).lineage.facts
