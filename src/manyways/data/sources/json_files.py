"""JSON Lines and JSON files as columns of Python values."""

import io
import json
from pathlib import Path
from typing import Any

from manyways.data.sources.base import suffix
from manyways.data.sources.text_files import check_utf8, open_binary
from manyways.errors import DataError


def read(path: Path) -> dict[str, list[Any]]:
    """The objects in `path` as columns in the order in which keys first appear; None where a key is lacking.

    JSON Lines has an object a line; JSON has an array of objects, or an object of arrays of one length.
    Raises DataError with the line for what is not JSON, is no object, or is not UTF-8.
    """
    if suffix(path) == ".json":
        return _read_json(path)
    columns: dict[str, list[Any]] = {}
    count = 0
    try:
        with open_binary(path) as file, io.TextIOWrapper(file, "utf-8-sig") as text:
            for number, line in enumerate(text, 1):
                if line.strip():
                    row = _parse(line.rstrip("\r\n"), path, number)
                    _add(columns, row, count, f"{path}, line {number:,}")
                    count += 1
    except UnicodeDecodeError:
        check_utf8(path)
        raise
    return _filled(columns, count, path)


def _read_json(path: Path) -> dict[str, list[Any]]:
    try:
        with open_binary(path) as file:
            text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        check_utf8(path)
        raise
    if not text.strip():
        raise DataError(f"{path} is empty; it needs an array of objects.")
    held = _parse(text, path, 1)
    if isinstance(held, dict) and held and all(isinstance(each, list) for each in held.values()):
        if len({len(each) for each in held.values()}) > 1:
            raise DataError(f"{path}: the arrays {', '.join(held)} must have one length.")
        return held
    if not isinstance(held, list):
        raise DataError(f"{path} holds {_called(held)}; an array of objects is needed: [{{…}}, {{…}}].")
    columns: dict[str, list[Any]] = {}
    for number, each in enumerate(held):
        _add(columns, each, number, f"{path}, element {number:,}")
    return _filled(columns, len(held), path)


def _parse(text: str, path: Path, line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}, line {line + error.lineno - 1:,}, column {error.colno}: not JSON: {error.msg}. JSON Lines needs "
            "one whole object a line; a file with an array needs the ending .json."
        ) from error


def _add(columns: dict[str, list[Any]], row: Any, count: int, where: str) -> None:
    if not isinstance(row, dict):
        raise DataError(f'{where}: an object is needed, such as {{"text": "…"}}; got {_called(row)}.')
    for key, value in row.items():
        column = columns.setdefault(key, [])
        column.extend([None] * (count - len(column)))
        column.append(value)


def _filled(columns: dict[str, list[Any]], count: int, path: Path) -> dict[str, list[Any]]:
    if not columns:
        raise DataError(f"{path} holds no rows; a table needs at least one.")
    for column in columns.values():
        column.extend([None] * (count - len(column)))
    return columns


def _called(value: Any) -> str:
    names = {list: "an array", dict: "one object", str: "a string", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")
