"""Sentences among the columns of a table: lists of tokens, and beside them lists of as many tags."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.categories import as_objects
from manyways.data.columns import Column
from manyways.data.inference.table import Table, TypedColumn
from manyways.data.kinds import Kind
from manyways.data.kinds.sentences import TAGS, TREE, WORDS, lengths_of
from manyways.data.phrases import count_of
from manyways.data.sentences import list_in
from manyways.data.storage import loaded
from manyways.errors import DataError

SURELY = 0.8
"""Share of the rows in which lists must be as long as each other to be words and tags: the others are mistakes."""
LOOKED_AT = 2000
"""Rows that are looked at to tell words from tags."""
OF_WORDS = (TAGS.name, TREE.name)
"""Kinds of columns with a value for each word."""


def with_sentences(table: Table, given: Mapping[str, Sequence[str]], kinds: Mapping[str, Kind]) -> Table:
    """`table` with kinds for columns of lists: words, and tags where they are as long as a column of words.

    Lists that are no label stay as they are, unless they are the words of a label.

    Args:
        table: Columns without kinds of their own, but those that their source states.
        given: Roles that are named.
        kinds: Kinds that are named.
    """
    label = table.label or "label"
    labels = [name for name in given.get("label", (label,)) if name in table.columns]
    lists = {name: _lengths(column) for name, column in table.columns.items() if kinds.get(name) in (None, *OF_WORDS)}
    known = {name: lengths for name, lengths in lists.items() if lengths is not None}
    inputs = given.get("input", [name for name in table.columns if name not in labels])
    words = [name for name in inputs if name in known and _holds_words(table.columns[name]) and name not in kinds]
    columns = dict(table.columns)
    for name in labels:
        beside = [other for other in words if name in known and _as_long(known[name], known[other])]
        if not beside:
            continue
        tokens = max(beside, key=lambda other: _variety(table.columns[other]))
        columns[tokens] = replace(columns[tokens], kind=WORDS.name)
        if kinds.get(name) is None:
            note = (
                f"its lists are as long as those of {tokens!r}, and so a tag for each word; if a row is a set of "
                f'classes: kinds={{{json.dumps(name)}: "several"}}'
            )
            columns[name] = replace(columns[name], kind=TAGS.name, values=_texts(columns[name]), note=note)
        for other in set(known) - {tokens, *labels}:
            if other in inputs and "input" not in given and _as_long(known[other], known[tokens]):
                columns[other] = replace(columns[other], kind=TAGS.name, values=_texts(columns[other]))
    return replace(table, columns=columns)


def check_lengths(columns: Mapping[str, Column], roles: Mapping[str, Sequence[str]]) -> None:
    """Raise DataError, naming the row, where a label has another number of words than an input of words."""
    inputs = [columns[name] for name in roles.get("input", ()) if columns[name].kind == WORDS.name]
    for label in (columns[name] for name in roles.get("label", ()) if columns[name].kind in OF_WORDS):
        for words in inputs:
            of_label, of_words = (lengths_of(loaded(column.values)) for column in (label, words))
            wrong = np.flatnonzero((of_label != of_words) & (of_label > 0) & (of_words > 0))
            if len(wrong):
                row = int(wrong[0])
                what = "tag" if label.kind == TAGS.name else "head"
                others = f" (and {count_of(len(wrong) - 1, 'other row')})" if len(wrong) > 1 else ""
                raise DataError(
                    f"The column {label.name!r} has {count_of(int(of_label[row]), what)} in row {row} (rows count from "
                    f"0) for the {count_of(int(of_words[row]), 'word')} in {words.name!r}{others}; each word needs "
                    "one. Correct the row, or leave it out."
                )


def _lengths(column: TypedColumn) -> NDArray[np.int64] | None:
    """The length of the list in each row, 0 where there is none; None for a column of anything else."""
    values = column.values
    if column.kind not in (None, "text"):
        return None
    if len(values.shape) == 2 and values.dtype.kind in "iu":
        return np.full(len(values), values.shape[1], np.int64)
    if len(values.shape) != 1 or values.dtype.kind != "O":
        return None
    lengths = []
    for value in loaded(values).tolist():
        listed = list_in(value) if isinstance(value, str) else None if value else []
        if listed is None or not all(isinstance(part, str | int) for part in listed):
            return None
        lengths.append(len(listed))
    return np.array(lengths, np.int64) if any(lengths) else None


def _holds_words(column: TypedColumn) -> bool:
    """True if lists hold strings: numbers are tags, or vectors."""
    if column.values.dtype.kind != "O":
        return False
    values = (list_in(value) for value in loaded(column.values).tolist() if value)
    return all(isinstance(part, str) for value in values for part in value or ())


def _variety(column: TypedColumn) -> int:
    """The number of different words in the first rows of lists of them: tags are few."""
    first = loaded(column.values).tolist()[:LOOKED_AT]
    return len({word for value in first if value for word in list_in(value) or ()})


def _as_long(first: NDArray[np.int64], second: NDArray[np.int64]) -> bool:
    there = (first > 0) & (second > 0)
    return bool(there.any() and (first[there] == second[there]).mean() >= SURELY)


def _texts(column: TypedColumn) -> NDArray[Any]:
    """Lists as JSON, of numbers too."""
    if column.values.dtype.kind == "O":
        return loaded(column.values)
    return as_objects([json.dumps(row) for row in loaded(column.values).tolist()])
