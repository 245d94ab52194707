"""Lines of words in columns: sentences, comments, and where exactly a line is damaged."""

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass
class _Reader:
    """The sentences of a file, line by line."""

    where: str
    sentences: list[Sentence] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    comments: dict[str, str] = field(default_factory=dict)
    names: tuple[str, ...] | None = None
    document: str = ""
    first: int = 0
    width: int = 0
    tabs: bool = False

    def take(self, line: str, number: int) -> None:
        """Take the next line. Raises DataError where it has another number of columns, or no word."""
        if not line.strip():
            self.end()
        elif match := COLUMNS.match(line):
            self.names = tuple(match[1].lower().split())
        elif _is_comment(line, self.width, self.tabs):
            if not self.rows:
                self.comments |= _comment(line)
                self.document = self.comments.get("document", self.document)
        else:
            self.word(line, number)

    def word(self, line: str, number: int) -> None:
        """Take a line of a word."""
        if not self.width:
            self.tabs = "\t" in line
            self.width = len(_columns(line, self.tabs))
        cells = _columns(line, self.tabs)
        if cells[0] == DOCUMENT:
            self.document = f"document {number}"
            return
        if self.width < 2:
            raise DataError(
                f"{self.where}, line {number:,}: {line[:60]!r} has one column; a word and its tag are needed, with a "
                "tab or blanks between them."
            )
        if len(cells) != self.width:
            raise DataError(
                f"{self.where}, line {number:,}: {len(cells)} column{'s' if len(cells) > 1 else ''} where others have "
                f"{self.width}: {line[:60]!r}. Give each word as many, with {'tabs' if self.tabs else 'blanks'}."
            )
        if not cells[0].strip():
            raise DataError(f"{self.where}, line {number:,}: the word is empty. Write it, or leave the line out.")
        self.first = self.first if self.rows else number
        self.rows.append(cells)

    def end(self) -> None:
        """End the sentence, where one has begun."""
        if self.rows:
            self.sentences.append(Sentence(self.rows, {"document": self.document, **self.comments}, self.first))
        self.rows, self.comments = [], {}


def _sentences(lines: Iterable[str], where: str) -> Sentences:
    reader = _Reader(where)
    for number, line in enumerate(lines, 1):
        reader.take(line.rstrip("\r\n"), number)
    reader.end()
    names, width = reader.names, reader.width
    if names is not None and len(names) != width:
        raise DataError(f"{where} names {len(names)} columns and has {width}: {', '.join(names)}. Correct the names.")
    return Sentences(reader.sentences, width, names, reader.tabs)


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
