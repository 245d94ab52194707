"""Exhibits, which people rather look at than read: items, what was found for what, matrices, and scatters."""

from dataclasses import dataclass
from typing import Any, Literal

from manyways.comparison.records import Record
from manyways.errors import DataError

Kind = Literal["image", "text", "audio", "table"]


def check_payload(kind: Kind, payload: str | dict[str, Any], where: str) -> None:
    """Raise DataError unless `payload` is what a row of `kind` is shown by."""
    start = {"image": "data:image/", "audio": "data:audio/", "text": "", "table": None}[kind]
    fits = isinstance(payload, dict)
    if start is not None:
        fits = isinstance(payload, str) and payload.startswith(start)
    if not fits:
        wanted = "a dict" if start is None else f"a string that starts with {start!r}"
        raise DataError(f"{where} of the kind {kind!r} must be {wanted}; got {repr(payload)[:60]}.")


@dataclass(frozen=True)
class Item(Record):
    """Something to look at: a picture, a sound, a text or a row, with a word on it.

    `payload` as in `Mistake`. `right` says whether it is what it should be; None where that is not asked.
    """

    kind: Kind
    payload: str | dict[str, Any]
    caption: str = ""
    right: bool | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_payload(self.kind, self.payload, "Item.payload")


@dataclass(frozen=True)
class Hits(Record):
    """A query, and the items that were found for it, the best first."""

    asked: Item
    found: tuple[Item, ...]


@dataclass(frozen=True)
class Matrix(Record):
    """Numbers by `rows` and `columns`, `values[row][column]`; None leaves a cell empty. `percent`: fractions of 1."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    row_title: str = ""
    column_title: str = ""
    percent: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if [len(row) for row in self.values] != [len(self.columns)] * len(self.rows):
            raise DataError(f"Matrix.values must be {len(self.rows)} rows of {len(self.columns)} numbers.")


MOST_GROUPS = 16


@dataclass(frozen=True)
class Scatter(Record):
    """Points in the plane, each of one of `groups`, or of none (−1), and the item that each stands for, where known.

    Places are in [0, 1], y upwards. `grouped_by` says in words what the groups are.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    group: tuple[int, ...]
    groups: tuple[str, ...] = ()
    grouped_by: str = ""
    items: tuple[Item, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        count = len(self.x)
        if (len(self.y), len(self.group)) != (count, count) or len(self.items) not in (0, count):
            raise DataError(
                f"Scatter must hold a y and a group for each of {count} x, and an item for each or for none."
            )
        if any(value is None or not 0 <= value <= 1 for value in (*self.x, *self.y)):
            raise DataError("Scatter.x and Scatter.y must be numbers in [0, 1].")
        if len(self.groups) > MOST_GROUPS or not all(-1 <= group < len(self.groups) for group in self.group):
            raise DataError(f"Scatter.group must be positions in its groups, at most {MOST_GROUPS}, or -1.")


@dataclass(frozen=True)
class Exhibit(Record):
    """Things to look at rather than read about: a grid of items, what was found for what, a matrix, or a scatter."""

    title: str
    note: str = ""
    items: tuple[Item, ...] = ()
    hits: tuple[Hits, ...] = ()
    matrix: Matrix | None = None
    scatter: Scatter | None = None
