"""Raw columns made ready: their kind decided, their values as that kind stores them, useless ones named."""

import json
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.categories import in_one_spelling
from manyways.data.columns import Column, Kind, infer_kind, infer_label_kind, is_missing, most_classes
from manyways.data.notation import Decimal, as_numbers
from manyways.data.roles import ROLES
from manyways.data.sources.base import RawColumn, count_of, listed
from manyways.data.sources.objects import as_objects
from manyways.data.sources.rows import whole
from manyways.errors import DataError

FEWEST = 20
"""Rows below which nothing is taken for an identifier."""

NEARLY_ALL = 0.95
SEVERAL = 5
"""Rows to each of a label's whole numbers with which they might be classes."""
AMOUNT = re.compile(r"[+-]?[0-9](?:[0-9.,' ]*[0-9])?")
"""A number in text."""
LOOKED_AT = 1000
"""Values that are looked at to tell whether text is numbers."""


def finished(
    column: RawColumn, role: str, kind: Kind | None, decimal: Decimal | None = None, *, learned: bool = False
) -> Column:
    """`column` as the kind that `kinds`, its source, its role or its values say, in that order.

    decimal: what stands before the fraction of numbers that are text. learned: whether a model learned the column as
    that `kind`, so that it can be no other. Raises DataError where words lie among the numbers, or the values cannot be
    of that kind.
    """
    if kind is None and column.problem and not _may_hold_words(column, role):
        raise DataError(column.problem)
    decided = kind or column.kind or _kind_by_role(column, role)
    if (column.kind in ("image", "audio") or decided in ("image", "audio")) and decided != column.kind:
        held = f"{column.kind}s" if column.kind == "image" else "sounds" if column.kind else "values that are no files"
        raise DataError(
            f"The column {column.name!r} holds {held}; it cannot have the kind {decided!r}. A column of images or "
            "sounds is made of files: names that exist beside the table, or arrays of three or four axes for images."
        )
    if role == "text" and _holds_conversations(column):
        raise DataError(
            f"The column {column.name!r} holds lists of messages, and the role text takes running text. Give "
            'conversations the role messages: messages="…"; of others keep the text of the turn: row["content"].'
        )
    values = column.values
    # Numbers are not touched, and so not loaded: there may be more of them than memory.
    if decided == "number" and values.dtype.kind not in "iuf":
        values = _as_numbers(column.name, whole(values), decimal, learned)
    elif decided == "category":
        values = _as_categories(column.name, whole(values) if column.exact is None else column.exact)
    elif decided == "text":
        values = _as_text(column.name, whole(values))
    return Column(column.name, decided, values, column.rate, column.absent, column.white)


def _may_hold_words(column: RawColumn, role: str) -> bool:
    """Whether words among numbers are values like others: in a label they are, unless its numbers are no classes."""
    if role != "label":
        return ROLES.find(role).holds is not None
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
    if holds := ROLES.find(role).holds:
        return holds
    if role == "label" and len(column.values.shape) == 1:
        return infer_label_kind(whole(column.values))
    return infer_kind(column.values)


def _as_numbers(name: str, values: NDArray[Any], decimal: Decimal | None, learned: bool) -> NDArray[Any]:
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    numbers, odd = as_numbers(values, decimal)
    if not len(odd):
        return numbers
    others = f", and {count_of(len(odd) - 1, 'other row')} no number either" if len(odd) > 1 else ""
    place = f"row {odd[0]} (rows count from 0) holds {values[odd[0]]!r}{others}. Correct the cell"
    if learned:
        raise DataError(
            f"The model learned from numbers in the column {name!r}, and {place}, or leave it empty and pass "
            'bad_rows="skip" or bad_rows="fill".'
        )
    raise DataError(
        f"The column {name!r} cannot have the kind 'number': {place}, or pass kinds={{{name!r}: \"category\"}}."
    )


