"""Exhibits stand on the report, by title, and obey no text of the data."""

from collections.abc import Callable

import pytest

from manyways.comparison.exhibits import Exhibit, Hits, Item, Matrix
from manyways.comparison.report import render_report
from manyways.comparison.report.exhibits import OPEN, shares, shelves
from manyways.comparison.results import Comparison, Entry
from manyways.errors import DataError

pytestmark = pytest.mark.quick

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
HOSTILE = "<img src=https://example.org/spy.png>"
GRID = Exhibit("What it makes", "Samples.", items=(Item("image", PIXEL, "a cat"), Item("text", HOSTILE)))
FOUND = Exhibit("What it finds", hits=(Hits(Item("text", "red car"), (Item("image", PIXEL, "car", right=True),)),))
TABLE = Exhibit("By task", matrix=Matrix(("first", "second"), ("1", "2"), ((0.9, None), (0.25, 0.8)), "task", "after"))


@pytest.fixture(scope="module")
def comparison(make_entry: Callable[..., Entry], make_comparison: Callable[..., Comparison]) -> Comparison:
    best = make_entry("best", [0.9, 0.91], exhibits=(GRID, FOUND, TABLE))
    return make_comparison(make_entry("other", [0.5, 0.6], exhibits=(TABLE,)), best)


def test_they_are_read_as_they_were_written(comparison: Comparison) -> None:
    assert Comparison.from_json(comparison.to_json()) == comparison


def test_those_of_one_title_stand_together_best_first(comparison: Comparison) -> None:
    found = {shelf.title: [entry.name for entry, _ in shelf.open] for shelf in shelves(comparison)}
    assert found == {"What it makes": ["best"], "What it finds": ["best"], "By task": ["best", "other"]}


def test_many_are_folded(make_entry: Callable[..., Entry], make_comparison: Callable[..., Comparison]) -> None:
    entries = [make_entry(str(at), [0.5 + at / 100], exhibits=(GRID,)) for at in range(OPEN + 2)]
    (shelf,) = shelves(make_comparison(*entries))
    assert [entry.name for entry, _ in shelf.open] == ["5", "4", "3", "2"]
    assert [entry.name for entry, _ in shelf.folded] == ["1", "0"]


def test_they_are_on_the_page(comparison: Comparison) -> None:
    page = render_report(comparison)
    assert page.count(PIXEL) == 2
    assert "<h2>What it finds</h2>" in page
    assert "✓" in page
    assert page.count("25%</td>") == 2
    assert HOSTILE not in page
    assert "&lt;img src=https://example.org/spy.png&gt;" in page


def test_a_colour_follows_the_value() -> None:
    assert TABLE.matrix is not None
    assert [shares(TABLE.matrix)(value) for value in (0.25, 1.0, None)] == [0.25, 1.0, 0.0]
    nats = Matrix(("a",), ("x", "y", "z"), ((2.0, 3.0, 4.0),), percent=False)
    assert [shares(nats)(value) for value in (2.0, 3.0, 4.0)] == [0.0, 0.5, 1.0]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match="2 rows of 1 numbers"):
        Matrix(("a", "b"), ("x",), ((1.0,), (1.0, 2.0)))
    with pytest.raises(DataError, match=r"Item\.payload of the kind 'image' must be a string that starts"):
        Item("image", "https://example.org/spy.png")
