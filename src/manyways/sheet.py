"""CSV that commands write: values as they are, or so that a spreadsheet computes nothing of what they say."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

FORMULA = re.compile(r"[=+\-@\t\r\n]")
"""First characters of a cell that spreadsheets take for a formula."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|-?(inf|nan)")


def as_csv(rows: Iterable[Sequence[Any]], safe: bool) -> str:
    """`rows` as CSV. safe: text that a spreadsheet would take for a formula gets an apostrophe before it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([[guarded(cell) for cell in row] for row in rows] if safe else rows)
    return text.getvalue()


def guarded(cell: Any) -> Any:
    """`cell`, which a spreadsheet shows and does not compute; numbers stay as they are."""
    computed = isinstance(cell, str) and FORMULA.match(cell) and not NUMBER.fullmatch(cell)
    return f"'{cell}" if computed else cell
