"""Series of polars as columns, and the images and sounds among them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.categories import as_objects
from manyways.data.inference.media import files_of, may_be_files
from manyways.data.inference.objects import column_from_objects, exact_of
from manyways.data.inference.table import TypedColumn
from manyways.data.kinds import Kind
from manyways.data.sources.base import Item
from manyways.data.sources.limits import HIGHEST_RATIO, UNPACKED, check_memory
from manyways.data.sources.media import item_of
from manyways.errors import DataError

if TYPE_CHECKING:
    import polars as pl

OBJECT = 64
"""Bytes that a Python value takes beside its text."""
LONG, REPEATED = 1000, 1 << 30
"""Bytes of a text that is no category, and those to which such texts may be repeated."""
LOOKED_AT = 100
"""Values that are looked at to tell whether a column names files."""


def items_in(series: "pl.Series", folder: Path | None, kind: Kind | None, where: str) -> list[Item] | None:
    """The images or sounds in a series: names of files, their bytes, or both as Hugging Face stores them; else None."""
    import polars as pl

    if series.dtype == pl.String:
        # A look at the first values spares most columns from becoming Python strings here.
        first = series.drop_nulls().head(LOOKED_AT)
        if kind is None and not may_be_files(first.to_list()):
            return None
        _check_texts(series, where)
        return files_of(series.name, series.to_list(), folder, kind, where)
    if series.dtype in (pl.Binary, pl.Struct):
        _check_texts(series, where)
    if series.dtype == pl.Binary:
        return series.to_list()
    if isinstance(series.dtype, pl.Struct) and {field.name for field in series.dtype.fields} == {
        "bytes",
        "path",
    }:
        return [item_of(value, folder) for value in series.to_list()]
    return None


def column_from_series(series: "pl.Series", where: str) -> TypedColumn:
    """A series as a column: dates as seconds, lists of one length as vectors, categories as words."""
    import polars as pl

    if series.dtype.is_temporal():
        dates = series.dtype == pl.Date or isinstance(series.dtype, pl.Datetime)
        return TypedColumn(series.name, _seconds(series), dates=dates)
    if series.dtype.is_numeric():
        if series.dtype.is_integer() and not series.null_count():
            return TypedColumn(series.name, series.to_numpy())
        numbers = series.cast(pl.Float64).to_numpy()
        exact = exact_of(series, numbers) if series.dtype.is_integer() else None
        return TypedColumn(series.name, numbers, exact=exact)
    if series.dtype == pl.String or isinstance(series.dtype, pl.Categorical | pl.Enum):
        return TypedColumn(series.name, _words(series, where))
    if (vectors := _vectors(series)) is not None:
        return TypedColumn(series.name, vectors)
    _check_texts(series, where)
    return column_from_objects(series.name, series.to_list(), where)


def _words(series: "pl.Series", where: str) -> NDArray[Any]:
    """The words of a column as objects; where they are categories, or much text, equal ones are one object.

    A file may hold a long text once, and name it a million times by its number.
    """
    import polars as pl

    size = _text_bytes(series)
    if series.dtype == pl.String and size <= UNPACKED:
        return np.asarray(series.to_numpy())
    distinct = series.unique(maintain_order=True)
    texts = distinct.cast(pl.String)
    _check_texts(texts, where)
    if size > max(REPEATED, LONG * len(series)) and size > HIGHEST_RATIO * (held := _text_bytes(texts)):
        raise DataError(
            f"{where}: the column {series.name!r} holds {held:,} bytes of text, and repeats them to {size:,}; texts of "
            f"more than {LONG:,} bytes may be repeated to {REPEATED:,}. Give the texts numbers, or shorten them."
        )
    keys, each = (column if column.dtype == pl.String else column.to_physical() for column in (distinct, series))
    numbers = pl.DataFrame([keys.alias("key")]).with_row_index("number")
    rows = each.alias("key").to_frame()
    found = rows.join(numbers, on="key", how="left", maintain_order="left", nulls_equal=True)["number"]
    objects: NDArray[Any] = as_objects(texts.to_list())[found.to_numpy()]
    return objects


def _check_texts(series: "pl.Series", where: str) -> None:
    need = _text_bytes(series)
    check_memory(need, where, f"the column {series.name!r} as Python values", "Shorten its texts, or divide the file.")


def _text_bytes(series: "pl.Series") -> int:
    """The bytes of memory that the values of a column take as Python values."""
    import polars as pl

    objects = OBJECT * len(series)
    if series.dtype == pl.String:
        return objects + int(series.str.len_bytes().sum())
    if series.dtype == pl.Binary:
        return objects + int(series.bin.size().sum())
    if isinstance(series.dtype, pl.Categorical | pl.Enum):
        counts = series.alias("text").value_counts(name="count")
        return objects + int((counts["text"].cast(pl.String).str.len_bytes() * counts["count"].cast(pl.Int64)).sum())
    if isinstance(series.dtype, pl.List | pl.Array):
        return objects + _text_bytes(series.explode())
    if isinstance(series.dtype, pl.Struct):
        return objects + sum(_text_bytes(series.struct.field(field.name)) for field in series.dtype.fields)
    return objects


def _vectors(series: "pl.Series") -> NDArray[Any] | None:
    """A column of number lists of one length as a matrix; None for any other column."""
    import polars as pl

    if series.null_count() or not len(series):
        return None
    if isinstance(series.dtype, pl.Array):
        return np.asarray(series.to_numpy())
    if isinstance(series.dtype, pl.List) and series.dtype.inner.is_numeric():
        lengths = series.list.len()
        if lengths.n_unique() == 1 and lengths[0] and not (values := series.explode()).null_count():
            return np.asarray(values.to_numpy().reshape(len(series), -1))
    return None


def _seconds(series: "pl.Series") -> NDArray[Any]:
    """Dates as seconds since 1970-01-01 UTC, durations and times of day as seconds; NaN where missing."""
    import polars as pl

    unit = 1e9 if series.dtype == pl.Time else 1e6
    if series.dtype == pl.Date or isinstance(series.dtype, pl.Datetime):
        series = series.cast(pl.Datetime("us"))
    elif isinstance(series.dtype, pl.Duration):
        series = series.cast(pl.Duration("us"))
    return np.asarray(series.cast(pl.Int64).cast(pl.Float64).to_numpy() / unit)
