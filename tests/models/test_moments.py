"""Moments: sums that rows can be taken out of, to the last bit, whatever the scale of the numbers."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor

from manyways.models.moments import Moments

pytestmark = pytest.mark.quick

NUMBERS: dict[str, Callable[[torch.Generator], Tensor]] = {
    "pixels": lambda rng: torch.randint(0, 256, (600, 20), generator=rng).float() / 255,
    "normal": lambda rng: torch.randn(600, 20, generator=rng),
    "far from zero": lambda rng: torch.randn(600, 20, generator=rng) * 1e-3 + 1e6,
    "of many sizes": lambda rng: torch.exp(4 * torch.randn(600, 20, generator=rng)),
    "float64": lambda rng: torch.randn(600, 20, generator=rng, dtype=torch.float64),
}


def _moments(features: Tensor, groups: Tensor) -> Moments:
    made = Moments(3, features.shape[1])
    made.move(features, groups, 1)
    return made


@pytest.mark.parametrize("kind", NUMBERS)
def test_rows_taken_out_leave_what_the_others_give(kind: str) -> None:
    rng = torch.Generator().manual_seed(0)
    features, groups = NUMBERS[kind](rng), torch.randint(0, 3, (600,), generator=rng)
    gone = torch.rand(600, generator=rng) < 0.4
    moments = _moments(features, groups)
    moments.move(features[gone], groups[gone], -1)
    rest = _moments(features[~gone], groups[~gone])
    assert torch.equal(moments.count, rest.count)
    assert torch.equal(moments.mean(), rest.mean())
    if kind == "of many sizes":  # 106 bits do not hold all that lies between e^-16 and e^16
        assert float((moments.variance() / rest.variance() - 1).abs().max()) < 1e-15
    else:
        assert torch.equal(moments.variance(), rest.variance())


def test_what_106_bits_cannot_hold_is_told() -> None:
    features, groups = torch.tensor([[1.0], [2.0], [1e25]]), torch.zeros(3, dtype=torch.int64)
    moments = _moments(features, groups)
    assert not moments.lost
    moments.move(features[2:], groups[2:], -1)
    assert moments.lost


@pytest.mark.parametrize("kind", NUMBERS)
def test_means_and_variances_are_those_of_rational_arithmetic(kind: str) -> None:
    features = NUMBERS[kind](torch.Generator().manual_seed(1))[:80]
    moments = _moments(features, torch.ones(80, dtype=torch.int64))
    for column in range(3):
        values = [Fraction(float(value)) for value in features[:, column]]
        mean = sum(values) / 80
        variance = sum((value - mean) ** 2 for value in values) / 80
        assert float(moments.mean()[1, column]) == pytest.approx(float(mean), rel=4e-16)
        assert float(moments.variance()[1, column]) == pytest.approx(float(variance), rel=4e-16)


def test_what_varied_only_in_rows_that_are_gone_is_constant() -> None:
    features = torch.full((50, 2), 0.1)
    features[7] = torch.tensor([3e4, -1.0])
    groups = torch.zeros(50, dtype=torch.int64)
    moments = _moments(features, groups)
    assert bool((moments.variance()[0] > 0).all())
    moments.move(features[7:8], groups[7:8], -1)
    assert torch.equal(moments.variance()[0], torch.zeros(2, dtype=torch.float64))


def test_groups_together_and_some_features_alone() -> None:
    rng = torch.Generator().manual_seed(2)
    features, groups = torch.randn(300, 6, generator=rng), torch.randint(0, 3, (300,), generator=rng)
    moments = _moments(features, groups)
    np.testing.assert_allclose(moments.together().variance()[0], features.double().numpy().var(0), rtol=1e-12)
    kept = torch.tensor([4, 1])
    assert torch.equal(moments.select(kept).variance(), moments.variance()[:, kept])


def test_many_small_groups_are_summed_at_once_and_exactly() -> None:
    """As by fractions, though rows of several groups share a block, and a group lies in two."""
    rng = torch.Generator().manual_seed(0)
    features = torch.exp(3 * torch.randn(4000, 20, generator=rng))
    groups = torch.randint(0, 1500, (4000,), generator=rng)
    moments = Moments(1500, 20)
    moments.move(features, groups, 1)
    assert moments.count.equal(torch.bincount(groups, minlength=1500))
    for group in (0, 7, 700, 1499):
        rows = features[groups == group]
        for column in (0, 19):
            exact = [Fraction(value) for value in rows[:, column].tolist()]
            assert float(moments.mean()[group, column]) == float(sum(exact) / max(1, len(exact)))
            squares = sum(value * value for value in exact)
            spread = float(squares / len(exact) - (sum(exact) / len(exact)) ** 2)
            assert float(moments.variance()[group, column]) == pytest.approx(spread, rel=1e-12, abs=1e-300)
