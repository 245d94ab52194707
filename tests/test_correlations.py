"""Correlations: scipy's numbers, and pseudo-values that are the derivative by the weight of each row."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr

from manyways.correlations import CORRELATIONS, correlation_pseudo_values, correlations
from manyways.errors import DataError

pytestmark = pytest.mark.quick


def rows(ties: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(3)
    truth = rng.normal(size=60)
    guess = truth + rng.normal(size=60)
    return (np.round(guess), np.round(2 * truth)) if ties else (guess, truth)


@pytest.mark.parametrize("ties", [False, True])
def test_they_are_scipys(ties: bool) -> None:
    guess, truth = rows(ties)
    scores = correlations(guess, truth)
    assert scores["spearman"] == pytest.approx(spearmanr(guess, truth).statistic)
    assert scores["pearson"] == pytest.approx(pearsonr(guess, truth).statistic)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("metric", CORRELATIONS)
def test_pseudo_values_are_the_change_where_a_row_weighs_more(metric: str, ties: bool) -> None:
    """Every row many times, and one of them once more: the change of the score, to the first order in its weight."""
    guess, truth = rows(ties)
    values = correlation_pseudo_values(metric, guess, truth)
    assert values is not None
    score = correlations(guess, truth)[metric]
    assert values.mean() == pytest.approx(score)
    times = 200
    many = [np.tile(side, times) for side in (guess, truth)]
    for row in (0, 7, 31):
        more = correlations(*(np.append(side, side[row]) for side in many))[metric]
        change = (more - score) * (times * len(guess) + 1)
        assert values[row] - score == pytest.approx(change, rel=2e-2, abs=2e-3)


def test_a_constant_has_none() -> None:
    constant, truth = np.ones(5), np.arange(5.0)
    assert all(math.isnan(score) for score in correlations(constant, truth).values())
    assert correlation_pseudo_values("spearman", constant, truth) is None
    assert correlation_pseudo_values("accuracy", truth, truth) is None


def test_one_row_is_too_few() -> None:
    with pytest.raises(DataError, match="two rows"):
        correlations(np.ones(1), np.ones(1))
