"""Values in memory: arrays, tensors, data frames, a pair (inputs, labels), a mapping of columns."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.categories import as_objects
from manyways.data.sources.base import IN_MEMORY, Options, Raw, RawColumn, RawTable, Typed, alone, input_columns
from manyways.errors import DataError

ORDER = 10
MISSING = frozenset({"NAType", "NaTType"})
"""Types of the marks of a missing value that data frames use."""
IMAGE_AXES = (2, 3)
"""Axes of one image."""


def accepts(source: Any) -> bool:
    """An array, tensor or frame; a tuple of inputs and labels; a mapping or list of values."""
    return isinstance(source, np.ndarray | Mapping | tuple | list) or _is_lazy(source)


def load(source: Any, options: Options) -> Raw:
    """A table of the values as they are.

    A pair is inputs and labels, the labels in a column `label`. A mapping has a column per key, and so has a list
    of mappings, one a row. Raises DataError for what holds no columns.
    """
    if isinstance(source, tuple):
        if len(source) != 2:
            raise DataError(f"A tuple must be the pair (inputs, labels); got {len(source)} elements.")
        return replace(load(source[0], options), given=as_values(source[1]))
    if isinstance(source, list) and source and all(isinstance(row, Mapping) for row in source):
        names = dict.fromkeys(name for row in source for name in row)
        source = {name: [row.get(name) for row in source] for name in names}
    if isinstance(source, Mapping):
        if not source:
            raise DataError("The mapping has no columns; give at least one: read({'text': texts, 'label': labels}).")
        return _table([RawColumn(str(name), as_values(values)) for name, values in source.items()], "data")
    if _is(source, "polars", "DataFrame"):
        return _table([RawColumn(name, Typed(source[name])) for name in source.columns], "frame")
    if _is(source, "pandas", "DataFrame"):
        series = [(str(name), source.iloc[:, at]) for at, name in enumerate(source.columns)]
        return _table([RawColumn(name, as_values(values)) for name, values in series], "frame")
    values = as_values(source)
    if isinstance(values, list):
        return _table([RawColumn("text", values, media="image")], "data")
    name = "image" if values.ndim >= 3 else "text" if values.dtype.kind in "OUS" else "x"
    return _table(input_columns(values, name, IN_MEMORY, ""), "data")


def _table(columns: Sequence[RawColumn], name: str) -> Raw:
    return alone(RawTable(columns, name, IN_MEMORY, folder=Path()))


def is_values(value: Any) -> bool:
    """True if `value` is an array, a tensor or a series: values of a column rather than names of columns."""
    return isinstance(value, np.ndarray) or _is_lazy(value)


def as_values(values: Any) -> NDArray[Any] | list[Any]:
    """An array, tensor, series or list as an array of one type or a list of objects, None or NaN where missing."""
    array = _from_list(values) if isinstance(values, list | tuple) else _as_array(values)
    if isinstance(array, np.ndarray) and array.dtype.kind == "O" and array.ndim == 1:
        array = array.tolist()
    if isinstance(array, np.ndarray) or MISSING.isdisjoint(kind.__name__ for kind in set(map(type, array))):
        return array
    return [None if type(value).__name__ in MISSING else value for value in array]


def _as_array(values: Any) -> NDArray[Any]:
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
    raise DataError(
        f"Values of type {type(values).__module__}.{type(values).__qualname__} cannot be read; allowed are arrays, "
        "tensors, series and lists. A sparse matrix: x.toarray()."
    )


def _from_list(values: Sequence[Any]) -> NDArray[Any] | list[Any]:
    examples = {type(value): value for value in values}
    if all(issubclass(kind, bool | int | float | np.generic) for kind in examples):
        return np.array(values)
    arrays = {kind for kind, value in examples.items() if is_values(value)}
    plain = [_as_array(value) if type(value) in arrays else value for value in values] if arrays else list(values)
    if len(arrays) < len(examples):
        return plain
    try:
        return np.stack(plain)
    except ValueError as error:
        if all(value.ndim in IMAGE_AXES for value in plain):
            return plain
        raise DataError(f"A list of arrays must hold arrays of one shape: {error}.") from error


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
    """True if `value` is an instance of `module.name`, without importing a module."""
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
