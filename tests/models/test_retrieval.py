"""Ranks of partners: by hand, with repeats, ties and chance."""

import numpy as np
import pytest

from manyways.models.retrieval import nearest, ranks, recall_by_chance, retrieval_metrics

pytestmark = pytest.mark.quick


def unit(*rows: tuple[float, ...]) -> np.ndarray:  # type: ignore[type-arg]
    values = np.array(rows, np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def test_the_nearest_come_first() -> None:
    found = nearest(unit((1, 0), (0, 1)), unit((0, 1), (1, 1), (1, 0)), 2)
    assert found.rows.tolist() == [[2, 1], [0, 1]]
    assert found.similarity == pytest.approx(np.array([[1, 0.5**0.5], [1, 0.5**0.5]]))
    assert nearest(unit((1, 0)), unit((0, 1)), 9).rows.tolist() == [[0]]


def test_ranks_by_hand() -> None:
    asked, found = unit((1, 0), (0, 1), (1, 1)), unit((1, 0.1), (1, 0), (0, 1))
    where, share = ranks(asked, found, np.arange(3), np.arange(3))
    # Of (1, 0) the second is nearest, then its partner; of (0, 1) its partner is the furthest.
    assert where.tolist() == [2, 3, 2.5]
    assert share == pytest.approx(np.full(3, 1 / 3))


def test_what_repeats_is_found_once_and_every_partner_is_right() -> None:
    """Two pictures of one name: the name finds either, and each picture finds the one name among two."""
    pictures, names = unit((1, 0), (0, 1), (-1, 0)), unit((0, 1), (0, 1), (-1, 0))
    same_names = np.array([0, 0, 1])
    where, share = ranks(names, pictures, same_names, np.arange(3))
    assert where.tolist() == [1, 1]
    assert share == pytest.approx([2 / 3, 1 / 3])
    where, _ = ranks(pictures, names, np.arange(3), same_names)
    assert len(where) == 3
    assert where.max() <= 2


def test_a_model_that_tells_nothing_apart_ranks_in_the_middle() -> None:
    same = np.ones((101, 4), np.float32) / 2
    where, share = ranks(same, same, np.arange(101), np.arange(101))
    assert set(where.tolist()) == {51.0}
    scores = retrieval_metrics(where, share, 101)
    assert scores["recall_at_10"] == 0
    assert scores["median_rank"] == 51


@pytest.mark.parametrize(("right", "items", "k"), [(1, 100, 10), (3, 50, 10), (2, 8, 10), (5, 20, 1)])
def test_chance_is_that_of_a_random_draw(right: int, items: int, k: int) -> None:
    rng = np.random.default_rng(0)
    drawn = np.mean([(rng.permutation(items)[:k] < right).any() for _ in range(4000)])
    assert recall_by_chance(np.full(3, right / items), items, k) == pytest.approx(drawn, abs=0.03)


def test_random_vectors_rank_by_chance() -> None:
    rng = np.random.default_rng(0)
    a, b = (unit(*map(tuple, rng.normal(size=(400, 16)))) for _ in range(2))
    where, share = ranks(a, b, np.arange(400), np.arange(400))
    assert (where <= 40).mean() == pytest.approx(recall_by_chance(share, 400, 40), abs=0.05)
