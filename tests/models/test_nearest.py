"""NearestRows: those that a comparison of all rows with all finds."""

import pytest
import torch
from torch import Tensor

from manyways.models.nearest import DIRECTIONS, NearestRows
from manyways.randomness import generator


def by_comparing_all(queries: Tensor, rows: Tensor, count: int) -> Tensor:
    return torch.cdist(queries.double(), rows.double()).topk(count, largest=False).indices


def fitted(rows: Tensor) -> NearestRows:
    near = NearestRows(*rows.shape)
    near.fit(rows)
    return near


@pytest.mark.parametrize("count", [1, 5, 40])
@pytest.mark.parametrize("shape", [(40, 3), (700, 20), (5003, DIRECTIONS)])
def test_up_to_so_many_numbers_it_is_exact(shape: tuple[int, int], count: int) -> None:
    rows = 3 + torch.randn(shape, generator=generator(0))
    queries = 3 + torch.randn(90, shape[1], generator=generator(1))
    assert torch.equal(fitted(rows)(queries, count), by_comparing_all(queries, rows, count))


def test_a_row_is_the_nearest_to_itself() -> None:
    rows = 100 + 0.01 * torch.randn(3000, 200, generator=generator(0))
    assert fitted(rows)(rows, 3)[:, 0].tolist() == list(range(3000))


def test_wide_rows_with_structure_are_found_along_their_components() -> None:
    """Rows around a surface of 20 dimensions, as images are around one of few."""
    surface = torch.randn(20, 300, generator=generator(0))
    rows = torch.randn(4000, 20, generator=generator(1)) @ surface + torch.randn(4000, 300, generator=generator(2))
    found, truth = fitted(rows)(rows[:500], 8), by_comparing_all(rows[:500], rows, 8)
    same = (found[:, :, None] == truth[:, None]).any(2).float().mean()
    assert float(same) > 0.99


def test_the_distances_compared_are_the_full_ones() -> None:
    """Two rows that no component tells apart: the nearer one comes first."""
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
