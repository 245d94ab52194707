"""CSV and TSV files as frames of strings; nothing is guessed but the header and the separator."""

import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manyways.data.phrases import count_of, listed_names
from manyways.data.sources.base import suffix
from manyways.data.sources.headers import first_row, rows_like
from manyways.data.sources.limits import BLOCK, check_memory, check_table, read_whole, reason
from manyways.data.sources.text_files import check_utf8, is_marked, open_binary
from manyways.errors import DataError

if TYPE_CHECKING:
    import polars as pl

SEPARATORS = ",;\t|"
BEGINNING = 1 << 16
"""Bytes that are looked at to tell the separator, and how lines end."""
EXCEL = re.compile(rb'(?:\xef\xbb\xbf)?"?sep=([^\r\n])"?\r?(?:\n|$|(?=\r))', re.IGNORECASE)
"""A first line by which Excel is told the separator."""
CELL = 32
"""Bytes of memory that a cell takes beside its text."""
SHOWN = 5


@dataclass(frozen=True, eq=False)
class Strings:
    """A file as a frame of strings; `separator` is what stands between its cells.

    Attributes:
        headless: Reason why the first row was read as values, where nobody said so.
        doubtful: True if it may name the columns.
    """

    frame: "pl.DataFrame"
    separator: str
    headless: str = ""
    doubtful: bool = False


@dataclass(frozen=True)
class _Form:
    """The form of a file.

    named: whether its first line only names the separator; foreign: whether polars cannot read it as it is, since its
    lines end in CR or it is not UTF-8.
    """

    separator: str
    named: bool
    foreign: bool


def read(path: Path, header: bool | None, wanted: Collection[str] = ()) -> Strings:
    """The file as a frame of strings, null where a cell is empty; a TSV's quotes are taken literally.

    `header` None: whether the first row names the columns is told by the names `wanted`, and else by its cells
    (`first_row`); columns are named column_0, column_1, … where there is none. Blank lines are left out, and a first
    line such as sep=; says the separator. Lines may end in CR, and a mark at the beginning says that a file is UTF-16.
    Raises DataError for an empty file, rows of unequal length, bytes that are not UTF-8, two columns of one name, and
    a header that comes again.
    """
    import polars as pl

    empty = f"{path} is empty; it needs a header and at least one row."
    if path.stat().st_size == 0:
        raise DataError(empty)
    form = _form(path)
    quote = None if form.separator == "\t" else '"'
    content = _content(path, form)
    _check_size(content, path, form)
    try:
        frame = pl.read_csv(
            content,
            has_header=False,
            infer_schema=False,
            separator=form.separator,
            quote_char=quote,
            skip_rows=int(form.named),
            glob=False,
        )
    except pl.exceptions.NoDataError as error:
        raise DataError(empty) from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        check_utf8(path)
        _check_lengths(path, form)
        raise DataError(
            f"{path} cannot be read as a table: {reason(error)}. Check its quotes and separators."
        ) from error
    # A row that is too short reads as nulls at its end, and so does a blank line.
    if frame.to_series(-1).null_count():
        blank = _check_lengths(path, form)
        if blank:
            frame = frame.with_row_index("\0row").filter(~pl.col("\0row").is_in(blank)).drop("\0row")
    if not len(frame):
        raise DataError(empty)
    check_table(len(frame), frame.width, str(path))
    first = frame.row(0)
    first_is = first_row(frame, frozenset(wanted)) if header is None else None
    if header or (first_is is not None and first_is.names):
        frame = frame.slice(1)
        if not len(frame):
            raise DataError(f"{path} has a header and no rows below it; at least one is needed.")
        if frame.width > 1 and len(rows_like(frame, first)):
            raise DataError(_repeated(path, form, first))
        names = [None if name is None else name.strip() for name in first]
    else:
        names = [None] * len(first)
    frame.columns = _named(names, path)
    return Strings(frame, form.separator, first_is.why if first_is else "", first_is.doubtful if first_is else False)


def _named(given: list[str | None], path: Path) -> list[str]:
    names = [f"column_{number}" if name is None else name for number, name in enumerate(given)]
    if twice := sorted(name for name, count in Counter(names).items() if count > 1):
        raise DataError(
            f"{path} has several columns named {listed_names(twice)}; names must differ. Rename them in its first line."
        )
    return names


