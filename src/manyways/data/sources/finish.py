"""Raw columns made ready: their kind decided, their values as that kind stores them, useless ones named."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import Column, Kind, infer_kind, infer_label_kind, is_missing
from manyways.data.sources.base import RawColumn, count_of
from manyways.data.sources.objects import as_objects
from manyways.data.sources.rows import whole
from manyways.errors import DataError

TEXT_ROLES = ("prompt", "completion", "messages", "text", "chosen", "rejected")
NAME_ROLES = ("task", "client", "subject", "forget")
FEWEST = 20
"""Rows below which nothing is taken for an identifier."""

NEARLY_ALL = 0.95


def finished(column: RawColumn, role: str, kind: Kind | None) -> Column:
    """`column` as the kind that `kinds`, its source, its role or its values say, in that order.

    Raises DataError where words lie among the numbers, or the values cannot be of that kind.
    """
    if kind is None and column.problem and not _may_hold_words(column, role):
        raise DataError(column.problem)
    decided = kind or column.kind or _kind_by_role(column, role)
    if (column.kind in ("image", "audio") or decided in ("image", "audio")) and decided != column.kind:
        raise DataError(
            f"The column {column.name!r} holds {column.kind or infer_kind(column.values)} values; it cannot have the "
            f"kind {decided!r}. A column of images or sounds is made of files: names that exist beside the table, or "
            "arrays of three or four axes for images."
        )
    if role == "text" and _holds_conversations(column):
        raise DataError(
            f"The column {column.name!r} holds lists of messages, and the role text takes running text. Give "
            'conversations the role messages: messages="…"; of others keep the text of the turn: row["content"].'
        )
    convert = CONVERSIONS.get(decided)
    # Numbers are not touched, and so not loaded: there may be more of them than memory.
    if convert is None or (decided == "number" and column.values.dtype.kind in "iuf"):
        values = column.values
    else:
        values = convert(column.name, whole(column.values))
    return Column(column.name, decided, values, column.rate, column.absent)


def _may_hold_words(column: RawColumn, role: str) -> bool:
    """Whether words among numbers are values like others: in a label they are, unless its numbers are no classes."""
    if role != "label":
        return role in (*NAME_ROLES, *TEXT_ROLES)
    numbers = []
    for value in whole(column.values).tolist():
        try:
            numbers.append(float(value))
        except (TypeError, ValueError):
            continue
    return infer_label_kind(np.array(numbers)) == "category"


def _holds_conversations(column: RawColumn) -> bool:
    """Whether the first value that is there was a list of messages, which is JSON by now."""
    if column.kind != "text" or column.values.dtype.kind != "O":
        return False
    first = next((value for value in column.values[np.arange(min(len(column.values), FEWEST))] if value), "")
    return str(first).startswith('[{"') and '"role"' in str(first) and '"content"' in str(first)


def _kind_by_role(column: RawColumn, role: str) -> Kind:
    if role in TEXT_ROLES:
        return "text"
    if role in NAME_ROLES:
        return "category"
    if role == "label" and len(column.values.shape) == 1:
        return infer_label_kind(whole(column.values))
    return infer_kind(column.values)


def _as_numbers(name: str, values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind in "iuf":
        return values
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    out = np.empty(len(values))
    for row, value in enumerate(values):
        try:
            out[row] = np.nan if value is None or value == "" else float(value)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"The column {name!r} cannot have the kind 'number': row {row} (rows count from 0) holds {value!r}. "
                f'Correct the cell, or pass kinds={{{name!r}: "category"}}.'
            ) from error
    return out


def _as_categories(name: str, values: NDArray[Any]) -> NDArray[Any]:
    if values.ndim != 1:
        raise DataError(f"The column {name!r} holds {values.shape[1]} numbers a row; a category is one value a row.")
    if values.dtype.kind != "f":
        return values
    missing = np.isnan(values)
    known = values[~missing]
    if np.isinf(known).any():
        raise DataError(
            f"The column {name!r} is infinite in {count_of(int(np.isinf(known).sum()), 'row')}; a category is a name "
            "or a whole number. Correct those rows, or leave them empty."
        )
    if not np.all(known == np.round(known)):
        return as_objects([None if gone else repr(value) for value, gone in zip(values.tolist(), missing, strict=True)])
    if not missing.any():
        return values.astype(np.int64)
    return as_objects([None if gone else int(value) for value, gone in zip(values.tolist(), missing, strict=True)])


def _as_text(name: str, values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind == "O":
        return values
    if values.ndim != 1:
        raise DataError(f"The column {name!r} holds {values.shape[1]} numbers a row; text is one string a row.")
    return as_objects([str(value) for value in values.tolist()])


CONVERSIONS: dict[str, Callable[[str, NDArray[Any]], NDArray[Any]]] = {
    "number": _as_numbers,
    "category": _as_categories,
    "text": _as_text,
}


def useless(column: RawColumn, kind: Kind | None) -> str | None:
    """Why `column` tells a model nothing: it is empty, names or counts the rows; else None."""
    shape, values = column.values.shape, column.values
    # A column of numbers with a slip among them is refused with its place, not left out because its cells differ.
    if kind is not None or column.kind is not None or len(shape) != 1 or column.problem:
        return None
    held = whole(values)
    if held.dtype.kind in "Of" and is_missing(held).all():
        return "it is empty in every row"
    if len(held) < FEWEST:
        return None
    if held.dtype.kind in "iu":
        counts = bool((np.diff(held) == 1).all()) and held[0] in (0, 1)
        return "it counts the rows" if counts else None
    if held.dtype.kind == "O" and infer_kind(held) == "category":
        known = [value for value in held.tolist() if value is not None and value != ""]
        distinct = len(set(known))
        if distinct > NEARLY_ALL * len(known) and len(known) >= FEWEST:
            return f"it names each row ({distinct:,} different values in {count_of(len(known), 'row')})"
    return None
