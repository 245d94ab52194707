"""The sheet of a file of questions: a line a row, with its id, its answer and its content, as CSV or JSON."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manyways.checked_json import parse
from manyways.errors import DataError
from manyways.sheet import as_csv, guarded
from manyways.whole import write_whole

ID, ROW, ANSWER = "id", "row", "answer"
"""The columns before those of the content."""
AGAIN = "Mend it, or begin a new one under another name."


@dataclass(frozen=True)
class Entry:
    """A row that is asked about: its id, its number in the source, its answer as text, and what can be seen of it."""

    id: str
    row: int
    answer: str = ""
    content: Mapping[str, Any] = field(default_factory=dict)


def write_sheet(path: Path, entries: Sequence[Entry]) -> None:
    """Write `entries` to `path`, whole or not at all.

    Raises:
        DataError: It cannot be written.
    """
    names = list(dict.fromkeys(name for entry in entries for name in entry.content))
    titles = {name: f"{name} (input)" if name in (ID, ROW, ANSWER) else name for name in names}
    table = [
        {ID: entry.id, ROW: entry.row, ANSWER: entry.answer}
        | {titles[name]: entry.content.get(name, "") for name in names}
        for entry in entries
    ]
    if path.suffix.lower() == ".csv":
        # The mark at the beginning is what tells spreadsheets that it is UTF-8.
        header = [ID, ROW, ANSWER, *titles.values()]
        text = "\ufeff" + as_csv([header, *(list(each.values()) for each in table)], safe=True)
    elif path.suffix.lower() == ".jsonl":
        text = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in table)
    else:
        text = json.dumps(table, ensure_ascii=False, indent=1) + "\n"
    try:
        write_whole(path, text)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}. Give another file.") from error


def read_sheet(path: Path) -> dict[str, Entry]:
    """The entries of a sheet by their id.

    Raises:
        DataError: It cannot be read, is no such sheet, or answers a row in two ways.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8; save it as CSV UTF-8"
        raise DataError(f"{path} cannot be read: {reason}. {AGAIN}") from error
    lines = _csv_lines(text, path) if path.suffix.lower() == ".csv" else _json_lines(text, path)
    entries: dict[str, Entry] = {}
    for place, line in enumerate(lines, 1):
        entry = _entry(line, f"entry {place} of {path}")
        other = entries.setdefault(entry.id, entry)
        if other.answer != entry.answer:
            raise DataError(
                f"{path} answers the row with the id {entry.id} in two ways: {other.answer!r} and {entry.answer!r}. "
                "Leave one of the two."
            )
    return entries


def _csv_lines(text: str, path: Path) -> Iterable[Mapping[str, Any]]:
    header = text.partition("\n")[0]
    separator = max(",;\t", key=header.count)  # spreadsheets save with that of the country
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        names, *lines = [line for line in reader if any(line)] or [[]]
    except csv.Error as error:
        raise DataError(f"{path} is no CSV: {error}. {AGAIN}") from error
    if lost := [name for name in (ID, ANSWER) if name not in names]:
        raise DataError(f"{path} has no column {lost[0]!r}; its columns are {', '.join(names)}. {AGAIN}")
    for place, line in enumerate(lines, 2):
        if len(line) > len(names):
            raise DataError(f"line {place} of {path} has {len(line)} cells, and {len(names)} columns. {AGAIN}")
        yield dict(zip(names, line, strict=False))


def _json_lines(text: str, path: Path) -> Iterable[Mapping[str, Any]]:
    if path.suffix.lower() == ".jsonl":
        lines = [(place, line) for place, line in enumerate(text.splitlines(), 1) if line.strip()]
        values = [parse(line, f"line {place} of {path}", DataError) for place, line in lines]
    else:
        values = parse(text, str(path), DataError)
    if not isinstance(values, list) or not all(isinstance(each, dict) for each in values):
        raise DataError(f"{path} must hold a list of objects, each with {ID!r} and {ANSWER!r}. {AGAIN}")
    return values


def _entry(line: Mapping[str, Any], where: str) -> Entry:
    name, answer = line.get(ID), line.get(ANSWER)
    if not isinstance(name, str) or not name.strip():
        raise DataError(f"{where} has no {ID!r}, by which its answer is known to be of a row. {AGAIN}")
    if isinstance(answer, dict | list | bool):
        raise DataError(f"the answer of {where} must be a text or a number; got {answer!r}. {AGAIN}")
    try:
        row = int(line.get(ROW) or 0)
    except (TypeError, ValueError):
        row = 0  # for people alone
    content = {key: value for key, value in line.items() if key not in (ID, ROW, ANSWER)}
    return Entry(name.strip(), row, "" if answer is None else _unguarded(str(answer).strip()), content)


def _unguarded(text: str) -> str:
    """`text` without the apostrophe that was put before it for spreadsheets."""
    return text[1:] if text.startswith("'") and guarded(text[1:]) == text else text
