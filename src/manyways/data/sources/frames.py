"""Columns of polars frames as raw columns; strings of a text file become numbers where they are numbers."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import Kind
from manyways.data.sources import media
from manyways.data.sources.base import Options, RawColumn
from manyways.data.sources.media import MISSING_WORDS
from manyways.data.sources.objects import as_objects, column_from_objects, mixed

if TYPE_CHECKING:
    import polars as pl

FEW_WORDS = 0.1
"""Up to this share of words, or five, in a column of numbers is a mistake; beyond it, it is one of words."""


def columns_of(
    frame: "pl.DataFrame", options: Options, where: str, *, untyped: bool = False, folder: Path | None = None
) -> tuple[list[RawColumn], dict[int, str]]:
    """The columns of `frame`, and its rows whose images or sounds could not be decoded.

    `untyped`: strings come from a text file, where a number is a string of digits. `folder`: where columns of
    image and sound file names are looked up.
    """
    columns: list[RawColumn] = []
    bad: dict[int, str] = {}
    for name in frame.columns:
        kind = options.kinds.get(name)
        series = frame[name]
        items = _media_items(series, folder, kind, where)
        if items is None:
            columns.append(_untyped(series, kind, where) if untyped else _typed(series, kind, where))
        else:
            column, reasons = media.decode(name, items, options, where)
            columns.append(column)
            bad |= reasons
    return columns, bad


def _media_items(series: "pl.Series", folder: Path | None, kind: Kind | None, where: str) -> list[media.Item] | None:
    import polars as pl

    if series.dtype == pl.String:
        # One look at the first value spares most columns from becoming Python strings here.
        said = series.is_not_null() & ~series.str.to_lowercase().is_in(list(MISSING_WORDS))
        first = series[said.arg_max() or 0] if len(series) else None
        if kind is None and (first is None or not media.kind_of(Path(first))):
            return None
        return media.files_of(series.name, series.to_list(), folder, kind, where)
    if series.dtype == pl.Binary:
        return series.to_list()
    if isinstance(series.dtype, pl.Struct) and {field.name for field in series.dtype.fields} == {
        "bytes",
        "path",
    }:
        return [media.item_of(value, folder) for value in series.to_list()]
    return None


def _untyped(series: "pl.Series", kind: Kind | None, where: str) -> RawColumn:
    import polars as pl

    if kind in ("category", "text"):
        return RawColumn(series.name, series.to_numpy())
    known = len(series) - series.null_count()
    numbers = series.cast(pl.Float64, strict=False)
    if numbers.null_count() > series.null_count():
        # Spaces and words for `missing` are rare: only what failed as it stands is looked at again.
        bare = series.str.strip_chars()
        bare = bare.set(bare.str.to_lowercase().is_in(list(MISSING_WORDS)), None)
        numbers = bare.cast(pl.Float64, strict=False)
        odd = (numbers.is_null() & bare.is_not_null()).arg_true()
        real = len(series) - numbers.null_count()
        if len(odd):
            problem = None
            if real > len(odd) and len(odd) <= max(5, FEW_WORDS * known):
                problem = mixed(series.name, where, real, dict(zip(odd, series.gather(odd), strict=True)))
            return RawColumn(series.name, series.to_numpy(), problem=problem)
        series = bare
    if numbers.null_count() == len(numbers):
        return RawColumn(series.name, as_objects([None] * len(series)))
    whole = series.cast(pl.Int64, strict=False)
    return RawColumn(series.name, (numbers if whole.null_count() else whole).to_numpy())


def _typed(series: "pl.Series", kind: Kind | None, where: str) -> RawColumn:
    import polars as pl

    if isinstance(series.dtype, pl.Categorical | pl.Enum):
        series = series.cast(pl.String)
    if series.dtype.is_temporal():
        return RawColumn(series.name, _seconds(series))
    if series.dtype.is_numeric():
        exact = series.dtype.is_integer() and not series.null_count()
        return RawColumn(series.name, (series if exact else series.cast(pl.Float64)).to_numpy())
    if series.dtype == pl.String:
        return RawColumn(series.name, series.to_numpy())
    if (vectors := _vectors(series)) is not None:
        return RawColumn(series.name, vectors)
    return column_from_objects(series.name, series.to_list(), kind, where)


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
