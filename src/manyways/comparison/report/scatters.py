"""Scatters of rows as SVG: a path of dots for each group, and what a pointer sees, once for the whole page."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from manyways.comparison.exhibits import Exhibit, Item, Scatter
from manyways.comparison.report.colours import PALETTE_LIGHT

SIDE = 1000
"""Of the square that dots are placed in."""


@dataclass(frozen=True)
class Dots:
    """The dots of a group: its name, the number of its colour, True for `hollow` ones, and their path."""

    name: str
    colour: int
    hollow: bool
    path: str
    count: int


@dataclass
class Sheet:
    """All rows that scatters of a page show, each once: thumbnails are most of what they take."""

    items: dict[str, int] = field(default_factory=dict)
    rows: list[list[Any]] = field(default_factory=list)

    def place(self, item: Item) -> int:
        """The number of `item`, whose caption is that of its point and not of the row."""
        key = json.dumps([item.kind, item.payload])
        if key not in self.items:
            self.items[key] = len(self.rows)
            self.rows.append([item.kind, item.payload])
        return self.items[key]

    def to_text(self) -> str:
        """The rows as JSON."""
        return json.dumps(self.rows, ensure_ascii=False, separators=(",", ":"))


def dots(scatter: Scatter) -> list[Dots]:
    """The groups of `scatter` in their order, and what has none first, in grey."""
    given: dict[int, list[str]] = {}
    for x, y, group in zip(scatter.x, scatter.y, scatter.group, strict=True):
        given.setdefault(group, []).append(f"M{round(SIDE * x)} {round(SIDE * (1 - y))}h0")
    return [
        Dots(
            scatter.groups[group] if group >= 0 else "",
            group % len(PALETTE_LIGHT) + 1 if group >= 0 else 0,
            group >= len(PALETTE_LIGHT),
            "".join(given[group]),
            len(given[group]),
        )
        for group in sorted(given)
    ]


def points(scatter: Scatter, sheet: Sheet) -> str:
    """The points as JSON: [x, y, group, number of the row in `sheet` or −1, caption where the row has one].

    Places are in thousandths, y downwards.
    """
    given = []
    for at, (x, y, group) in enumerate(zip(scatter.x, scatter.y, scatter.group, strict=True)):
        item = scatter.items[at] if scatter.items else None
        caption = [item.caption] if item is not None and item.caption else []
        number = -1 if item is None else sheet.place(item)
        given.append([round(SIDE * x), round(SIDE * (1 - y)), group, number, *caption])
    return json.dumps(given, ensure_ascii=False, separators=(",", ":"))


def words(scatter: Scatter) -> str:
    """The scatter in words, for who does not see it."""
    groups = [f"{each.count} {each.name}" for each in dots(scatter) if each.name]
    by = f", by {scatter.grouped_by}: {', '.join(groups)}" if groups else ""
    return f"{len(scatter.x)} rows in the plane{by}."


def new_items(exhibit: Exhibit, known: set[str]) -> Iterator[Item]:
    """The items of the scatter of `exhibit` that no other on the page has shown; `known` are those that have been."""
    for item in _items(exhibit.scatter):
        key = json.dumps([item.kind, item.payload])
        if key not in known:
            known.add(key)
            yield item


def _items(scatter: Scatter | None) -> Sequence[Item]:
    return scatter.items if scatter is not None else ()
