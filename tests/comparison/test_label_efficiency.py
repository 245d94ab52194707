"""Label efficiency: read off hand-made curves, at numbers of labels spread over the logarithm."""

import math

import pytest

from manyways.comparison.label_efficiency import MOST_POINTS, label_counts, labels_needed

pytestmark = pytest.mark.quick

COUNTS = [10, 100, 1000]


def test_between_two_points_the_logarithm_is_read() -> None:
    assert labels_needed(COUNTS, [0.5, 0.7, 0.9], 0.8, True) == (pytest.approx(math.sqrt(100 * 1000)), "")
    assert labels_needed(COUNTS, [0.5, 0.7, 0.9], 0.55, True) == (pytest.approx(10 ** (1 + 0.25)), "")


def test_at_a_point_it_is_the_points_own_number() -> None:
    for count, score in zip(COUNTS, [0.5, 0.7, 0.9], strict=True):
        assert labels_needed(COUNTS, [0.5, 0.7, 0.9], score, True) == (pytest.approx(count), "")


def test_beyond_the_ends_there_is_no_number() -> None:
    assert labels_needed(COUNTS, [0.5, 0.7, 0.9], 0.95, True) == (None, "more than 1,000")
    assert labels_needed(COUNTS, [0.5, 0.7, 0.9], 0.4, True) == (None, "fewer than 10")


def test_errors_count_downwards() -> None:
    assert labels_needed(COUNTS, [3.0, 2.0, 1.0], 1.5, False) == (pytest.approx(math.sqrt(100 * 1000)), "")
    assert labels_needed(COUNTS, [3.0, 2.0, 1.0], 0.5, False) == (None, "more than 1,000")
    assert labels_needed(COUNTS, [3.0, 2.0, 1.0], 4.0, False) == (None, "fewer than 10")


def test_a_dip_is_smoothed_away() -> None:
    """Scores 0.7, 0.9, 0.5 of 10, 100 and 1,000 labels: the last two are pooled to 0.7, and so are all."""
    assert labels_needed(COUNTS, [0.7, 0.9, 0.5], 0.7, True) == (pytest.approx(10), "")
    assert labels_needed(COUNTS, [0.7, 0.9, 0.5], 0.8, True) == (None, "more than 1,000")
    pooled = labels_needed([1, 10, 100, 1000], [0.2, 0.6, 0.4, 0.8], 0.35, True)
    assert pooled == (pytest.approx(10**0.5), ""), "halfway from 0.2 to the pooled 0.5 of 10 and 100 labels"


def test_on_a_plateau_the_fewest_labels_count() -> None:
    assert labels_needed(COUNTS, [0.5, 0.9, 0.9], 0.9, True) == (pytest.approx(100), "")


@pytest.mark.parametrize("curve", [([], []), ([40], [0.8])])
def test_one_point_is_no_curve(curve: tuple[list[int], list[float]]) -> None:
    found, note = labels_needed(*curve, 0.8, True)
    assert found is None
    assert note.startswith("not measurable")


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