def _as_categories(name: str, values: NDArray[Any]) -> NDArray[Any]:
    if values.ndim != 1:
        raise DataError(f"The column {name!r} holds {values.shape[1]} numbers a row; a category is one value a row.")
    if values.dtype.kind == "O":
        return in_one_spelling(values)
    if values.dtype.kind != "f":
        return values
    missing = np.isnan(values)
    known = values[~missing]
    if len(infinite := np.flatnonzero(np.isinf(values))):
        raise DataError(
            f"The column {name!r} is infinite in {count_of(len(infinite), 'row')} ({listed(infinite)}; rows count from "
            "0); a category is a name or a whole number. Correct those rows, or leave them empty."
        )
    if not np.all(known == np.round(known)):
        # Of a number in single precision its own digits, not those of the double that it becomes in a list.
        return as_objects([None if gone else str(value) for value, gone in zip(values, missing, strict=True)])
    if not missing.any():
        return values.astype(np.int64)
    return as_objects([None if gone else int(value) for value, gone in zip(values.tolist(), missing, strict=True)])


def _as_text(name: str, values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind == "O":
        return values
    if values.ndim != 1:
        raise DataError(f"The column {name!r} holds {values.shape[1]} numbers a row; text is one string a row.")
    return as_objects([str(value) for value in values.tolist()])


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
            hint = f'; if its text is numbers: kinds={{{column.name!r}: "number"}}' if _are_numbers(known) else ""
            hint = hint or _beside(known)
            return f"it names each row ({distinct:,} different values in {count_of(len(known), 'row')}){hint}"
    return None


def understood(raw: RawColumn, column: Column, role: str, *, asked: bool) -> str | None:
    """How `column` was understood where it could be otherwise, unless its kind was `asked` for; else None."""
    if raw.note or asked or raw.kind is not None or len(column.values.shape) != 1:
        return raw.note
    other: Kind = "number" if column.kind == "category" else "category"
    otherwise = f"kinds={{{column.name!r}: {json.dumps(other)}}}"
    if role == "label":
        return _understood_label(column, otherwise)
    if role == "input" and column.kind == "category" and column.values.dtype.kind == "O":
        known = {value for value in whole(column.values).tolist() if value is not None and value != ""}
        if len(known) > 2 and all(isinstance(value, str) for value in known) and _are_numbers(list(known)):
            return f"its numbers are text, and so categories; if they are amounts: {otherwise}"
        if len(known) > 2 and (beside := _beside(list(known))):
            return f"its values are categories{beside}"
    return None


def _understood_label(column: Column, otherwise: str) -> str | None:
    values = whole(column.values)
    if values.dtype.kind == "O" and any(isinstance(value, str) for value in values.tolist()):
        return None
    known = np.asarray(values[~is_missing(values)], np.float64)
    distinct = np.unique(known)
    if column.kind == "category":
        if len(distinct) <= most_classes(len(known)):
            return None
        shown = f"{distinct[0]:.0f} … {distinct[-1]:.0f}"
        return f"the whole numbers {shown} are taken for {len(distinct):,} classes; if they are amounts: {otherwise}"
    if (distinct != np.round(distinct)).any() or len(known) < SEVERAL * len(distinct):
        return None
    return f"its {len(distinct):,} different whole numbers are taken for amounts; if they are classes: {otherwise}"


def _beside(texts: list[Any]) -> str:
    """What to say of texts that are numbers with the same sign of a currency beside each, or a unit behind it."""
    around = {AMOUNT.sub("\0", str(text).strip()) for text in texts[:LOOKED_AT]}
    form = around.pop() if len(around) == 1 else ""
    words = form.replace("\0", "").strip()
    if not words or not (form.startswith("\0 ") or not any(map(str.isalnum, words))):
        return ""
    return f"; if they are numbers with {words!r} beside them, take that away"


def _are_numbers(texts: list[Any]) -> bool:
    return not len(as_numbers(as_objects(texts[:LOOKED_AT]))[1])
