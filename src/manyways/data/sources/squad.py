"""SQuAD's JSON: questions to paragraphs, with answers that stand in them (Rajpurkar et al., EMNLP 2016, ACL 2018)."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from manyways.data.sources import json_files
from manyways.data.sources.base import Options, Raw, RawColumn, RawTable, alone, suffix
from manyways.data.sources.limits import check_table
from manyways.data.sources.text_files import open_binary
from manyways.data.spans import Span, spelled
from manyways.errors import DataError

ORDER = 23
KEYS = (b'"data"', b'"paragraphs"', b'"context"')
LOOKED_AT = 1 << 16
COLUMNS = ("context", "question", "answer")
BESIDE = ("paragraph", "title", "id")
"""Columns that are read where a role names them, for splits by paragraph or article: group="paragraph"."""


def accepts(source: Any) -> bool:
    """A JSON file, perhaps .gz, that begins as SQuAD's do."""
    if not (isinstance(source, Path) and source.is_file() and suffix(source) == ".json"):
        return False
    try:
        with open_binary(source) as file:
            begin = file.read(LOOKED_AT)
    except (OSError, DataError):  # whoever reads the file says that it cannot be
        return False
    return begin.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and all(key in begin for key in KEYS)


def load(source: Path, options: Options) -> Raw:
    """A row for each question: its context, the question, and its answers, none where it is impossible."""
    columns: dict[str, list[Any]] = {name: [] for name in (*COLUMNS, *BESIDE)}
    for row in _rows(json_files.content_of(source), source):
        for name, value in row.items():
            columns[name].append(value)
    if not columns["context"]:
        raise DataError(f"{source} holds no question.")
    check_table(len(columns["context"]), len(columns), str(source))
    wanted = [name for name in columns if name in COLUMNS or name in options.names]
    raw = [RawColumn(name, columns[name], "span" if name == "answer" else None) for name in wanted]
    return alone(RawTable(raw, source.name.split(".")[0], str(source), label="answer"))


def _rows(content: Any, source: Path) -> Iterator[dict[str, Any]]:
    number = 0
    for article, where in _entries(content, "data", str(source)):
        for paragraph, place in _entries(article, "paragraphs", where):
            context = _text(paragraph, "context", place)
            for question, at in _entries(paragraph, "qas", place):
                answers = () if question.get("is_impossible") else tuple(_answers(question, at))
                yield {
                    "context": context,
                    "question": _text(question, "question", at),
                    "answer": spelled(answers) if answers or "is_impossible" in question else None,
                    "paragraph": f"paragraph {number}",
                    "title": str(article.get("title", "")),
                    "id": str(question.get("id", "")),
                }
            number += 1


def _answers(question: Mapping[str, Any], where: str) -> Iterator[Span]:
    for answer, at in _entries(question, "answers", where, needed=False):
        start = answer.get("answer_start")
        if isinstance(start, bool) or not isinstance(start, int):
            raise DataError(f"{at} has no whole number as its answer_start; got {start!r}.")
        yield Span(_text(answer, "text", at), start)


def _entries(node: Any, key: str, where: str, *, needed: bool = True) -> Iterator[tuple[Mapping[str, Any], str]]:
    entries = node.get(key, None if needed else []) if isinstance(node, Mapping) else None
    if not isinstance(entries, list):
        raise DataError(f"{where} has no list of {key}; SQuAD's form is data, paragraphs, qas, answers, each a list.")
    for number, entry in enumerate(entries):
        at = f"{where}, entry {number:,} of {key}"
        if not isinstance(entry, Mapping):
            raise DataError(f"{at} is no object.")
        yield entry, at


def _text(node: Mapping[str, Any], key: str, where: str) -> str:
    value = node.get(key)
    if not isinstance(value, str):
        raise DataError(f"{where} has no text as its {key}; got {str(value)[:40]!r}.")
    return value
