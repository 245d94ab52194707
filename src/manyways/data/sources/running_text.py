"""Running text in a file: a row per piece, which join to the whole again."""

from pathlib import Path
from typing import Any

from manyways.data.sources.base import Options, RawColumn, Table, plain_name, suffix, table_of
from manyways.data.sources.objects import as_objects
from manyways.data.sources.text_files import check_utf8, open_binary
from manyways.errors import DataError

ORDER = 45
ENDINGS = frozenset({".txt", ".md"})
PIECE = 2000
"""Characters: a piece is cut at the first empty line, or else the first line break, after so many."""


def accepts(source: Any) -> bool:
    """A .txt or .md file, also gzipped."""
    return isinstance(source, Path) and source.is_file() and suffix(source) in ENDINGS


def load(source: Path, options: Options) -> Table:
    """The pieces of the file in the column `text`, line breaks included. Raises DataError where it is empty."""
    try:
        with open_binary(source) as file:
            text = file.read().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        check_utf8(source)
        raise
    if not text.strip():
        raise DataError(f"{source} is empty; it needs text to learn from.")
    return table_of([RawColumn("text", as_objects(pieces(text)), "text")], plain_name(source), str(source))


def pieces(text: str) -> list[str]:
    """`text` cut behind empty lines into pieces of about 2,000 characters; joined they are `text`."""
    found: list[str] = []
    at = 0
    while at < len(text):
        end = text.find("\n\n", at + PIECE)
        line = text.find("\n", at + 2 * PIECE)
        end = end + 2 if end >= 0 and (line < 0 or end < line) else line + 1 if line >= 0 else len(text)
        found.append(text[at:end])
        at = end
    return found
