"""The one step that gives raw values their types: cells, Python values, series, arrays, images and sounds."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from manyways.data import sources
from manyways.data.boxes import misfits
from manyways.data.inference import masks, media, series
from manyways.data.inference.arrays import column_from_array
from manyways.data.inference.cells import columns_of_cells
from manyways.data.inference.join import joined
from manyways.data.inference.objects import column_from_objects
from manyways.data.inference.table import Table, TypedColumn, like, sizes_of, table_of
from manyways.data.kinds import Kind
from manyways.data.parts import TRAINING
from manyways.data.sources import of_tasks
from manyways.data.sources.base import (
    IN_MEMORY,
    Cells,
    Item,
    Masks,
    Media,
    Options,
    Raw,
    RawColumn,
    RawTable,
    Typed,
    Values,
)
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
    return table if raw.given is None else with_labels(table, raw.given, options)


def with_labels(table: Table, values: Values, options: Options) -> Table:
    """`table` with `values` as its column `label`, the last: of three axes as masks.

    Raises DataError for another length.
    """
    if isinstance(values, np.ndarray) and values.ndim >= 3:
        column = masks.of_array(values, "label", options.kinds.get("label", "mask"), IN_MEMORY)
    else:
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
    drawings: dict[int, Masks] = {}
    for place, column in enumerate(raw.columns):
        name = column.media or column.name
        kind = options.kinds.get(name, column.kind) or _kind_of_mask(name, column.values, options)
        items = _items(column, name, raw, options)
        values = column.values
        if isinstance(values, Masks) or (items is not None and kind in masks.TYPES):
            columns.append(None)
            drawings[place] = values if isinstance(values, Masks) else masks.of_items(items or (), name)
        elif items is not None or isinstance(values, Media):
            decoded, reasons = media.decode(name, items or (), options, column.where or raw.where, _media(values))
            columns.append(decoded)
            bad |= reasons
        elif kind in masks.TYPES and isinstance(values, np.ndarray):
            columns.append(masks.of_array(values, name, kind, column.where or raw.where))
        elif isinstance(values, Cells):
            columns.append(None)
            cells[place] = values
        else:
            typed = _column(column.name, values, column.where or raw.where, column.key)
            columns.append(typed if column.kind is None else replace(typed, kind=column.kind))
    for place, read in zip(cells, columns_of_cells(list(cells.values()), options, raw.where), strict=True):
        columns[place] = read
    for place, drawing in drawings.items():
        name = raw.columns[place].name
        pictures = masks.pictures_of(drawing, columns, name, raw.where)
        kind = options.kinds.get(name, raw.columns[place].kind) or "mask"
        columns[place], reasons = masks.decode(name, drawing, pictures, kind)
        bad = reasons | bad
    bad = {**_misplaced(raw, options, columns), **bad, **raw.bad}
    if raw.rows:
        bad = {row: f"{raw.rows[row]}: {why}" for row, why in bad.items()}
    return table_of([column for column in columns if column is not None], raw, bad)


def _misplaced(raw: RawTable, options: Options, columns: Sequence[TypedColumn | None]) -> dict[int, str]:
    """Reasons why rows cannot be used: their boxes do not lie in their picture."""
    images = [column for column in columns if column is not None and column.kind == "image"]
    bad: dict[int, str] = {}
    for column in raw.columns:
        values = column.values
        is_boxes = options.kinds.get(column.name, column.kind) == "boxes"
        if is_boxes and isinstance(values, list) and len(images) == 1 and len(values) == len(images[0].values):
            bad |= misfits(values, sizes_of(images[0]))
    return bad


def _kind_of_mask(name: str, values: object, options: Options) -> Kind | None:
    """A label of three axes is a mask, as an input of three axes is an image."""
    return "mask" if name in options.labels and isinstance(values, np.ndarray) and values.ndim >= 3 else None


def _media(values: object) -> Media:
    """The facts that a source states of its images."""
    return values if isinstance(values, Media) else Media(())


def _items(column: RawColumn, name: str, raw: RawTable, options: Options) -> Sequence[Item] | None:
    """The images or sounds of a column; None where it holds other values."""
    values, kind, where = column.values, options.kinds.get(name), column.where or raw.where
    if isinstance(values, Media):
        return values.items
    if isinstance(values, Masks):
        return None
    if kind in masks.TYPES:
        kind = "image"  # of which the names of files are told in the same way
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