def _form(path: Path) -> _Form:
    with open_binary(path) as file:
        beginning = file.read(BEGINNING)
    if b"\0" in beginning:
        raise DataError(_zero_bytes(beginning, path))
    foreign = is_marked(path) or (b"\r" in beginning and b"\n" not in beginning)
    if told := EXCEL.match(beginning):
        return _Form(told[1].decode("ascii", "replace"), True, foreign)
    if suffix(path) == ".tsv":
        return _Form("\t", False, foreign)
    line = re.split(rb"[\r\n]", beginning, maxsplit=1)[0].decode("utf-8", "replace")
    outside = "".join(line.split('"')[::2])
    separator = max(SEPARATORS, key=lambda each: (outside.count(each), -SEPARATORS.index(each)))
    return _Form(separator, False, foreign)


def _zero_bytes(beginning: bytes, path: Path) -> str:
    """The message on text with zero bytes, as UTF-16 has them that does not say so, or that was taken for Latin 1."""
    if beginning.startswith(("\xff\xfe".encode(), "\xfe\xff".encode())):
        return f"{path} was UTF-16 and has been converted as if it were Latin 1. Convert the original: iconv -f utf-16."
    encoding = "utf-16le" if beginning[1::2].count(0) > beginning[::2].count(0) else "utf-16be"
    return (
        f"{path} holds zero bytes, as UTF-16 without its mark at the beginning does. Text must be UTF-8; convert it: "
        f"iconv -f {encoding} -t utf-8 {path.name} > utf8-{path.name}"
    )


def _content(path: Path, form: _Form) -> Path | bytes:
    """The content for polars: the file, or its bytes unpacked within limits, in UTF-8, their lines ended by LF."""
    if not form.foreign:
        return read_whole(path) if path.suffix.lower() == ".gz" else path
    with open_binary(path) as file:
        return re.sub(rb"\r\n?", b"\n", file.read())


def _check_size(content: Path | bytes, path: Path, form: _Form) -> None:
    """Raise DataError for more columns than a table may have, and for more cells than there is memory."""
    separator = form.separator.encode()
    size = cells = 0
    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
        while block := file.read(BLOCK):
            size += len(block)
            cells += block.count(separator) + block.count(b"\n")
            if size == len(block):  # names and numbers of the most columns there may be fit into the first block
                outside = b"".join(block.partition(b"\n")[0].split(b'"')[::2])
                check_table(0, 1 + outside.count(separator), str(path))
    need = size + CELL * cells
    check_memory(need, str(path), f"a table of {count_of(cells, 'cell')}", "Divide it into smaller files.")


@contextmanager
def _cells(path: Path, form: _Form) -> Iterator[Any]:
    """A csv reader over the file behind a line that names the separator, without the module's limit on a cell."""
    limit = csv.field_size_limit(1 << 30)
    try:
        with open_binary(path) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
            quoting: Any = csv.QUOTE_NONE if form.separator == "\t" else csv.QUOTE_MINIMAL
            if form.named:
                text.readline()
            yield csv.reader(text, delimiter=form.separator, quoting=quoting, strict=True)
    finally:
        csv.field_size_limit(limit)


def _check_lengths(path: Path, form: _Form) -> list[int]:
    """The row numbers of blank lines. Raises DataError where a row is longer or shorter than the first."""
    blank: list[int] = []
    width = 0
    wrong: list[tuple[int, int]] = []
    with _cells(path, form) as rows:
        try:
            for number, row in enumerate(rows):
                width = width or len(row)
                if not row:
                    blank.append(number)
                elif len(row) != width:
                    wrong.append((rows.line_num + form.named, len(row)))
        except csv.Error as error:
            raise DataError(
                f"{path}, line {rows.line_num + form.named:,}: {error}. A quote must be closed, and one inside a "
                'quoted cell is written twice: "say ""hi""".'
            ) from error
    if wrong:
        line, count = wrong[0]
        raise DataError(
            f"{path}: {count_of(len(wrong), 'row')} with other than {count_of(width, 'cell')}, which the first line "
            f"has; first line {line:,} with {count}. Quote cells that hold the separator {form.separator!r}, and fill "
            "short rows up."
        )
    return blank


def _repeated(path: Path, form: _Form, header: tuple[str | None, ...]) -> str:
    """The message on a header that comes again, with its lines."""
    lines: list[int] = []
    with _cells(path, form) as rows:
        names = [name or "" for name in header]
        found = (rows.line_num + form.named for row in rows if row == names)
        lines = [line for number, line in enumerate(found) if number > 0]
    shown = ", ".join(f"{line:,}" for line in lines[:SHOWN]) + (", …" if len(lines) > SHOWN else "")
    held = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
    return (
        f"{path}: its header ({held}) comes again in line{'s' if len(lines) > 1 else ''} {shown}, as where "
        "files were joined end to end. Delete it there."
    )
