"""Typed columns made ready: their kinds decided, their values as these store them, useless ones named."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from manyways.data.categories import as_objects
from manyways.data.columns import Column
from manyways.data.inference.table import Table, TypedColumn
from manyways.data.kinds import KINDS, Kind, classes_in, infer_kind, infer_label_kind, most_classes
from manyways.data.kinds import SEVERAL as SETS
from manyways.data.notation import Decimal, as_numbers, is_missing
from manyways.data.phrases import count_of
from manyways.data.roles import ROLES
from manyways.data.sources.base import Options
from manyways.data.storage import loaded
from manyways.errors import DataError

FEWEST = 20
"""Rows below which nothing is taken for an identifier."""

NEARLY_ALL = 0.95
SEVERAL = 5
"""Rows to each of a label's whole numbers with which they might be classes."""
AMOUNT = re.compile(r"[+-]?[0-9](?:[0-9.,' ]*[0-9])?")
"""A number in text."""
OF_WORDS = ("tags", "tree")
"""Kinds with a value for each word of a sentence, which are labels."""
NO_INPUT = 'it holds something for each word, which is no input; if it is what to learn: label="{}"'
LOOKED_AT = 1000
"""Values that are looked at to tell whether text is numbers."""


def columns_of(
    table: Table, roles: Mapping[str, Sequence[str]], options: Options, learned: Collection[str]
) -> tuple[dict[str, Column], dict[str, str]]:
    """The columns of `table` that have `roles`, of their kinds, and notes on those that could be understood otherwise.

    learned: The columns that a model learned as the kinds that `options` has for them.
    """
    columns: dict[str, Column] = {}
    notes: dict[str, str] = {}
    for role, name in ((role, name) for role, names in roles.items() for name in names):
        raw, kind = table.columns[name], options.kinds.get(name)
        columns[name] = finished(raw, role, kind, options.decimal, learned=name in learned)
        remark = columns[name].of.remark(raw.values)
        if note := remark or understood(raw, columns[name], role, stated=kind is not None):
            notes[name] = note
    return columns, notes


def finished(
    column: TypedColumn, role: str, kind: Kind | None, decimal: Decimal | None = None, *, learned: bool = False
) -> Column:
    """`column` as the kind that `kinds`, its source, its role or its values say, in that order.

    decimal: what stands before the fraction of numbers that are text. learned: whether a model learned the column as
    that `kind`, so that it can be no other. Raises DataError where words lie among the numbers, or the values cannot be
    of that kind.
    """
    if kind is None and column.problem and not _may_hold_words(column, role):
        raise DataError(column.problem)
    decided = kind or (role == "label" and _listed(column)) or column.kind or _kind_by_role(column, role)
    if decided != column.kind and any(KINDS.find(kind).decoded for kind in (column.kind, decided) if kind):
        held = KINDS.find(column.kind).words[1] if column.kind else "values that are no files"
        raise DataError(
            f"The column {column.name!r} holds {held}; it cannot have the kind {decided!r}. A column of images or "
            "sounds is made of files: names that exist beside the table, or arrays of three or four axes for images."
        )
    if role == "text" and _holds_conversations(column):
        raise DataError(
            f"The column {column.name!r} holds lists of messages, and the role text takes running text. Give "
            'conversations the role messages: messages="…"; of others keep the text of the turn: row["content"].'
        )
    values = column.exact if decided == "category" and column.exact is not None else column.values
    values = KINDS.find(decided).stored(column.name, values, decimal, learned=learned)
    return Column(column.name, decided, values, column.rate, column.absent, column.white, column.sizes)


def _may_hold_words(column: TypedColumn, role: str) -> bool:
    """True if words among numbers are values like others: in a label they are, unless its numbers are no classes."""
    if role != "label":
        return ROLES.find(role).holds is not None
    numbers = []
    for value in loaded(column.values).tolist():
        try:
            numbers.append(float(value))
        except (TypeError, ValueError):
            continue
    return infer_label_kind(np.array(numbers)) == "category"


def _holds_conversations(column: TypedColumn) -> bool:
    """True if the first value that is there was a list of messages, which is JSON by now."""
    if column.kind != "text" or column.values.dtype.kind != "O":
        return False
    first = next((value for value in column.values[np.arange(min(len(column.values), FEWEST))] if value), "")
    return str(first).startswith('[{"') and '"role"' in str(first) and '"content"' in str(first)


