"""Intervals of one entry hold its true score about as often as they say, and never reach beyond what it can be."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, norm, ttest_1samp

from manyways.comparison.statistics.components import ScoreTable
from manyways.comparison.statistics.intervals import mean_interval, seed_interval, t_quantile, wilson

MakeWorld = Callable[..., ScoreTable]
WORLDS: dict[str, dict[str, Any]] = {
    "36 rows, a closed form": {"rows": 36, "fixed": 1},
    "400 rows, a closed form": {"rows": 400, "fixed": 1},
    "400 rows, one seed": {"rows": 400, "seeds": 1},
    "400 rows, training varies": {"rows": 400, "own": 0.2},
    "2,000 rows, training varies much": {"rows": 2000, "own": 0.5},
    "400 rows, five seeds": {"rows": 400, "own": 0.2, "seeds": 5},
    "100 rows, 97% right": {"rows": 100, "accuracy": 0.97, "fixed": 1},
}


def bounds(table: ScoreTable) -> tuple[float, float]:
    """The interval of the first entry."""
    low, high = mean_interval(table, 0.95)
    assert low is not None
    assert high is not None
    return low, high


@pytest.mark.parametrize("name", WORLDS)
def test_the_true_score_is_in_95_of_100(make_world: MakeWorld, name: str) -> None:
    options = {"accuracy": 0.85, **WORLDS[name]}
    skill, spread = norm.ppf(options["accuracy"]) * np.sqrt(1.5), options.get("own", 0.0)
    truth = norm.cdf(skill / np.sqrt(1.5 + spread**2))
    rng = np.random.default_rng(0)
    ends = [bounds(make_world(rng, entries=1, **options)) for _ in range(400)]
    held = np.mean([low <= truth <= high for low, high in ends])
    print(f"{name}: {held:.1%}")
    assert 0.92 < held < 0.995
    assert all(low >= 0 and high <= 1 for low, high in ends)


@pytest.mark.parametrize("right", [0, 1, 18, 35, 36])
def test_of_a_closed_form_it_is_wilsons(right: int) -> None:
    """By Student's quantile of 35 degrees of freedom, as the variance is estimated."""
    rows = np.repeat([1.0, 0.0], [right, 36 - right])[None, None].repeat(3, axis=1)
    low, high = bounds(ScoreTable(rows.mean(2), rows, fraction=True))
    wanted = binomtest(right, 36).proportion_ci(0.95, "wilson")
    assert (low, high) == pytest.approx((wanted.low, wanted.high), abs=0.012)
    assert 0 <= low <= right / 36 <= high <= 1
    assert high - low > 0.05


def test_wilson_is_wilsons() -> None:
    wanted = binomtest(30, 40).proportion_ci(0.9, "wilson")
    assert wilson(0.75, 40, norm.ppf(0.95)) == pytest.approx((wanted.low, wanted.high))
    assert wilson(1.0, 1e12, 2.0) == pytest.approx((1.0, 1.0))


def test_over_seeds_alone_it_is_students() -> None:
    values = [3.1, 2.9, 3.4, 3.3]
    wanted = ttest_1samp(values, 0).confidence_interval(0.95)
    assert seed_interval(values, 0.95) == pytest.approx((wanted.low, wanted.high))


def test_a_fraction_is_never_beyond_1_or_below_0() -> None:
    """Three seeds of 0.99, 0.97, 0.95: Student's interval reaches 1.02."""
    low, high = seed_interval([0.99, 0.97, 0.95], 0.95)
    assert high == pytest.approx(0.97 + 4.3027 * 0.02 / 3**0.5, abs=1e-4)
    assert seed_interval([0.99, 0.97, 0.95], 0.95, fraction=True) == (low, 1.0)
    assert seed_interval([0.01, 0.03, 0.05], 0.95, fraction=True)[0] == 0.0


def test_errors_in_the_labels_own_unit_have_no_bounds() -> None:
    rng = np.random.default_rng(0)
    rows = rng.gamma(1.0, 50.0, (1, 3, 400))
    low, high = bounds(ScoreTable(rows.mean(2), rows))
    assert low < rows.mean() < high
    assert high > 1


def test_more_rows_and_more_seeds_narrow_it(make_world: MakeWorld) -> None:
    def width(**options: Any) -> float:
        rng = np.random.default_rng(0)
        ends = [bounds(make_world(rng, entries=1, own=0.2, **options)) for _ in range(20)]
        return float(np.mean([high - low for low, high in ends]))

    assert width(rows=1600) < width(rows=100)
    assert width(rows=1600, seeds=10) < width(rows=1600, seeds=3)


def test_groups_widen_it() -> None:
    right = np.repeat(np.random.default_rng(0).random(30) < 0.8, 10).astype(float)[None, None]
    low, high = bounds(ScoreTable(right.mean(2), right, np.arange(30).repeat(10), fraction=True))
    lower, higher = bounds(ScoreTable(right.mean(2), right, fraction=True))
    assert high - low > 2.5 * (higher - lower)


def test_without_rows_one_seed_has_none() -> None:
    assert seed_interval([0.9], 0.95) == (None, None)


def test_quantiles_are_those_of_the_tables() -> None:
    assert t_quantile(0.95, 2) == pytest.approx(4.303, abs=1e-3)
    assert t_quantile(0.90, 9) == pytest.approx(1.833, abs=1e-3)
    assert t_quantile(0.95, np.inf) == pytest.approx(1.960, abs=1e-3)
