"""Rows joined, selected and kept; and the cache that finds them again."""

import numpy as np
import pytest

from manyways.data.sources import rows
from manyways.data.storage import loaded
from manyways.errors import DataError

pytestmark = pytest.mark.quick

A, B = np.arange(12).reshape(4, 3), np.arange(100, 106).reshape(2, 3)


@pytest.mark.parametrize("limit", [0, 1 << 20])
def test_joined_and_selected(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(rows, "IN_MEMORY", limit)
    both = np.concatenate([A, B])
    joined = rows.join([A, B])
    assert isinstance(joined, rows.JoinedRows) == (limit == 0)
    assert joined.shape == (6, 3)
    order = np.array([5, 0, 4, 3, 3, 1])
    assert np.array_equal(joined[order], both[order])
    selected = rows.select(joined, np.array([5, 2, 0]))
    assert len(selected) == 3
    assert np.array_equal(selected[np.array([2, 0])], both[[0, 5]])
    assert np.array_equal(loaded(selected), both[[5, 2, 0]])


def test_rows_out_of_range() -> None:
    joined = rows.JoinedRows([A, B])
    with pytest.raises(IndexError, match=r"must be in \[0, 6\)"):
        joined[np.array([6])]
    with pytest.raises(IndexError, match=r"must be in \[0, 6\)"):
        joined[np.array([-1])]


@pytest.mark.parametrize("limit", [0, 1 << 20])
def test_kept_rows_must_add_up(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(rows, "IN_MEMORY", limit)
    assert np.array_equal(loaded(rows.keep(iter([A, B]), (6, 3), np.int64, "good")), np.concatenate([A, B]))
    for count in (5, 7):
        with pytest.raises(DataError, match="rows"):
            rows.keep(iter([A, B]), (count, 3), np.int64, f"bad{count}")


def test_a_note_without_its_rows_counts_for_nothing() -> None:
    rows.save_note("lonely", {"shape": [1]})
    assert rows.load_note("lonely") is None
