"""NearestRows: those that a comparison of all rows with all finds."""

import pytest
import torch
from torch import Tensor

from manyways.models.nearest import NearestRows
from manyways.randomness import generator


def by_comparing_all(queries: Tensor, rows: Tensor, count: int) -> Tensor:
    return torch.cdist(queries.double(), rows.double()).topk(count, largest=False).indices


def fitted(rows: Tensor) -> NearestRows:
    near = NearestRows(*rows.shape)
    near.fit(rows)
    return near


@pytest.mark.parametrize("count", [1, 5, 40])
@pytest.mark.parametrize("shape", [(40, 3), (700, 20), (5003, 64), (3001, 300)])
def test_neighbours_are_those_that_comparing_all_finds(shape: tuple[int, int], count: int) -> None:
    rows = 3 + torch.randn(shape, generator=generator(0))
    queries = 3 + torch.randn(90, shape[1], generator=generator(1))
    assert torch.equal(fitted(rows)(queries, count), by_comparing_all(queries, rows, count))


def test_rows_far_from_zero_and_near_each_other_are_told_apart() -> None:
    rows = 100 + 0.01 * torch.randn(3000, 200, generator=generator(0))
    queries = 100 + 0.01 * torch.randn(90, 200, generator=generator(1))
    assert torch.equal(fitted(rows)(queries, 8), by_comparing_all(queries, rows, 8))


def test_a_row_is_the_nearest_to_itself() -> None:
    rows = 100 + 0.01 * torch.randn(3000, 200, generator=generator(0))
    assert fitted(rows)(rows, 3)[:, 0].tolist() == list(range(3000))


def test_saved_and_loaded_it_finds_the_same() -> None:
    """Also where it had been asked about other rows before."""
    near, other = fitted(torch.randn(300, 70, generator=generator(0))), fitted(torch.ones(300, 70))
    queries = torch.randn(20, 70, generator=generator(1))
    other(queries, 3)
    other.load_state_dict(near.state_dict())
    assert torch.equal(other(queries, 3), near(queries, 3))


def test_the_distances_compared_are_the_full_ones() -> None:
    """Two rows that differ by less than a product of matrices rounds: the nearer one comes first."""
    rows = torch.zeros(2000, 100)
    rows[:, :70] = torch.randn(2000, 70, generator=generator(0))
    rows[0, :70] = rows[1, :70]
    rows[0, 99], rows[1, 99] = 1e-3, -1e-3
    query = rows[:1].clone()
    query[0, 99] = -2e-3
    assert fitted(rows)(query, 2).tolist() == [[1, 0]]


def test_rows_that_vary_along_few_directions() -> None:
    """Counts of words in few sentences, of which most words are in none."""
    words = torch.zeros(155, 154)
    words[:, :44] = torch.rand(155, 44, generator=generator(0)).lt(0.1).float()
    assert torch.equal(fitted(words)(words, 1)[:, 0], by_comparing_all(words, words, 1)[:, 0])


def test_no_queries_have_no_neighbours() -> None:
    assert fitted(torch.randn(10, 4))(torch.zeros(0, 4), 3).shape == (0, 3)
