"""Label efficiency: read off hand-made curves, at numbers of labels spread over the logarithm."""

import math
from typing import Any

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from manyways.comparison.label_efficiency import MOST_POINTS, LabelCurve, Worth, isotonic, label_counts, starved

pytestmark = pytest.mark.quick

COUNTS = [10, 100, 1000]


def worth(scores: list[float], score: float, used: int = 10, counts: list[int] = COUNTS, **more: Any) -> Worth:
    """What `score` is worth on a curve without errors."""
    return LabelCurve(counts, np.array(scores), **more).worth(score, used)


def test_between_two_points_the_logarithm_is_read() -> None:
    assert worth([0.5, 0.7, 0.9], 0.8) == Worth(pytest.approx(math.sqrt(100 * 1000)))
    assert worth([0.5, 0.7, 0.9], 0.55) == Worth(pytest.approx(10 ** (1 + 0.25)))


def test_at_a_point_it_is_the_points_own_number() -> None:
    for count, score in zip(COUNTS[1:], [0.7, 0.9], strict=True):
        assert worth([0.5, 0.7, 0.9], score).labels == pytest.approx(count)


def test_beyond_the_end_there_is_no_number() -> None:
    assert worth([0.5, 0.7, 0.9], 0.95) == Worth(note="about 1,000 or more")


def test_it_is_never_below_the_labels_that_were_used() -> None:
    assert worth([0.5, 0.7, 0.9], 0.4) == Worth(10.0, note="no more than the 10 used")
    assert worth([0.5, 0.7, 0.9], 0.7, used=1000) == Worth(1000.0, note="no more than the 1,000 used")


def test_a_dip_is_smoothed_away() -> None:
    """Scores 0.2, 0.6, 0.4, 0.8: those of 10 and 100 labels are pooled to 0.5."""
    pooled = worth([0.2, 0.6, 0.4, 0.8], 0.35, 1, [1, 10, 100, 1000])
    assert pooled.labels == pytest.approx(10**0.5), "halfway from 0.2 to the pooled 0.5"


def test_on_a_plateau_the_fewest_labels_count() -> None:
    assert worth([0.5, 0.9, 0.9], 0.9).labels == pytest.approx(100)


def test_the_nearest_curve_that_never_falls_is_isotonic_regression() -> None:
    curves = np.random.default_rng(0).normal(size=(50, 5))
    wanted = [IsotonicRegression().fit_transform(np.arange(5.0), curve) for curve in curves]
    assert isotonic(curves) == pytest.approx(np.array(wanted))


@pytest.mark.parametrize("scores", [[0.7, 0.9, 0.5], [0.8, 0.8, 0.8]])
def test_a_curve_that_does_not_rise_carries_nothing(scores: list[float]) -> None:
    assert worth(scores, 0.8) == Worth(
        note="not measurable: plain supervision is not better with 1,000 labels than with 10 by more than its noise"
    )


def test_a_rise_within_its_noise_carries_nothing() -> None:
    """0.02 up from 10 to 1,000 labels, with errors of 0.03 at each."""
    errors = np.random.default_rng(0).normal(0, 0.03, (2000, 3))
    assert "than its noise" in worth([0.80, 0.81, 0.82], 0.81, errors=errors).note
    assert worth([0.80, 0.81, 0.82], 0.81, errors=errors / 10).labels is not None


def test_a_starved_curve_carries_nothing() -> None:
    assert starved(COUNTS, [600, 600, 580]) == ""
    reason = starved(COUNTS, [600, 600, 15])
    assert reason.startswith("plain supervision with 1,000 labels took 15 steps a second, and 600 with others")
    assert worth([0.5, 0.7, 0.9], 0.8, starved=reason).note == f"not measurable: {reason}"


def test_the_interval_is_that_of_readings() -> None:
    """Of a straight line over the logarithm, with errors of the entry alone: of the score 0.7 ± 1.96 · 0.02."""
    errors = np.random.default_rng(0).normal(0, 0.02, 20_000)
    curve = LabelCurve(COUNTS, np.array([0.5, 0.7, 0.9]), np.zeros((20_000, 3)))
    found = curve.worth(0.7, 10, errors)
    half = 1.96 * 0.02 / 0.2
    assert found.labels == pytest.approx(100)
    assert (found.low, found.high) == pytest.approx((10 ** (2 - half), 10 ** (2 + half)), rel=0.03)


def test_errors_that_curve_and_entry_share_cancel() -> None:
    """All see the same test rows: where these are hard, they are so for both."""
    shared = np.random.default_rng(0).normal(0, 0.05, 2000)
    found = LabelCurve(COUNTS, np.array([0.5, 0.7, 0.9]), np.repeat(shared[:, None], 3, axis=1)).worth(0.7, 10, shared)
    assert (found.low, found.high) == pytest.approx((100, 100))


def test_the_interval_ends_at_the_labels_used_and_is_open_at_the_end_of_the_curve() -> None:
    errors = np.random.default_rng(0).normal(0, 0.2, 2000)
    curve = LabelCurve(COUNTS, np.array([0.5, 0.7, 0.9]), np.zeros((2000, 3)))
    assert curve.worth(0.7, 40, errors) == Worth(pytest.approx(100), 40.0, None)
    beyond = curve.worth(0.95, 10, errors / 5)
    assert (beyond.labels, beyond.high, beyond.note) == (None, None, "about 1,000 or more")
    assert beyond.low is not None
    assert 300 < beyond.low < 1000


@pytest.mark.parametrize("curve", [([], []), ([40], [0.8])])
def test_one_point_is_no_curve(curve: tuple[list[int], list[float]]) -> None:
    assert worth(curve[1], 0.8, counts=curve[0]).note.startswith("not measurable")


def test_counts_go_from_the_labels_shown_to_all_that_are_known() -> None:
    counts = label_counts(40, 1438, 10)
    assert (counts[0], counts[-1]) == (40, 1438)
    assert 3 <= len(counts) <= MOST_POINTS
    steps = [b / a for a, b in zip(counts, counts[1:], strict=False)]
    assert max(steps) / min(steps) < 1.05, "the steps are not even in the logarithm"


def test_few_more_labels_than_shown_need_few_points() -> None:
    assert label_counts(40, 80, 10) == [40, 80]
    assert label_counts(40, 150, 10)[:1] + label_counts(40, 150, 10)[-1:] == [40, 150]
    assert len(label_counts(40, 150, 10)) == 3


@pytest.mark.parametrize("known", [1000, 1100])
def test_where_all_are_shown_the_counts_go_down(known: int) -> None:
    assert label_counts(1000, known, 10) == [125, 250, 500, 1000]


def test_never_fewer_labels_than_classes() -> None:
    assert label_counts(30, 30, 10) == [10, 15, 30]
    assert label_counts(10, 10, 10) == [10]