def _listed(column: TypedColumn) -> Kind | None:
    """The kind of a label that was lists or objects, which are text by now; None where it is text."""
    if column.kind != "text" or column.values.dtype.kind != "O":
        return None
    kind = infer_label_kind(loaded(column.values))
    return None if kind == "category" else kind


def _kind_by_role(column: TypedColumn, role: str) -> Kind:
    if holds := ROLES.find(role).holds:
        return holds
    if role == "label" and len(column.values.shape) == 1:
        return infer_label_kind(loaded(column.values))
    return infer_kind(column.values)


def useless(column: TypedColumn, kind: Kind | None) -> str | None:
    """The reason why `column` tells a model nothing: it is empty, names or counts the rows; else None."""
    shape, values = column.values.shape, column.values
    # A column of numbers with a slip among them is refused with its place, not left out because its cells differ.
    if kind is not None or column.kind is not None or len(shape) != 1 or column.problem:
        return NO_INPUT.format(column.name) if kind is None and column.kind in OF_WORDS else None
    cells = loaded(values)
    if cells.dtype.kind in "Of" and is_missing(cells).all():
        return "it is empty in every row"
    if len(cells) < FEWEST:
        return None
    if cells.dtype.kind in "iu":
        counts = bool((np.diff(cells) == 1).all()) and cells[0] in (0, 1)
        return "it counts the rows" if counts else None
    if cells.dtype.kind == "O" and infer_kind(cells) == "category":
        known = [value for value in cells.tolist() if value is not None and value != ""]
        distinct = len(set(known))
        if distinct > NEARLY_ALL * len(known) and len(known) >= FEWEST:
            hint = f'; if its text is numbers: kinds={{{column.name!r}: "number"}}' if _are_numbers(known) else ""
            hint = hint or _beside(known)
            return f"it names each row ({distinct:,} different values in {count_of(len(known), 'row')}){hint}"
    return None


def understood(raw: TypedColumn, column: Column, role: str, *, stated: bool) -> str | None:
    """The reading of `column` where it could be another, unless its kind was `stated` for; else None."""
    if role == "label" and column.kind == "text" and not stated:
        return f"its values are texts, which are to be written; if they are classes: {_option(column, 'category')}"
    if raw.note or stated or raw.kind is not None or len(column.values.shape) != 1:
        return raw.note
    other: Kind = "number" if column.kind == "category" else "category"
    otherwise = _option(column, other)
    if role == "label":
        return _understood_label(column, otherwise)
    if role == "input" and column.kind == "category" and column.values.dtype.kind == "O":
        known = {value for value in loaded(column.values).tolist() if value is not None and value != ""}
        if len(known) > 2 and all(isinstance(value, str) for value in known) and _are_numbers(list(known)):
            return f"its numbers are text, and so categories; if they are amounts: {otherwise}"
        if len(known) > 2 and (beside := _beside(list(known))):
            return f"its values are categories{beside}"
    return None


def _option(column: Column, kind: Kind) -> str:
    """The option that gives `column` the kind."""
    return f"kinds={{{column.name!r}: {json.dumps(kind)}}}"


def _understood_label(column: Column, otherwise: str) -> str | None:
    values = loaded(column.values)
    if column.kind == SETS.name:
        classes = {name for value in values.tolist() if value is not None for name in classes_in(value)}
        return f"its values are sets of {len(classes):,} classes; if each is one class of its own: {otherwise}"
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
    """The hint on texts that are numbers with the same sign of a currency beside each, or a unit behind it."""
    around = {AMOUNT.sub("\0", str(text).strip()) for text in texts[:LOOKED_AT]}
    form = around.pop() if len(around) == 1 else ""
    words = form.replace("\0", "").strip()
    if not words or not (form.startswith("\0 ") or not any(map(str.isalnum, words))):
        return ""
    return f"; if they are numbers with {words!r} beside them, take that away"


def _are_numbers(texts: list[Any]) -> bool:
    return not len(as_numbers(as_objects(texts[:LOOKED_AT]))[1])
