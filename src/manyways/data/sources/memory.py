"""What is in memory already: arrays, tensors, data frames, a pair (inputs, labels), a mapping of columns."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.categories import as_objects
from manyways.data.sources import media
from manyways.data.sources.arrays import column_from_array, input_columns
from manyways.data.sources.base import Options, RawColumn, Table, table_of
from manyways.data.sources.frames import columns_of
from manyways.errors import DataError

ORDER = 10
NAME = "data in memory"


def accepts(source: Any) -> bool:
    """An array, tensor or frame; a tuple of inputs and labels; a mapping or list of values."""
    return isinstance(source, np.ndarray | Mapping | tuple | list) or _is_lazy(source)


def load(source: Any, options: Options) -> Table:
    """A table of the values as they are; images alone are brought to uint8 [n, channels, height, width].

    A pair is inputs and labels, the labels in a column `label`. A mapping has a column per key, and so has a list
    of mappings, one a row. Raises DataError for arrays of other lengths, axes, types or ranges.
    """
    if isinstance(source, tuple):
        if len(source) != 2:
            raise DataError(f"A tuple must be the pair (inputs, labels); got {len(source)} elements.")
        table = load(source[0], options)
        return with_column(table, "label", source[1])
    if isinstance(source, list) and source and all(isinstance(row, Mapping) for row in source):
        names = dict.fromkeys(name for row in source for name in row)
        source = {name: [row.get(name) for row in source] for name in names}
    if isinstance(source, Mapping):
        if not source:
            raise DataError("The mapping has no columns; give at least one: read({'text': texts, 'label': labels}).")
        return _table([(str(name), values) for name, values in source.items()], "data", options)
    if _is(source, "polars", "DataFrame"):
        columns, bad = columns_of(source, options, NAME, folder=Path())
        return table_of(columns, "frame", NAME, bad=bad)
    if _is(source, "pandas", "DataFrame"):
        return _table([(str(name), source.iloc[:, at]) for at, name in enumerate(source.columns)], "frame", options)
    if isinstance(source, list) and (items := _items("image", source, options)) is not None:
        column, bad = media.decode("image", items, options, NAME)
        return table_of([column], "data", NAME, bad=bad)
    values = as_array(source)
    name = "image" if values.ndim >= 3 else "text" if values.dtype.kind in "OUS" else "x"
    return table_of(input_columns(values, name, NAME, "memory"), "data", NAME)


def _table(columns: Sequence[tuple[str, Any]], name: str, options: Options) -> Table:
    made: list[RawColumn] = []
    bad: dict[int, str] = {}
    for each, values in columns:
        items = _items(each, values, options)
        if items is None:
            made.append(_column(each, values))
        else:
            column, reasons = media.decode(each, items, options, NAME)
            made.append(column)
            bad |= reasons
    return table_of(made, name, NAME, bad=bad)


def _items(name: str, values: Any, options: Options) -> list[media.Item] | None:
    """The images or sounds in a column: names of files, or images some of which lack or differ in size; else None."""
    if _is(values, "pandas", "Series"):
        values = _from_pandas(values)
    objects = isinstance(values, list | tuple) or (isinstance(values, np.ndarray) and values.dtype.kind in "OUS")
    held = list(values) if objects else []
    first = next((value for value in held if value is not None), None)
    if isinstance(first, str):
        words = all(value is None or isinstance(value, str) for value in held)
        return media.files_of(name, held, Path(), options.kinds.get(name), NAME) if words else None
    if first is None or isinstance(first, bool | int | float):
        return None
    from manyways.data.sources import images

    plain = [as_array(value) if is_values(value) and not isinstance(value, np.ndarray) else value for value in held]
    plain = images.arrays_of(plain) or plain
    return images.items_of(plain, name, NAME)


def with_column(table: Table, name: str, values: Any) -> Table:
    """`table` with the column `name` of `values` added or replaced. Raises DataError for another length."""
    column = _column(name, values)
    if len(column.values) != len(table):
        raise DataError(
            f"There are {len(column.values):,} labels for {len(table):,} rows of {table.source}; give one per row, "
            "None where it is unknown."
        )
    columns = [each for each in table.columns.values() if each.name != name]
    return replace(table, columns={each.name: each for each in [*columns, column]}, label=name)


def is_values(value: Any) -> bool:
    """Whether `value` is an array, a tensor or a series: values of a column rather than names of columns."""
    return isinstance(value, np.ndarray) or _is_lazy(value)


def as_array(values: Any) -> NDArray[Any]:
    """An array, tensor, series or list as an array; missing entries are None or NaN."""
    if _is(values, "torch", "Tensor"):
        values = values.detach().cpu()
        if str(values.layout) != "torch.strided":
            raise DataError(f"A tensor must be dense; got one of layout {values.layout}. Type x.to_dense().")
        # NumPy has no bfloat16.
        return np.asarray((values if str(values.dtype) != "torch.bfloat16" else values.float()).numpy())
    if _is(values, "pandas", "Series"):
        return _from_pandas(values)
    if isinstance(values, np.ma.MaskedArray):
        kept, mask = np.ma.getdata(values), np.ma.getmaskarray(values)
        filled = kept.astype(np.float64 if kept.dtype.kind in "iuf" else object)
        filled[mask] = None  # NaN where the array is one of numbers
        return filled
    if isinstance(values, np.ndarray) or _is(values, "polars", "Series"):
        return values if isinstance(values, np.ndarray) else np.asarray(values.to_numpy())
    if isinstance(values, list | tuple):
        return _from_list(values)
    raise DataError(
        f"Values of type {type(values).__module__}.{type(values).__qualname__} cannot be read; allowed are arrays, "
        "tensors, series and lists. A sparse matrix: x.toarray()."
    )


def _from_list(values: Sequence[Any]) -> NDArray[Any]:
    if all(isinstance(value, bool | int | float | np.generic) for value in values):
        return np.array(values)
    if not all(is_values(value) for value in values):
        return as_objects(values)
    try:
        return np.stack([as_array(value) for value in values])
    except ValueError as error:
        raise DataError(f"A list of arrays must hold arrays of one shape: {error}.") from error


def _column(name: str, values: Any) -> RawColumn:
    return column_from_array(as_array(values), name, NAME, "memory")


def _from_pandas(series: Any) -> NDArray[Any]:
    import pandas as pd

    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(series.cat.categories.dtype)
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        return np.asarray(series.to_numpy(dtype="datetime64[us]", na_value=np.datetime64("NaT")))
    if pd.api.types.is_numeric_dtype(series.dtype):
        if not series.isna().any():
            return np.asarray(series.to_numpy())
        if not pd.api.types.is_bool_dtype(series.dtype):
            return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
    missing = series.isna().to_numpy()
    return as_objects([None if gone else value for value, gone in zip(series.tolist(), missing, strict=True)])


def _is(value: Any, module: str, name: str) -> bool:
    """Whether `value` is an instance of `module.name`, without importing a module."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(value, getattr(loaded, name))


def _is_lazy(value: Any) -> bool:
    kinds = (
        ("torch", "Tensor"),
        ("polars", "DataFrame"),
        ("polars", "Series"),
        ("pandas", "DataFrame"),
        ("pandas", "Series"),
    )
    return any(_is(value, module, name) for module, name in kinds)
