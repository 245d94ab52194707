"""Scatters: what a page holds of them, once, escaped; and damaged ones, which are refused."""

import json
import re
from dataclasses import replace
from html import unescape
from typing import Any

import pytest

from manyways.comparison.exhibits import Exhibit, Item, Scatter
from manyways.comparison.report import render_report
from manyways.comparison.report.exhibits import shelves
from manyways.comparison.report.scatters import Sheet, dots, points
from manyways.comparison.results import Comparison
from manyways.errors import DataError

pytestmark = pytest.mark.quick

PIXEL = "data:image/png;base64,AAAA"
EVIL = '</div><script>alert("x")</script>'


def _scatter(**changes: Any) -> Scatter:
    values: dict[str, Any] = {
        "x": (0.0, 0.5, 1.0),
        "y": (0.0, 1.0, 0.25),
        "group": (0, 1, -1),
        "groups": ("coat", EVIL),
        "grouped_by": "label",
        "items": (Item("image", PIXEL), Item("text", EVIL), Item("table", {"a<b": "c&d"})),
    }
    return Scatter(**{**values, **changes})


def test_each_group_is_a_path_of_dots_upside_down() -> None:
    none, coat, other = dots(_scatter())
    assert (none.name, none.colour, none.path) == ("", 0, "M1000 750h0")
    assert (coat.name, coat.colour, coat.hollow, coat.path) == ("coat", 1, False, "M0 1000h0")
    assert (other.colour, other.count) == (2, 1)
    ninth = _scatter(group=(8, 8, 8), groups=tuple("abcdefghi"))
    assert [(each.colour, each.hollow) for each in dots(ninth)] == [(1, True)]


def test_rows_stand_once_on_a_page(one_entry: Comparison) -> None:
    """Two entries that show the same rows share what is seen of them."""
    sheet = Sheet()
    first, again = (json.loads(points(_scatter(), sheet)) for _ in range(2))
    assert first == again == [[0, 1000, 0, 0], [500, 0, 1, 1], [1000, 750, -1, 2]]
    assert len(sheet.rows) == 3
    named = _scatter(items=(Item("image", PIXEL, "class 7"), Item("text", EVIL), Item("text", "a")))
    assert json.loads(points(named, sheet))[0] == [0, 1000, 0, 0, "class 7"]
    large = _scatter(items=tuple(Item("image", PIXEL + "A" * 900 + str(at)) for at in range(3)))
    exhibits = tuple(Exhibit(f"Map {at}", scatter=large) for at in range(4))
    both = replace(one_entry, entries=tuple(replace(entry, exhibits=exhibits) for entry in one_entry.entries))
    assert sum(len(shelf.open) for shelf in shelves(both, most=3500)) == 4
    assert sum(len(shelf.open) for shelf in shelves(both, most=2000)) == 0


@pytest.fixture
def one_entry() -> Comparison:
    from manyways.comparison.results import DataSummary, Entry, Machine

    data = DataSummary("d", "d", "f", 3, 2, 1, 0, 0, "", "clustering", None, ())
    entry = Entry(
        "kmeans", "kmeans", score=0.5, scores=(0.5,), exhibits=(Exhibit("Map", "A map.", scatter=_scatter()),)
    )
    machine = Machine(1, 1, "3", "2", "here")
    return Comparison(data, "silhouette", True, None, "5 steps", (0,), machine, "0", "", 1.0, (entry,), ())


def test_a_page_is_escaped_and_its_data_can_be_read_back(one_entry: Comparison) -> None:
    page = render_report(one_entry)
    assert EVIL not in page
    rows, groups, places = (
        json.loads(unescape(found[1]))
        for name in ("rows", "groups", "points")
        if (found := re.search(f'data-{name}="([^"]*)"', page))
    )
    assert rows == [["image", PIXEL], ["text", EVIL], ["table", {"a<b": "c&d"}]]
    assert groups == ["coat", EVIL]
    assert places == [[0, 1000, 0, 0], [500, 0, 1, 1], [1000, 750, -1, 2]]
    assert "3 rows in the plane, by label: 1 coat" in page


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"x": (0.0, 0.5)}, "a y and a group for each of 2 x"),
        ({"items": (Item("text", "a"),)}, "an item for each or for none"),
        ({"x": (0.0, 0.5, 1.5)}, r"numbers in \[0, 1\]"),
        ({"y": (0.0, float("nan"), 1.0)}, r"numbers in \[0, 1\]"),
        ({"group": (0, 1, 2)}, "positions in its groups"),
        ({"group": (0, 1, -2)}, "positions in its groups"),
        ({"groups": tuple(map(str, range(17)))}, "at most 16"),
    ],
)
def test_damaged_scatters_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        _scatter(**changes)


def test_saved_scatters_are_read_back_and_damage_is_named() -> None:
    saved = json.loads(json.dumps(Exhibit("Map", scatter=_scatter()).to_json()))
    assert Exhibit.from_json(saved).scatter == _scatter()
    saved["scatter"]["items"][0]["payload"] = "javascript:alert(1)"
    with pytest.raises(DataError, match="must be a string that starts with 'data:image/'"):
        Exhibit.from_json(saved)
    saved["scatter"] = {**_scatter().to_json(), "x": [0.0, "0.5", 1.0]}
    with pytest.raises(DataError, match=r"scatter\.x\[1\] must be"):
        Exhibit.from_json(saved)
