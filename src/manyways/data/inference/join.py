"""Tables one under the other: parts of one data set."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.categories import as_objects, spelling
from manyways.data.inference.table import Table, TypedColumn, sizes_of
from manyways.data.kinds import Kind
from manyways.data.parts import TRAINING
from manyways.data.sources.rows import join
from manyways.data.storage import loaded
from manyways.errors import DataError


def joined(tables: Sequence[tuple[int, Table]], name: str, source: str, labels: Sequence[str]) -> Table:
    """The rows of all `tables`, each in its part, with the columns of the first.

    A column of `labels` that a later table lacks is missing there; a column that only a later one has is
    ignored, with the reason. Raises DataError for any other column that is missing, or that is of another
    kind or shape.
    """
    first = tables[0][1]
    columns = {key: _joined_column(key, [table for _, table in tables], labels) for key in first.columns}
    ignored: dict[str, str] = {}
    notes: dict[str, str] = {}
    bad: dict[int, str] = {}
    parts: list[np.ndarray[tuple[int], np.dtype[np.uint8]]] = []
    start = 0
    for part, table in tables:
        ignored |= table.ignored
        notes |= table.notes
        ignored |= {key: f"is in {table.source} only" for key in table.columns if key not in first.columns}
        bad |= {start + row: reason for row, reason in table.bad.items()}
        parts.append(np.full(len(table), part, np.uint8))
        if table.part is not None and part == TRAINING:
            parts[-1] = table.part
        start += len(table)
    headless = next((table.headless for _, table in tables if table.headless), "")
    return Table(columns, name, source, np.concatenate(parts), bad, ignored, first.label, notes, headless)


def _joined_column(key: str, tables: Sequence[Table], labels: Sequence[str]) -> TypedColumn:
    first = tables[0].columns[key]
    pieces: list[TypedColumn] = []
    for table in tables:
        column = table.columns.get(key)
        if column is None and key not in (*labels, tables[0].label):
            raise DataError(
                f"{table.source} lacks the column {key!r} that {tables[0].source} has; its columns are "
                f"{', '.join(table.columns)}."
            )
        pieces.append(column or TypedColumn(key, as_objects([None] * len(table))))
    problem = next((piece.problem for piece in pieces if piece.problem), None)
    pieces = _of_one_type(pieces)
    for table, piece in zip(tables, pieces, strict=True):
        if piece.values.shape[1:] != first.values.shape[1:] or _kind(piece) != _kind(pieces[0]):
            raise DataError(
                f"The column {key!r} is {_described(first)} in {tables[0].source}, but {_described(piece)} in "
                f"{table.source}; parts of one data set need the same."
            )
    if len({piece.rate for piece in pieces}) > 1:
        raise DataError(f"The column {key!r} has several sample rates; pass sample_rate=….")
    absent = None
    if any(piece.absent is not None for piece in pieces):
        lacking = [np.zeros(len(piece.values), bool) if piece.absent is None else piece.absent for piece in pieces]
        absent = np.concatenate(lacking)
    exact = None
    if any(piece.exact is not None for piece in pieces):
        exact = np.concatenate([_as_objects(piece) for piece in pieces])
    sizes = None
    if any(piece.sizes is not None for piece in pieces):
        sizes = np.concatenate([sizes_of(piece) for piece in pieces])
    values = join([piece.values for piece in pieces])
    return replace(first, values=values, problem=problem, absent=absent, exact=exact, sizes=sizes)


def _of_one_type(pieces: list[TypedColumn]) -> list[TypedColumn]:
    """Columns that are all missing take the type of the others; beside words whole numbers and truth are words."""
    objects = [piece.values.dtype.kind == "O" for piece in pieces]
    if all(objects) or not any(objects) or len(pieces[0].values.shape) != 1:
        return pieces
    empty = [
        is_object and all(value is None for value in loaded(piece.values))
        for piece, is_object in zip(pieces, objects, strict=True)
    ]
    numeric = all(is_empty or not is_object for is_empty, is_object in zip(empty, objects, strict=True))
    out: list[TypedColumn] = []
    for piece, is_object in zip(pieces, objects, strict=True):
        values = loaded(piece.values)
        if numeric and is_object:
            out.append(replace(piece, values=np.full(len(values), np.nan)))
        elif not numeric and values.dtype.kind == "f" and _are_whole(values):
            out.append(replace(piece, values=as_objects([spelling(value) or None for value in values])))
        elif not numeric and values.dtype.kind in "iub":
            out.append(replace(piece, values=as_objects([str(value) for value in values.tolist()])))
        else:
            out.append(piece)
    return out


def _are_whole(values: NDArray[Any]) -> bool:
    known = values[~np.isnan(values)]
    return bool((known == np.round(known)).all() and np.isfinite(known).all())


def _as_objects(piece: TypedColumn) -> NDArray[Any]:
    """The values of a column as objects, whole numbers as such; None where they are missing."""
    if piece.exact is not None:
        return piece.exact
    values = loaded(piece.values)
    if values.dtype.kind != "f":
        return values.astype(object)
    return as_objects([None if np.isnan(value) else int(value) for value in values.tolist()])


def _kind(column: TypedColumn) -> tuple[Kind | None, bool]:
    return column.kind, column.values.dtype.kind == "O"


def _described(column: TypedColumn) -> str:
    words = column.kind or ("words" if column.values.dtype.kind == "O" else "numbers")
    shape = "x".join(map(str, column.values.shape[1:]))
    return f"{words} of shape {shape}" if shape else words
