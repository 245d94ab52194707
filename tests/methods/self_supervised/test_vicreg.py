"""VICReg: its three terms against loops, and what becomes of features without each of them."""

import numpy as np
import pytest
import torch

from manyways.data.data import Data
from manyways.methods.self_supervised.vicreg import VICReg, covariance_loss, variance_loss
from manyways.randomness import generator

from ..steps import Step


def by_loops(z: torch.Tensor) -> tuple[float, float]:
    """Variance and covariance terms of Bardes et al. (2022), equations 1 to 4, element by element."""
    rows, width = z.shape
    values = z.double()
    means = [float(values[:, column].sum()) / rows for column in range(width)]
    covariance = [
        [sum((float(values[r, i]) - means[i]) * (float(values[r, j]) - means[j]) for r in range(rows)) / (rows - 1)
         for j in range(width)] for i in range(width)
    ]  # fmt: skip
    variance = sum(max(0.0, 1 - (covariance[i][i] + 1e-4) ** 0.5) for i in range(width)) / width
    return variance, sum(covariance[i][j] ** 2 for i in range(width) for j in range(width) if i != j) / width


@pytest.mark.quick
@pytest.mark.parametrize(("rows", "width", "scale"), [(5, 3, 0.3), (8, 4, 2.0), (2, 6, 0.7)])
def test_the_terms_are_the_equations(rows: int, width: int, scale: float) -> None:
    z = scale * torch.randn(rows, width, generator=generator(rows))
    variance, covariance = by_loops(z)
    assert float(variance_loss(z)) == pytest.approx(variance, rel=1e-4, abs=1e-6)
    assert float(covariance_loss(z)) == pytest.approx(covariance, rel=1e-4)


@pytest.mark.quick
def test_terms_in_closed_form() -> None:
    """Columns that vary enough cost nothing, those that do not vary nearly all; the same column twice costs a half."""
    column = torch.tensor([3.0, -3.0, 3.0, -3.0])
    assert float(variance_loss(column[:, None])) == 0.0
    assert float(variance_loss(torch.zeros(4, 2))) == pytest.approx(1 - 0.01)
    twice = torch.stack([column, column], dim=1)
    assert float(covariance_loss(twice)) == pytest.approx(2 * 12.0**2 / 2)
    assert float(covariance_loss(torch.stack([column, column.abs()], dim=1))) == 0.0


def test_a_whole_step(digits: Data) -> None:
    method = VICReg(batch_size=6, expansion=8, invariance=3.0, variance=5.0, covariance=2.0)
    step = Step(method, digits.select(np.arange(40)), step=3)
    learner = step.by_hand
    a, b = learner.expander(learner.network.features(step.batch["inputs"])).chunk(2)
    loss = 3.0 * ((a - b) ** 2).sum() / a.numel()
    for z in (a, b):
        centred = z - z.mean(0)
        covariance = centred.T @ centred / 5
        loss = loss + 5.0 / 2 * (1 - (covariance.diagonal() + 1e-4).sqrt()).clamp_min(0).mean()
        loss = loss + 2.0 * (covariance - covariance.diagonal().diag()).square().sum() / 8
    step.descend(loss)
    step.agree(loss)


def test_rows_are_told_apart_and_without_variance_the_collapse_is_said(digits: Data) -> None:
    learned = VICReg(batch_size=32, expansion=32).fit(digits, budget=30, seed=0).lineage.facts
    assert learned["pretext"]["accuracy"] > 20 * learned["pretext"]["chance"]
    assert learned["pretext"]["spread"] > 0.3
    assert "caution" not in learned
    assert learned["pretext"]["deviation"] > 0.3
    alike = VICReg(batch_size=16, expansion=16, variance=0.0, covariance=0.0)
    facts = alike.fit(digits, budget=100, seed=0).lineage.facts
    assert facts["pretext"]["deviation"] < 0.1
    assert facts["caution"].startswith("The representation has collapsed: the standard deviation of what is compared")


def test_the_expander_is_dropped_and_no_label_is_looked_at(digits: Data) -> None:
    hidden = digits.hide(np.arange(len(digits)))
    method = VICReg(batch_size=16, expansion=8)
    first, second = (method.fit(data, budget=2) for data in (digits, hidden))
    assert np.array_equal(first.embed(digits.test), second.embed(digits.test))
    assert first.network.head is None
    assert first.embed(digits.test).shape[1] == first.network.width != 8


@pytest.mark.quick
def test_a_batch_holds_each_row_once_in_two_views(digits: Data) -> None:
    few = digits.select(np.arange(20))
    learner = VICReg().begin(few, None, 0)
    batch = VICReg().draw(learner, 0, generator(0))
    assert sorted(batch["rows"].tolist()) == list(range(len(learner.rows)))
    first, second = batch["inputs"]["image"].chunk(2)
    assert not torch.equal(first, second)
