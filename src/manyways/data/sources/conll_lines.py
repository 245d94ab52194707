"""Lines of words in columns: sentences, comments, and where exactly a line is damaged."""

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from manyways.data.sentences import ENDED
from manyways.data.sources.limits import check_memory
from manyways.data.sources.text_files import check_utf8, open_binary
from manyways.errors import DataError

DOCUMENT = "-DOCSTART-"
"""The word of a line of CoNLL-2003 that begins a document."""
COMMENT = "#"
COLUMNS = re.compile(r"#\s*global\.columns\s*=\s*(.+)")
"""The comment of CoNLL-U Plus that names the columns."""
FEWEST_LINES = 5
"""Lines in columns with tags that a file needs to be told from prose."""


@dataclass(frozen=True)
class Sentence:
    """The cells of each word of a sentence, the comments before it, and the number of its first line."""

    rows: Sequence[Sequence[str]]
    comments: Mapping[str, str]
    line: int


@dataclass(frozen=True)
class Sentences:
    """The sentences of a file, and the names of its columns: those that it states, or None."""

    sentences: Sequence[Sentence]
    width: int
    names: Sequence[str] | None
    tabs: bool


def read_sentences(path: Path) -> Sentences:
    """The sentences of a file. Raises DataError with the line that is damaged."""
    check_memory(20 * path.stat().st_size, str(path), "sentences as Python values", "Divide it into smaller files.")
    try:
        with open_binary(path) as file, io.TextIOWrapper(file, "utf-8-sig", newline="\n") as text:
            sentences = _sentences(text, str(path))
    except UnicodeDecodeError:
        check_utf8(path)
        raise
    if not sentences.sentences:
        raise DataError(
            f"{path} holds no sentence; it needs a line for each word, with its columns, and an empty line behind each "
            "sentence."
        )
    return sentences


def is_tagged_text(lines: Iterable[str]) -> bool:
    """True if all `lines` have as many columns, two or more, of which the last marks spans: `Paris NNP B-LOC`."""
    rows = [line.split() for line in lines if line.strip() and not line.startswith(("# ", DOCUMENT))]
    if len(rows) < FEWEST_LINES or len({len(row) for row in rows}) > 1 or len(rows[0]) < 2:
        return False
    return all(ENDED.fullmatch(row[-1]) for row in rows)


def _sentences(lines: Iterable[str], where: str) -> Sentences:
    found: list[Sentence] = []
    names: tuple[str, ...] | None = None
    rows: list[list[str]] = []
    comments: dict[str, str] = {}
    document = ""
    count = first = 0
    tabs = False
    for number, line in enumerate(lines, 1):
        line = line.rstrip("\r\n")
        if not line.strip():
            if rows:
                found.append(Sentence(rows, {"document": document, **comments}, first))
            elif comments:
                document = comments.get("document", document)
            rows, comments = [], {}
            continue
        if match := COLUMNS.match(line):
            names = tuple(match[1].lower().split())
            continue
        if not count and not _is_comment(line, 0, tabs):
            tabs = "\t" in line
            count = len(_columns(line, tabs))
            if count < 2:
                raise DataError(
                    f"{where}, line {number:,}: {line[:60]!r} has one column; a word and its tag are needed, with a tab "
                    "or blanks between them."
                )
        if _is_comment(line, count, tabs):
            if not rows:
                comments |= _comment(line)
                document = comments.get("document", document)
            continue
        cells = _columns(line, tabs)
        if cells[0] == DOCUMENT:
            document = f"document {number}"
            continue
        if len(cells) != count:
            raise DataError(
                f"{where}, line {number:,}: {len(cells)} column{'s' if len(cells) > 1 else ''} where others have "
                f"{count}: {line[:60]!r}. Give each word as many, {'tabs' if tabs else 'blanks'} between them."
            )
        if not cells[0].strip():
            raise DataError(f"{where}, line {number:,}: the word is empty. Write it, or leave the line out.")
        first = first if rows else number
        rows.append(cells)
    if rows:
        found.append(Sentence(rows, {"document": document, **comments}, first))
    if names is not None and len(names) != count:
        raise DataError(f"{where} names {len(names)} columns and has {count}: {', '.join(names)}. Correct the names.")
    return Sentences(found, count, names, tabs)


def _columns(line: str, tabs: bool) -> list[str]:
    return line.split("\t") if tabs else line.split()


def _is_comment(line: str, count: int, tabs: bool) -> bool:
    """True if a line is a comment, and no word that begins with a hash: that has `count` columns."""
    if not line.startswith(COMMENT):
        return False
    cells = _columns(line, tabs or "\t" in line)
    if not count:
        return line == COMMENT or (line.startswith("# ") and not ENDED.fullmatch(cells[-1]))
    return len(cells) != count or (not tabs and "=" in cells[1:3])


def _comment(line: str) -> dict[str, str]:
    """The facts in a comment: `# sent_id = …`, `# text = …`, `# newdoc id = …`."""
    name, equals, value = line[1:].partition("=")
    name = name.strip()
    if not equals:
        return {}
    return {"document" if name in ("newdoc id", "newdoc") else name: value.strip()}
