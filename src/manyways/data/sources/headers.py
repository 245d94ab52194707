"""Headers: whether the first row of a table of strings names its columns."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from manyways.data.notation import MISSING_WORDS, Written

if TYPE_CHECKING:
    import polars as pl

LOOKED_AT = 1000
"""Rows that are looked at to tell a header from a row of values."""
CERTAIN = 3
"""What a word above numbers weighs, and the word label; a word that none of a few values is weighs 1."""
FEWEST = 3
"""Numbers that must lie below others for these to be far away from them, and numbers that count columns."""
SHOWN = 4


@dataclass(frozen=True)
class FirstRow:
    """What the first row is: names, or values; of values `why`, and whether it is doubtful, as words are among them."""

    names: bool
    why: str = ""
    doubtful: bool = False


@dataclass(frozen=True)
class _Vote:
    """How much a cell speaks for a row of names, and why it speaks against it; a number may yet be a name."""

    weight: int
    why: str = ""
    number: float | None = None


def first_row(frame: "pl.DataFrame", asked: Collection[str]) -> FirstRow:
    """Tell whether the first row of `frame`, all strings, names its columns.

    It does where one of the names `asked` for stands in it. Else its cells vote: a word above a column of numbers, the
    word label, and a word that is none of the few values below it speak for names; a number, and a value that comes
    again below it, for a row of values. Numbers that lie far outside of those below them (2019, 2020 above shares) and
    the numbers 0, 1, 2, … of unnamed columns may be names.
    """
    first = ["" if cell is None else cell.strip() for cell in frame.row(0)]
    if not set(asked).isdisjoint(first):
        return FirstRow(True)
    rest = frame.slice(1, LOOKED_AT)
    if frame.width > 1:  # of files joined end to end the header comes again
        rest = rest.filter(~is_row(rest, frame.row(0)))
    below = [_known(column) for column in rest]
    votes = [_vote(cell, column) for cell, column in zip(first, below, strict=True)]
    numbers = [at for at, vote in enumerate(votes) if vote.number is not None]
    if _are_names([first[at] for at in numbers], [below[at] for at in numbers]):
        votes = [vote for vote in votes if vote.number is None]
    against = [vote for vote in votes if vote.weight < 0]
    if not against or sum(vote.weight for vote in votes) > 0:
        return FirstRow(True)
    shown = ", ".join(map(repr, first[:SHOWN])) + (", …" if len(first) > SHOWN else "")
    why = f"the first row ({shown}) was read as values, as {against[0].why}"
    return FirstRow(False, why, any(cell and at not in numbers for at, cell in enumerate(first)))


def is_row(frame: "pl.DataFrame", row: Sequence[str | None]) -> "pl.Series":
    """Tell which rows of `frame` are the same as `row`."""
    import polars as pl

    same = [pl.col(name).eq_missing(pl.lit(cell, pl.String)) for name, cell in zip(frame.columns, row, strict=True)]
    return frame.select(pl.all_horizontal(same).alias("same")).to_series()


def _vote(cell: str, below: "pl.Series") -> _Vote:
    if cell.lower() in MISSING_WORDS:
        return _Vote(0)
    if (number := _number(cell)) is not None:
        return _Vote(-1, f"{cell!r} is a number", number)
    if cell.lower() == "label" or (len(below) and _numbers(below) is not None):
        return _Vote(CERTAIN)
    if (below == cell).any():
        return _Vote(-1, f"{cell!r} comes again in its column")
    return _Vote(1 if len(below) and 2 * below.n_unique() <= len(below) else 0)


def _are_names(cells: Sequence[str], below: "Sequence[pl.Series]") -> bool:
    """Whether numbers in a first row are names: 0, 1, 2, … as pandas writes them, or all far from those below them."""
    if len(cells) >= FEWEST and list(cells) == [str(at) for at in range(len(cells))]:
        return not any((column == cell).any() for cell, column in zip(cells, below, strict=True))
    return len(cells) > 1 and all(_is_far(cell, column) for cell, column in zip(cells, below, strict=True))


def _is_far(cell: str, below: "pl.Series") -> bool:
    value, values = _number(cell), _numbers(below)
    if value is None or values is None or len(values) < FEWEST:
        return False
    low, high = float(values.min()), float(values.max())  # type: ignore[arg-type]
    return value < low - (high - low) or value > high + (high - low)


def _number(cell: str) -> float | None:
    import polars as pl

    values = _numbers(pl.Series([cell]))
    value = None if values is None else float(values[0])
    return value if value is not None and abs(value) < float("inf") else None


def _numbers(cells: "pl.Series") -> "pl.Series | None":
    """The cells as numbers; None where one is none."""
    import polars as pl

    plain = cells.cast(pl.Float64, strict=False)
    if not plain.null_count():
        return plain
    written = Written.of(cells)
    return written.numbers(written.decimals[0]) if written.decimals else None


def _known(column: "pl.Series") -> "pl.Series":
    """The cells of a column, trimmed, that are not missing."""
    bare = column.drop_nulls().str.strip_chars()
    return bare.filter(~bare.str.to_lowercase().is_in(list(MISSING_WORDS)))
