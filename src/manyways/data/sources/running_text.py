"""Running text in files: a row per piece, which join to the whole again."""

from pathlib import Path
from typing import Any

import numpy as np

from manyways.data.parts import TRAINING
from manyways.data.sources.base import Options, Raw, RawColumn, RawTable, alone, part_of, plain_name, suffix
from manyways.data.sources.file_trees import files_below, unread
from manyways.data.sources.limits import check_memory
from manyways.data.sources.text_files import check_utf8, open_binary
from manyways.errors import DataError

ORDER = 45
ENDINGS = frozenset({".txt", ".md"})
NOTES = ENDINGS | {""}
"""Endings of what may lie in a folder of texts: README.md, LICENSE."""
PIECE = 2000
"""Characters: a piece is cut at the first empty line, or else the first line break, after so many."""

LONGEST = 1 << 20
"""Characters after which a piece ends even within a line."""


def accepts(source: Any) -> bool:
    """A .txt or .md file, also gzipped; a folder of .txt files, beside which lie at most notes."""
    if not isinstance(source, Path):
        return False
    if source.is_file():
        return suffix(source) in ENDINGS
    held = [path for path in source.iterdir() if not path.name.startswith(".")]
    return bool(_files(source)) and all(path.is_file() and suffix(path) in NOTES for path in held)


def load(source: Path, options: Options) -> Raw:
    """The pieces of the file, or of a folder's files by name, in the column `text`, line breaks included.

    Files that a folder calls train, validation or test are those parts. Raises DataError where one is empty.
    """
    files = [source] if source.is_file() else _files(source)
    texts = [pieces(_read(path)) for path in files]
    parts = [TRAINING if source.is_file() else part_of(path.name) or TRAINING for path in files]
    text = [piece for each in texts for piece in each]
    part = np.repeat(np.asarray(parts, np.uint8), [len(each) for each in texts])
    left = (
        {} if source.is_file() else unread(files_below(source), files, source, "running text, whose files end in .txt")
    )
    return alone(RawTable([RawColumn("text", text, "text")], plain_name(source), str(source), part, ignored=left))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if suffix(path) == ".txt")


def _read(path: Path) -> str:
    try:
        check_memory(6 * path.stat().st_size, str(path), "running text", "Divide it into several files in a folder.")
        with open_binary(path) as file:
            text = file.read().decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        check_utf8(path)
        raise
    if not text.strip():
        raise DataError(f"{path} is empty; it needs text to learn from.")
    return text


def pieces(text: str) -> list[str]:
    """`text` cut behind empty lines into pieces of about 2,000 characters; joined they are `text`.

    A line of more than a million characters is cut behind a space.
    """
    parts: list[str] = []
    start = 0
    while start < len(text):
        stop = start + LONGEST
        end = text.find("\n\n", start + PIECE, stop)
        line = text.find("\n", start + 2 * PIECE, stop)
        if end >= 0 or line >= 0:
            end = end + 2 if end >= 0 and (line < 0 or end < line) else line + 1
        elif stop >= len(text):
            end = len(text)
        else:  # a line that never ends, as of text8: between two words
            end = text.rfind(" ", start + PIECE, stop) + 1 or stop
        # A row of nothing but line breaks could not be learned from.
        if parts and not (text[start:end].strip() and parts[-1].strip()):
            parts[-1] += text[start:end]
        else:
            parts.append(text[start:end])
        start = end
    return parts
