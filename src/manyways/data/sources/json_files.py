"""JSON Lines and JSON files as columns of Python values."""

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

from manyways.data.phrases import listed_names
from manyways.data.sources.base import suffix
from manyways.data.sources.limits import brief, check_memory, check_table
from manyways.data.sources.text_files import check_utf8, open_binary
from manyways.errors import DataError

DEEPEST = 100
SURROGATE = re.compile(r"\\[uU][dD][89a-fA-F]")
SURROGATES = re.compile("[\ud800-\udfff]")
STEP = 256 << 20
"""Bytes of memory after which it is looked whether there is as much again."""
INSTEAD = "Write it as Parquet, or divide it into smaller files."


def read(path: Path) -> dict[str, list[Any]]:
    """The objects in `path` as columns in the order in which keys first appear; None where a key is lacking.

    JSON Lines has an object a line; JSON has an array of objects, or an object of arrays of one length.
    Raises DataError with the line for what is not JSON, is no object, or is not UTF-8.
    """
    if suffix(path) == ".json":
        return _read_json(path)
    columns: dict[str, list[Any]] = {}
    count = given = cost = 0
    _check_size(path)
    try:
        with open_binary(path) as file, io.TextIOWrapper(file, "utf-8-sig") as text:
            for number, line in enumerate(text, 1):
                cost += _cost(line)
                if cost > STEP:
                    check_memory(cost, f"{path}, line {number:,}", "what it holds", INSTEAD)
                    cost = 0
                if line.strip():
                    row = _parse(line.rstrip("\r\n"), path, number)
                    given += _add(columns, row, count, f"{path}, line {number:,}", given)
                    count += 1
    except UnicodeDecodeError:
        check_utf8(path)
        raise
    return _filled(columns, count, path, given)


def _check_size(path: Path) -> None:
    check_memory(3 * path.stat().st_size, str(path), "JSON as Python values", INSTEAD)


def _cost(text: str) -> int:
    """Bytes of memory that the values of a JSON text may take: `[{},{}]` takes thirty times its length."""
    return 2 * len(text) + 64 * (text.count("{") + text.count("[")) + 40 * text.count(",")


def content_of(path: Path) -> Any:
    """Return what a JSON file holds, as Python values. Raises DataError with the line for what is not JSON or UTF-8."""
    _check_size(path)
    try:
        with open_binary(path) as file:
            text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        check_utf8(path)
        raise
    if not text.strip():
        raise DataError(f"{path} is empty; it needs an array of objects.")
    check_memory(_cost(text), str(path), "JSON as Python values", INSTEAD)
    return _parse(text, path, 1)


def _read_json(path: Path) -> dict[str, list[Any]]:
    content = content_of(path)
    if isinstance(content, dict) and content and all(isinstance(element, list) for element in content.values()):
        if len({len(element) for element in content.values()}) > 1:
            raise DataError(f"{path}: the arrays {listed_names(content)} must have one length.")
        check_table(0, len(content), str(path))
        return content
    if not isinstance(content, list):
        raise DataError(f"{path} holds {_called(content)}; an array of objects is needed: [{{…}}, {{…}}].")
    columns: dict[str, list[Any]] = {}
    given = 0
    for number, element in enumerate(content):
        given += _add(columns, element, number, f"{path}, element {number:,}", given)
    return _filled(columns, len(content), path, given)


def _parse(text: str, path: Path, line: int) -> Any:
    where = f"{path}, line {line:,}"
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}, line {line + error.lineno - 1:,}, column {error.colno:,}: not JSON: {error.msg}. JSON Lines "
            "needs one whole object a line; a file with an array needs the ending .json."
        ) from error
    except RecursionError:
        raise DataError(f"{where}: nested too deeply; allowed are {DEEPEST} levels. Flatten it.") from None
    except ValueError as error:  # a whole number of more digits than Python reads
        raise DataError(
            f"{where}: a whole number has more than {sys.get_int_max_str_digits():,} digits; write it as a string."
        ) from error
    if text.count("[") + text.count("{") > DEEPEST or SURROGATE.search(text):
        _check(value, where)
    return value


def _check(value: Any, where: str) -> None:
    """Raise DataError for what is nested too deeply, and for text with half of a surrogate pair."""
    ahead = [(value, 1)]
    while ahead:
        node, depth = ahead.pop()
        if depth > DEEPEST:
            raise DataError(f"{where}: nested too deeply; allowed are {DEEPEST} levels. Flatten it.")
        if isinstance(node, str) and SURROGATES.search(node):
            raise DataError(
                f"{where}: {brief(node)} holds half of a surrogate pair (\\ud800 … \\udfff), which is no character. "
                "Whatever wrote it cut a character in two; write it again."
            )
        if isinstance(node, dict):
            ahead += [(key, depth) for key in node]
            ahead += [(inner, depth + 1) for inner in node.values()]
        elif isinstance(node, list):
            ahead += [(inner, depth + 1) for inner in node]


def _add(columns: dict[str, list[Any]], row: Any, count: int, where: str, given: int) -> int:
    """Add a row to the `columns`, which hold `given` values; how many values it gives."""
    if not isinstance(row, dict):
        raise DataError(f'{where}: an object is needed, such as {{"text": "…"}}; got {_called(row)}.')
    before = len(columns)
    for key, value in row.items():
        column = columns.setdefault(key, [])
        column.extend([None] * (count - len(column)))
        column.append(value)
    if len(columns) > before:
        check_table(count + 1, len(columns), where, given + len(row))
    return len(row)


def _filled(columns: dict[str, list[Any]], count: int, path: Path, given: int) -> dict[str, list[Any]]:
    if not columns:
        raise DataError(f"{path} holds no rows; a table needs at least one.")
    check_table(count, len(columns), str(path), given)
    for column in columns.values():
        column.extend([None] * (count - len(column)))
    return columns


def _called(value: Any) -> str:
    names = {list: "an array", dict: "one object", str: "a string", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")
