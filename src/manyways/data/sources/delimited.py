"""CSV and TSV files as frames of strings; nothing is guessed but the header and the separator."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manyways.data.sources.base import count_of, suffix
from manyways.data.sources.text_files import check_utf8, open_binary
from manyways.errors import DataError

if TYPE_CHECKING:
    import polars as pl

SEPARATORS = ",;\t|"
LOOKED_AT = 1000
"""Rows that are looked at to tell a header from a row of values."""


def read(path: Path, header: bool | None) -> "pl.DataFrame":
    """The file as a frame of strings, null where a cell is empty; a TSV's quotes are taken literally.

    `header` None: the first row is a header unless one of its cells is a number, or comes again in its own
    column; columns are named column_0, column_1, … where there is none. Blank lines are left out. Raises
    DataError for an empty file, rows of unequal length, bytes that are not UTF-8, and two columns of one
    name.
    """
    import polars as pl

    separator = _separator(path)
    quote = None if separator == "\t" else '"'
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty; it needs a header and at least one row.")
    try:
        frame = pl.read_csv(
            path, has_header=False, infer_schema=False, separator=separator, quote_char=quote, glob=False
        )
    except pl.exceptions.NoDataError as error:
        raise DataError(f"{path} is empty; it needs a header and at least one row.") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        check_utf8(path)
        _check_lengths(path, separator)
        reason = str(error).splitlines()[0]
        raise DataError(f"{path} cannot be read as a table: {reason}. Check its quotes and separators.") from error
    # A row that is too short reads as nulls at its end, and so does a blank line.
    if frame.to_series(-1).null_count():
        blank = _check_lengths(path, separator)
        if blank:
            frame = frame.with_row_index("\0row").filter(~pl.col("\0row").is_in(blank)).drop("\0row")
    if not len(frame):
        raise DataError(f"{path} is empty; it needs a header and at least one row.")
    names = list(frame.row(0))
    if header if header is not None else _is_header(frame):
        frame = frame.slice(1)
        if not len(frame):
            raise DataError(f"{path} has a header and no rows below it; at least one is needed.")
    else:
        names = [None] * len(names)
    frame.columns = [f"\0{number}" for number in range(len(names))]
    names = [f"column_{number}" if name is None else name.strip() for number, name in enumerate(names)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(
            f"{path} has several columns named {', '.join(map(repr, twice))}; names must differ. Rename them in its "
            "first line."
        )
    frame.columns = names
    return frame


def _separator(path: Path) -> str:
    if suffix(path) == ".tsv":
        return "\t"
    with open_binary(path) as file:
        line = file.readline(1 << 16).decode("utf-8", "replace")
    outside = "".join(line.split('"')[::2])
    return max(SEPARATORS, key=lambda each: (outside.count(each), -SEPARATORS.index(each)))


def _is_header(frame: "pl.DataFrame") -> bool:
    first, rest = frame.row(0), frame.slice(1, LOOKED_AT)
    if any(cell is not None and rest.to_series(at).eq(cell).any() for at, cell in enumerate(first)):
        return False
    numbers = [cell for cell in first if cell is not None and _is_number(cell)]
    # pandas writes the header 0,1,2,… over columns without names.
    return not numbers or (len(numbers) >= 3 and numbers == [str(at) for at in range(len(numbers))])


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return cell.strip().lower() not in ("nan", "inf", "infinity")


@contextmanager
def _cells(path: Path, separator: str) -> Iterator[Any]:
    """A csv reader over the file, without the module's limit on the length of a cell."""
    limit = csv.field_size_limit(1 << 30)
    try:
        with open_binary(path) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
            if separator == "\t":
                yield csv.reader(text, delimiter=separator, quoting=csv.QUOTE_NONE, strict=True)
            else:
                yield csv.reader(text, delimiter=separator, strict=True)
    finally:
        csv.field_size_limit(limit)


def _check_lengths(path: Path, separator: str) -> list[int]:
    """The row numbers of blank lines. Raises DataError where a row is longer or shorter than the first."""
    blank: list[int] = []
    width = 0
    wrong: list[tuple[int, int]] = []
    with _cells(path, separator) as rows:
        try:
            for number, row in enumerate(rows):
                width = width or len(row)
                if not row:
                    blank.append(number)
                elif len(row) != width:
                    wrong.append((rows.line_num, len(row)))
        except csv.Error as error:
            raise DataError(
                f"{path}, line {rows.line_num:,}: {error}. A quote must be closed, and one inside a quoted cell is "
                'written twice: "say ""hi""".'
            ) from error
    if wrong:
        line, count = wrong[0]
        raise DataError(
            f"{path}: {count_of(len(wrong), 'row')} with other than {count_of(width, 'cell')}, which the first line "
            f"has; first line {line:,} with {count}. Quote cells that hold the separator {separator!r}, and fill short "
            "rows up."
        )
    return blank
