"""Combinations of losses and gradients: formulas, and torchjd's numbers of the same gradients."""

import numpy as np
import pytest
import torch

from manyways.methods.multi_task._combinations import (
    by_uncertainty,
    cagrad,
    conflict_averse,
    gradnorm_loss,
    unconflicting_projections,
    upgrad,
)
from manyways.randomness import generator

pytestmark = pytest.mark.quick

THREE = torch.tensor([[1.0, 0.5, -0.3, 0.2], [-0.8, 0.4, 0.1, 0.9], [0.3, -1.2, 0.5, 0.1]], dtype=torch.float64)
TWO = torch.tensor([[2.0, 1.0, 0.0], [-1.0, 1.0, 0.5]], dtype=torch.float64)
# torchjd 0.18.0: UPGrad(projector=QuadprogProjector(reg_eps=1e-12, norm_eps=1e-12)), CAGrad(c, norm_eps=1e-12).
UPGRAD = {
    "three": (THREE, [0.3182812357948749, -0.1479049417364576, 0.17149811511427496, 0.7592379739206961]),
    "two": (TWO, [0.47777777777820374, 1.3222222222213613, 0.3611111111107531]),
}
CAGRAD = {
    "three, 0.4": (THREE, 0.4, [0.24812606084017527, -0.08183701824684456, 0.11339445272582784, 0.5615534161673454]),
    "three, 0.5": (THREE, 0.5, [0.2665815122777874, -0.08792856499501268, 0.1218304323351609, 0.6033203894151559]),
    "two, 0.5": (TWO, 0.5, [0.11811873838972065, 1.3818813509083534, 0.4409406605711643]),
}


@pytest.mark.parametrize("name", UPGRAD)
def test_upgrad_is_torchjds(name: str) -> None:
    gradients, expected = UPGRAD[name]
    assert (upgrad(gradients) / len(gradients)).tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", CAGRAD)
def test_cagrad_is_torchjds(name: str) -> None:
    """Their solver stops at 1e-5 of the optimum."""
    gradients, c, expected = CAGRAD[name]
    assert (cagrad(gradients, c) / len(gradients)).tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_upgrad_conflicts_with_no_gradient(seed: int) -> None:
    gradients = torch.randn(2 + seed, 8, generator=generator(seed), dtype=torch.float64)
    combined = upgrad(gradients)
    assert (gradients @ combined >= -1e-6 * float(combined.norm())).all()
    # Each projection is nearer to its gradient than any other vector of the cone that is tried.
    weights = unconflicting_projections((gradients @ gradients.T).numpy())
    assert (weights >= 1 / len(gradients) - 1e-9).all()


@pytest.mark.parametrize("seed", range(6))
def test_cagrad_raises_the_least_product_within_its_ball(seed: int) -> None:
    gradients = torch.randn(2 + seed % 3, 6, generator=generator(seed), dtype=torch.float64)
    mean, c = gradients.mean(0), 0.4
    found = cagrad(gradients, c) / len(gradients)
    radius = c * float(mean.norm())
    assert float((found - mean).norm()) <= radius * (1 + 1e-6)
    best = float((gradients @ found).min())
    tried = torch.randn(4000, 6, generator=generator(seed, 1), dtype=torch.float64)
    others = mean + radius * tried / tried.norm(dim=1, keepdim=True)
    assert float((others @ gradients.T).amin(1).max()) <= best + 1e-6
    assert float((gradients @ mean).min()) <= best


def test_without_conflicts_all_are_the_sum() -> None:
    gradients = torch.tensor([[1.0, 0.2], [0.5, 2.0], [0.1, 1.0]])
    torch.testing.assert_close(upgrad(gradients), gradients.sum(0))
    torch.testing.assert_close(cagrad(gradients, 0.0), gradients.sum(0))
    assert upgrad(torch.zeros(2, 3)).tolist() == [0, 0, 0]
    assert cagrad(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), 0.5).abs().max() < 1e-6


def test_gradients_of_one_direction_have_no_trouble() -> None:
    """Gram matrices of rank one, whose small eigenvalues rounding makes negative."""
    gradients = torch.randn(1, 50, generator=generator(0)).repeat(4, 1) * torch.tensor([[1.0], [2.0], [0.5], [1.0]])
    torch.testing.assert_close(upgrad(gradients), gradients.sum(0), rtol=1e-3, atol=1e-4)
    assert np.isfinite(conflict_averse((gradients @ gradients.T).double().numpy(), 0.4)).all()


def test_gradnorm_by_hand() -> None:
    """Lengths 2 and 1·3 of mean 2.5; one label has kept half of its first loss, the other all of it: rates 2/3, 4/3."""
    weights = torch.tensor([1.0, 1.0], requires_grad=True)
    norms, progress = torch.tensor([2.0, 3.0]), torch.tensor([0.5, 1.0])
    loss = gradnorm_loss(weights, norms, progress, 1.5)
    expected = abs(2 - 2.5 * (2 / 3) ** 1.5) + abs(3 - 2.5 * (4 / 3) ** 1.5)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    (slope,) = torch.autograd.grad(loss, weights)
    assert slope.tolist() == pytest.approx([2.0, -3.0])  # the one that is ahead loses weight, the other gains
    (even,) = torch.autograd.grad(gradnorm_loss(weights, norms, progress, 0.0), weights)
    assert even.tolist() == pytest.approx([-2.0, 3.0])  # without the pull lengths alone become the same


def test_uncertainty_of_one_label_among_others() -> None:
    whole = by_uncertainty(torch.tensor([2.0, 3.0]), torch.tensor([0.5, -1.0]), torch.tensor([True, False]))
    parts = [
        by_uncertainty(torch.tensor([loss]), torch.tensor([s]), torch.tensor([kind]))
        for loss, s, kind in ((2.0, 0.5, True), (3.0, -1.0, False))
    ]
    assert float(whole) == pytest.approx(sum(map(float, parts)))
