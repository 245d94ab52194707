"""The best of several is judged as such: equal entries are seldom told apart, unequal ones are."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import studentized_range, t

from manyways.comparison.statistics.components import ScoreTable, components
from manyways.comparison.statistics.draws import joint_draws, pair_variance
from manyways.comparison.statistics.simultaneous import critical_value, gaps_to_best

MakeWorld = Callable[..., ScoreTable]
WORLDS: dict[str, dict[str, Any]] = {
    "few rows, closed forms": {"rows": 36, "fixed": 12, "accuracy": 0.95},
    "few rows, training varies": {"rows": 36, "own": 0.1},
    "400 rows, closed forms": {"rows": 400, "fixed": 12},
    "400 rows, only rows vary": {"rows": 400},
    "400 rows, one seed": {"rows": 400, "seeds": 1},
    "400 rows, five seeds": {"rows": 400, "seeds": 5, "own": 0.1},
    "2,000 rows, training varies": {"rows": 2000, "own": 0.1},
    "2,000 rows, labels drawn for all": {"rows": 2000, "own": 0.1, "shared": 0.3},
    "2,000 rows, some closed forms": {"rows": 2000, "own": 0.1, "fixed": 5},
    "2,000 rows, half vary ten times as much": {"rows": 2000, "own": 0.02, "spread": np.repeat([1.0, 10.0], 6)},
}
"""Twelve equal entries."""
OFTEN = {"rows": 400, "own": 0.1, "shared": 0.2}


def worse(table: ScoreTable, draws: int, seed: int) -> list[int]:
    """The entries that are called worse than the best."""
    parts = components(table)
    best = int(parts.means.argmax())
    errors = np.zeros((len(parts.means), len(parts.means)))
    errors[np.triu_indices(len(errors), 1)] = np.sqrt(pair_variance(parts))
    errors += errors.T
    reach = critical_value(table, 0.95, draws, seed)
    return np.flatnonzero(parts.means[best] - parts.means > reach * errors[best]).tolist()


def share_told_apart(make_world: MakeWorld, options: dict[str, Any], worlds: int, draws: int) -> float:
    """The share of worlds in which some entry is called worse than the best."""
    rng = np.random.default_rng(0)
    return float(np.mean([bool(worse(make_world(rng, **options), draws, seed)) for seed in range(worlds)]))


def test_twelve_equal_entries_are_seldom_told_apart(make_world: MakeWorld) -> None:
    assert share_told_apart(make_world, OFTEN, worlds=200, draws=200) <= 0.06


def test_paired_intervals_over_seeds_alone_tell_equal_entries_apart(make_world: MakeWorld) -> None:
    """What the best of twelve is spared: each compared with it as if it had been named before."""
    rng, told = np.random.default_rng(0), 0
    for _ in range(100):
        scores = make_world(rng, **OFTEN).scores
        differences = scores[scores.mean(1).argmax()] - scores
        halves = t.ppf(0.975, 2) * differences.std(axis=1, ddof=1) / np.sqrt(3)
        told += bool((differences.mean(axis=1) > halves + 1e-12).any())
    assert told > 40


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLDS)
def test_equal_entries_of_every_world(make_world: MakeWorld, name: str) -> None:
    """The figures of docs/statistics.md."""
    share = share_told_apart(make_world, WORLDS[name], worlds=500, draws=400)
    print(f"{name}: {share:.1%}")
    assert share <= 0.06


def test_real_differences_are_found(make_world: MakeWorld) -> None:
    """Of twelve entries six are behind by 0.6 of a standard deviation of a row, ten points or so."""
    rng, behind = np.random.default_rng(1), np.repeat([0.0, 0.6], 6)
    found, false = 0, 0
    for seed in range(30):
        called = worse(make_world(rng, **OFTEN, behind=behind), 200, seed)
        found += sum(entry >= 6 for entry in called)
        false += any(entry < 6 for entry in called)
    assert found / (30 * 6) > 0.8
    assert false <= 2


def test_of_rows_alone_it_is_tukeys_range(make_world: MakeWorld) -> None:
    """Closed forms on many rows: the critical value is that of the studentised range, as far as errors are alike."""
    table = make_world(np.random.default_rng(0), rows=2000, fixed=12)
    wanted = studentized_range.ppf(0.95, 12, np.inf) / np.sqrt(2)
    assert critical_value(table, 0.95) == pytest.approx(wanted, rel=0.03)


def test_two_of_36_rows_tell_nothing_apart() -> None:
    """Five closed forms without any spread over seeds, as of 178 wines of which 36 are tested on."""
    right = np.ones((5, 3, 36))
    right[3, :, :1], right[4, :, :2] = 0, 0
    gaps = gaps_to_best(ScoreTable(right.mean(2), right, fraction=True), 0, True, 0.95)
    assert [gap.mean for gap in gaps] == pytest.approx([0, 0, 0, 1 / 36, 2 / 36])
    assert not any(gap.distinguishable for gap in gaps)
    right[4, :, :18] = 0
    gaps = gaps_to_best(ScoreTable(right.mean(2), right, fraction=True), 0, True, 0.95)
    assert [gap.distinguishable for gap in gaps] == [False] * 4 + [True]


def test_rows_of_a_group_count_as_one(make_world: MakeWorld) -> None:
    """Ten rows of each person that are all right or all wrong tell no more than one of each."""
    alone = make_world(np.random.default_rng(0), rows=60, entries=3, fixed=3)
    assert alone.rows is not None
    repeated = ScoreTable(alone.scores, alone.rows.repeat(10, axis=2), np.arange(60).repeat(10))
    assert components(repeated).rows == pytest.approx(components(alone).rows)
    assert pair_variance(components(repeated)) == pytest.approx(pair_variance(replace(components(alone), smallest=0.0)))
    naive = pair_variance(components(replace(repeated, groups=None)))
    assert naive == pytest.approx(pair_variance(components(repeated)) / 10, rel=0.05)


def test_errors_of_draws_are_those_of_the_components(make_world: MakeWorld) -> None:
    table = make_world(np.random.default_rng(0), rows=300, entries=4, own=0.2, shared=0.2)
    parts = components(table)
    draws = np.concatenate([draw.errors for draw in joint_draws(parts, 6000)])
    first, second = np.triu_indices(4, 1)
    assert (draws[:, first] - draws[:, second]).var(axis=0) == pytest.approx(pair_variance(parts), rel=0.15)
    again = np.concatenate([draw.errors for draw in joint_draws(parts, 6000)])
    assert np.array_equal(draws, again)


def test_splits_that_share_training_rows_are_no_independent_trials() -> None:
    """Nadeau & Bengio (2003): of ten splits the variance is (1/10 + 1/4) s², where a fifth of the rows is tested on."""
    scores = np.random.default_rng(0).normal(0.8, 0.02, (2, 10))
    alone, shared = (pair_variance(components(ScoreTable(scores, overlap=overlap)))[0] for overlap in (0.0, 0.25))
    spread = (scores[0] - scores[1]).var(ddof=1)
    assert alone == pytest.approx(spread / 10)
    assert shared == pytest.approx(spread * (1 / 10 + 1 / 4))


def test_without_rows_and_with_one_seed_nothing_is_known() -> None:
    gaps = gaps_to_best(ScoreTable(np.array([[0.9], [0.5]])), 0, True, 0.95)
    assert [(gap.mean, gap.error, gap.half) for gap in gaps] == [(0.0, None, None), (pytest.approx(0.4), None, None)]


def test_less_is_better_of_an_error() -> None:
    scores = np.array([[1.0, 1.1, 0.9], [2.0, 2.2, 1.9]])
    gaps = gaps_to_best(ScoreTable(scores), 0, higher_is_better=False, confidence=0.95)
    assert gaps[1].mean == pytest.approx((2.0 + 2.2 + 1.9 - 3) / 3)
    assert gaps[1].distinguishable


def test_a_seed_that_failed_is_left_out_of_the_spread() -> None:
    scores = np.array([[0.9, 0.8, 0.85, 0.7], [0.88, 0.79, 0.82, np.nan]])
    parts = components(ScoreTable(scores))
    assert parts.count == 3
    assert parts.means == pytest.approx([0.8125, 0.83])
    assert parts.share == pytest.approx(1 / 3)
