"""Spans among the columns of a table: answers beside where they start, and whether they stand in the text."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from manyways.data.categories import as_objects
from manyways.data.columns import Column
from manyways.data.inference.table import Table, TypedColumn
from manyways.data.kinds import Kind
from manyways.data.kinds.span import SPAN
from manyways.data.notation import is_missing
from manyways.data.phrases import count_of
from manyways.data.spans import Span, placed, spans_of, spelled
from manyways.data.storage import loaded
from manyways.errors import DataError

START = ("start", "answer_start")
"""Names of the column that says where an answer starts."""
QUESTION, CONTEXT, ANSWER = "question", "context", "answer"
"""The usual names of columns; of several texts that a span may be of, it is of the context."""


def with_starts(table: Table, given: Mapping[str, Sequence[str]], kinds: Mapping[str, Kind]) -> Table:
    """`table` with the column of starts in that of answers, where a label is a span by its kind or its columns.

    Columns called context, question, answer and start are such without being named.

    Args:
        table: Columns without kinds of their own, but those that their source states.
        given: Roles that are named.
        kinds: Kinds that are named.
    """
    start = next((name for name in START if name in table.columns), None)
    taken = {name for names in given.values() for name in names}
    usual = {CONTEXT, QUESTION, ANSWER} <= set(table.columns) and not kinds.get(ANSWER)
    beside = usual and start is not None
    names = given.get("label", (table.label or ANSWER,) if beside or table.label else ())
    spans = [name for name in names if name in table.columns and _is_span(table.columns[name], kinds.get(name), beside)]
    if len(spans) != 1:
        return table
    (name,) = spans
    columns = dict(table.columns)
    if start and start not in taken and columns[name].kind != SPAN.name:
        columns[name] = _joined(columns[name], columns.pop(start))
    columns[name] = replace(columns[name], kind=SPAN.name)
    # A short question looks like a category, and is none.
    for text in given.get("input", (QUESTION, CONTEXT)):
        column = columns.get(text)
        if column is not None and column.kind is None and column.values.dtype.kind == "O" and text not in kinds:
            columns[text] = replace(column, kind="text")
    return replace(table, columns=columns, label=table.label or name)


def _is_span(column: TypedColumn, kind: Kind | None, beside: bool) -> bool:
    """True if a label holds spans: by its `kind`, its source or its values, or `beside` where they start."""
    if kind is not None or column.kind not in (None, "text"):
        return SPAN.name in (kind, column.kind)
    if column.values.dtype.kind != "O" or len(column.values.shape) != 1:
        return False
    return (beside and column.name == ANSWER) or SPAN.fits_label(loaded(column.values))


def with_places(columns: dict[str, Column], roles: Mapping[str, Sequence[str]]) -> dict[str, Column]:
    """`columns` with spans where they stand in the text that they are of, an input.

    Raises:
        DataError: One is outside the text, or something else stands there; or there is no text. It names the row.
    """
    labels = [name for name in roles.get("label", ()) if columns[name].kind == SPAN.name]
    if not labels:
        return columns
    texts = [columns[name] for name in roles.get("input", ()) if columns[name].kind == "text"]
    if not texts:
        raise DataError(
            f'The label {labels[0]!r} holds spans of a text, and no input is a text. Name it: input=("question", '
            '"context").'
        )
    return {**columns, **{name: _placed(columns[name], text_of(columns[name], texts)) for name in labels}}


def text_of(label: Column, texts: Sequence[Column]) -> Column:
    """The one of `texts` in which the most spans of `label` stand; of equals that called context, or the longest."""
    answers = [spans_of(value) if value else () for value in loaded(label.values).tolist()[:1000]]

    def fit(column: Column) -> tuple[int, bool, int]:
        held = [str(value or "") for value in column.take(np.arange(min(len(column), 1000))).tolist()]
        inside = sum(all(span.text in text for span in spans) for spans, text in zip(answers, held, strict=True))
        return inside, column.name == CONTEXT, sum(map(len, held))

    return max(texts, key=fit)


def _joined(answers: TypedColumn, starts: TypedColumn) -> TypedColumn:
    """Words and where they start, as one column; an empty answer beside a start below 0 is none."""
    words, places = loaded(answers.values), loaded(starts.values)
    missing, unplaced = is_missing(words), is_missing(places)
    out: list[Any] = []
    for word, place, gone, lost in zip(words.tolist(), places.tolist(), missing, unplaced, strict=True):
        where = None if lost else _number(place)
        if gone:
            out.append(spelled(()) if where is not None else None)
        else:
            out.append(word if where is None else f'{{"text": [{_json(word)}], "start": [{where}]}}')
    return replace(answers, values=as_objects(out))


def _number(place: Any) -> Any:
    try:
        number = float(place)
    except ValueError:
        return _json(place)
    return int(number) if number == int(number) else number


def _json(value: Any) -> str:
    import json

    return json.dumps(str(value), ensure_ascii=False)


def _placed(label: Column, text: Column) -> Column:
    rows = np.arange(len(label))
    out: list[str | None] = []
    faults: list[tuple[int, str]] = []
    for row, (value, context) in enumerate(zip(label.take(rows).tolist(), text.take(rows).tolist(), strict=True)):
        try:
            spans = () if value is None else spans_of(value)
            out.append(None if value is None else spelled([placed(Span(*span), str(context or "")) for span in spans]))
        except ValueError as error:
            faults.append((row, str(error)))
    if faults:
        row, fault = faults[0]
        others = f" (and {count_of(len(faults) - 1, 'other row')})" if len(faults) > 1 else ""
        raise DataError(
            f"The spans in {label.name!r} must stand in {text.name!r}; in row {row} (rows count from 0){others} "
            f"{fault}. Correct its start, which counts characters from 0, or leave the answer empty: the row is "
            "unlabelled then."
        )
    return replace(label, values=as_objects(out))
