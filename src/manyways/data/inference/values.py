"""The one step that gives raw values their types: cells, Python values, series, arrays, images and sounds."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from manyways.data import sources
from manyways.data.inference import media, series
from manyways.data.inference.arrays import column_from_array
from manyways.data.inference.cells import columns_of_cells
from manyways.data.inference.join import joined
from manyways.data.inference.objects import column_from_objects
from manyways.data.inference.table import Table, TypedColumn, like, table_of
from manyways.data.parts import TRAINING
from manyways.data.sources import of_tasks
from manyways.data.sources.base import IN_MEMORY, Cells, Item, Media, Options, Raw, RawColumn, RawTable, Typed, Values
from manyways.errors import DataError


def load(source: Any, options: Options) -> Table:
    """The table that `source` holds. Raises DataError where no reader can read it, or a column has no one type."""
    with sources.unreadable(source):
        raw = of_tasks.folder(source, options) or sources.opened(source, options)
        with sources.renamed(raw.alias):
            return _typed(raw, options)


def _typed(raw: Raw, options: Options) -> Table:
    tables: list[tuple[int, Table]] = []
    for part, each in raw.tables:
        table = infer(each, options)
        options = like(options, table)
        tables.append((part, table))
    table = tables[0][1]
    if [part for part, _ in tables] != [TRAINING]:
        table = joined(tables, raw.name, raw.source, options.labels)
    table = replace(table, name=raw.name, source=raw.source, ignored={**table.ignored, **raw.ignored})
    return table if raw.given is None else with_labels(table, raw.given)


def with_labels(table: Table, values: Values) -> Table:
    """`table` with `values` as its column `label`, the last. Raises DataError for another length."""
    column = _column("label", values, IN_MEMORY)
    if len(column.values) != len(table):
        raise DataError(
            f"There are {len(column.values):,} labels for {len(table):,} rows of {table.source}; give one per row, "
            "None where it is unknown."
        )
    others = {name: other for name, other in table.columns.items() if name != "label"}
    return replace(table, columns={**others, "label": column}, label="label")


def infer(raw: RawTable, options: Options) -> Table:
    """The values of `raw` with their types, images and sounds decoded. Raises DataError where a column has no one."""
    columns: list[TypedColumn | None] = []
    bad: dict[int, str] = {}
    cells: dict[int, Cells] = {}
    for place, column in enumerate(raw.columns):
        name = column.media or column.name
        items = _items(column, name, raw, options)
        values = column.values
        if items is not None or isinstance(values, Media):
            decoded, reasons = media.decode(name, items or (), options, column.where or raw.where)
            columns.append(decoded)
            bad |= reasons
        elif isinstance(values, Cells):
            columns.append(None)
            cells[place] = values
        else:
            typed = _column(column.name, values, column.where or raw.where, column.key)
            columns.append(typed if column.kind is None else replace(typed, kind=column.kind))
    for place, read in zip(cells, columns_of_cells(list(cells.values()), options, raw.where), strict=True):
        columns[place] = read
    if raw.rows:
        bad = {row: f"{raw.rows[row]}: {why}" for row, why in bad.items()}
    return table_of([column for column in columns if column is not None], raw, bad)


def _items(column: RawColumn, name: str, raw: RawTable, options: Options) -> Sequence[Item] | None:
    """The images or sounds of a column; None where it holds other values."""
    values, kind, where = column.values, options.kinds.get(name), column.where or raw.where
    if isinstance(values, Media):
        return values.items
    if isinstance(values, Cells | Typed):
        return series.items_in(values.series, raw.folder, kind, where)
    if isinstance(values, np.ndarray) and values.dtype.kind == "U" and raw.folder is not None:
        values = values.tolist()
    return media.items_in(name, values, raw.folder, kind, where) if isinstance(values, list) else None


def _column(name: str, values: Values, where: str, key: str = "") -> TypedColumn:
    if isinstance(values, list):
        return column_from_objects(name, values, where)
    if isinstance(values, Typed):
        return series.column_from_series(values.series, where)
    return column_from_array(values, name, where, key)
