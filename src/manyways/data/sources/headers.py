"""Headers: whether the first row of a table of strings names its columns."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from manyways.data.notation import MISSING_WORDS, Written, number_of

if TYPE_CHECKING:
    import polars as pl

LOOKED_AT = 1000
"""Rows that are looked at to tell a header from a row of values."""
CERTAIN = 3
"""The weight of a word above numbers, and the word label; a word that none of a few values is weighs 1."""
FEWEST = 3
"""Numbers that must lie below others for these to be far away from them, and numbers that count columns."""
UNNAMED = re.compile(r"column_\d+")
"""Names of columns without one."""
SHOWN = 4


@dataclass(frozen=True)
class FirstRow:
    """The first row: names, or values; of values `why`, and if it is doubtful, as words are among them."""

    names: bool
    why: str = ""
    doubtful: bool = False


@dataclass(frozen=True)
class _Vote:
    """The vote of a cell for a row of names, and why it speaks against it; a number may yet be a name."""

    weight: int
    why: str = ""
    number: float | None = None


def first_row(frame: "pl.DataFrame", wanted: Collection[str]) -> FirstRow:
    """Tell whether the first row of `frame`, all strings, names its columns.

    It does where one of the names `wanted` stands in it, and does not where one of them is that of a column without
    a name. Else its cells vote: a word above a column of numbers, the
    word label, and a word that is none of the few values below it speak for names; a number, and a value that comes
    again below it, for a row of values. Numbers that lie far outside of those below them (2019, 2020 above shares) and
    the numbers 0, 1, 2, … of unnamed columns may be names.
    """
    first = ["" if cell is None else cell.strip() for cell in frame.row(0)]
    if not set(wanted).isdisjoint(first):
        return FirstRow(True)
    if unnamed := next((name for name in sorted(wanted) if UNNAMED.fullmatch(name)), None):
        return FirstRow(False, f"the first row was read as values, as {unnamed!r} was asked for")
    rest = frame.slice(1, LOOKED_AT)
    if frame.width > 1:  # of files joined end to end the header comes again
        rest = rest[np.setdiff1d(np.arange(len(rest)), rows_like(rest, frame.row(0)))]
    below = _trimmed(rest)
    votes = [
        _vote(cell, column, plain) for cell, column, plain in zip(first, below, _are_plain_numbers(below), strict=True)
    ]
    numbers = [place for place, vote in enumerate(votes) if vote.number is not None]
    if _are_names([first[place] for place in numbers], [below.to_series(place) for place in numbers]):
        votes = [vote for vote in votes if vote.number is None]
    against = [vote for vote in votes if vote.weight < 0]
    if not against or sum(vote.weight for vote in votes) > 0:
        return FirstRow(True)
    shown = ", ".join(map(repr, first[:SHOWN])) + (", …" if len(first) > SHOWN else "")
    why = f"the first row ({shown}) was read as values, as {against[0].why}"
    return FirstRow(False, why, any(cell and place not in numbers for place, cell in enumerate(first)))


def rows_like(frame: "pl.DataFrame", row: Sequence[str | None]) -> NDArray[np.int64]:
    """The numbers of the rows of `frame` that are the same as `row`."""
    import polars as pl

    left = frame.with_row_index("\0row")
    for name, cell in zip(frame.columns, row, strict=True):
        left = left.filter(pl.col(name).eq_missing(pl.lit(cell, pl.String)))
        if not len(left):
            break
    return left["\0row"].to_numpy().astype(np.int64)


def _trimmed(frame: "pl.DataFrame") -> "pl.DataFrame":
    """The cells without spaces around them, null where they are missing: all columns at once."""
    import polars as pl

    bare = frame.select(pl.all().str.strip_chars())
    missing = [pl.col(name).str.to_lowercase().is_in(list(MISSING_WORDS)) for name in bare.columns]
    return bare.select(
        pl.when(gone).then(None).otherwise(pl.col(name)).alias(name)
        for name, gone in zip(bare.columns, missing, strict=True)
    )


def _are_plain_numbers(frame: "pl.DataFrame") -> list[bool]:
    """True for each column that holds nothing but numbers as Python writes them, one at least."""
    import polars as pl

    known = frame.select(pl.all().count()).row(0)
    numbers = frame.select(pl.all().cast(pl.Float64, strict=False).count()).row(0)
    return [count > 0 and count == of for count, of in zip(numbers, known, strict=True)]


def _vote(cell: str, below: "pl.Series", plain: bool) -> _Vote:
    if cell.lower() in MISSING_WORDS:
        return _Vote(0)
    if (number := number_of(cell)) is not None:
        return _Vote(-1, f"{cell!r} is a number", number)
    if cell.lower() == "label" or plain:
        return _Vote(CERTAIN)
    known = below.drop_nulls()
    if (known == cell).any():
        return _Vote(-1, f"{cell!r} comes again in its column")
    if len(known) and _numbers(known) is not None:
        return _Vote(CERTAIN)
    return _Vote(1 if len(known) and 2 * known.n_unique() <= len(known) else 0)


def _are_names(cells: Sequence[str], below: "Sequence[pl.Series]") -> bool:
    """True if numbers in a first row are names: 0, 1, 2, … as pandas writes them, or all far from those below them."""
    if len(cells) >= FEWEST and list(cells) == [str(at) for at in range(len(cells))]:
        return not any((column == cell).any() for cell, column in zip(cells, below, strict=True))
    return len(cells) > 1 and all(_is_far(cell, column) for cell, column in zip(cells, below, strict=True))


def _is_far(cell: str, below: "pl.Series") -> bool:
    value, values = number_of(cell), _numbers(below.drop_nulls())
    if value is None or values is None or len(values) < FEWEST:
        return False
    low, high = float(values.min()), float(values.max())
    return value < low - (high - low) or value > high + (high - low)


def _numbers(cells: "pl.Series") -> NDArray[np.float64] | None:
    """The cells as numbers; None where one is none."""
    written = Written.of(cells)
    return written.numbers(written.decimals[0]).to_numpy().astype(np.float64) if written.decimals else None
