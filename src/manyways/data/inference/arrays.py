"""Arrays as columns: numbers, vectors, strings, and images in any common layout."""

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.categories import as_objects
from manyways.data.inference.objects import column_from_objects
from manyways.data.inference.table import TypedColumn
from manyways.data.sources.rows import IN_MEMORY, keep, key_of_rows
from manyways.data.storage import FileRows, Rows, chunks_of, loaded, row_bytes
from manyways.errors import DataError

HIGHEST = 0x10FFFF
"""The number of Unicode's last character."""


def column_from_array(values: Rows, name: str, where: str, key: str) -> TypedColumn:
    """An array as one column: [n] numbers or strings, [n, width] numbers, three or four axes images.

    Images become uint8 [n, channels, height, width], where large kept under `key`, or that of their content. Raises
    DataError for other axes, types and ranges.
    """
    kind, axes = values.dtype.kind, len(values.shape)
    if axes == 0 or axes > 4:
        raise DataError(
            f"{where}: {name!r} has {axes} axes {values.shape}; allowed are 1 (values), 2 (vectors), and 3 or 4 "
            "(images). Reshape it, or give one array per column: read({'a': a, 'b': b})."
        )
    if axes == 1 and kind in "OUSM":
        return _column_of_objects(loaded(values), name, where)
    if kind not in "iufb":
        raise DataError(
            f"{where}: {name!r} is an array of type {values.dtype} with shape {values.shape}; allowed are numbers and, "
            "with one axis, strings."
        )
    if axes >= 3:
        return TypedColumn(name, as_images(values, name, where, key), "image")
    if axes == 2 and (kind == "b" or values.shape[1] == 1):
        held = loaded(values)
        return TypedColumn(name, held[:, 0] if held.shape[1] == 1 else held.astype(np.uint8))
    return TypedColumn(name, values)


def _column_of_objects(values: NDArray[Any], name: str, where: str) -> TypedColumn:
    if values.dtype.kind == "O":
        return column_from_objects(name, values.tolist(), where)
    if values.dtype.kind == "M":
        seconds = values.astype("datetime64[us]").astype(np.float64) / 1e6
        return TypedColumn(name, np.where(np.isnat(values), np.nan, seconds), dates=True)
    return TypedColumn(name, as_objects(_texts(values, name, where)))


def _texts(values: NDArray[Any], name: str, where: str) -> list[str]:
    """Strings of an array, which may hold any bytes as such, as Python's; bytes are read as UTF-8."""
    try:
        if values.dtype.kind == "S":
            return [text.decode() for text in values.tolist()]
        codes = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("=")).view(np.uint32)
        if ((codes > HIGHEST) | ((codes >= 0xD800) & (codes <= 0xDFFF))).any():
            raise ValueError("a character is none of Unicode")
        return [str(text) for text in values.tolist()]
    except ValueError as error:
        raise DataError(
            f"{where}: the strings {name!r} are damaged: {error}. Save them again as UTF-8: array.astype(str)."
        ) from error


def as_images(values: Rows, name: str, where: str, key: str, scale: float | None = None) -> Rows:
    """`values` as uint8 [n, channels, height, width].

    Layouts [n, H, W], [n, C, H, W] and [n, H, W, C] with 1 or 3 channels; uint8 as it is, truth values as 0
    and 255, floats in [0, 1] scaled, other numbers where they are whole and in 0 … 255. scale: what pixels that are
    not uint8 are multiplied by, where it is known.
    """
    shape = values.shape
    last = len(shape) == 4 and shape[1] not in (1, 3) and shape[3] in (1, 3)
    if len(shape) == 4 and not last and shape[1] not in (1, 3):
        raise DataError(
            f"{where}: the images {name!r} have the shape {shape}; allowed are [n, H, W], [n, C, H, W] and [n, H, W, "
            "C] with 1 or 3 channels. Drop or mix channels first, e.g. images[..., :3]."
        )
    out = (shape[0], shape[3], *shape[1:3]) if last else shape if len(shape) == 4 else (shape[0], 1, *shape[1:])

    def arranged(chunk: NDArray[Any]) -> NDArray[Any]:
        return chunk.transpose(0, 3, 1, 2) if last else chunk.reshape(len(chunk), *out[1:])

    factor = 1.0
    if values.dtype == np.uint8:
        if isinstance(values, np.ndarray):
            return arranged(values)
        if isinstance(values, FileRows) and not last:
            return FileRows(values.path, out, values.dtype, values.offset)
    else:
        factor = scale_of(values, name, where) if scale is None else scale
    if not key and prod(out) > IN_MEMORY:
        key = key_of_rows(values, out)
    return keep((_bytes(arranged(chunk), factor) for chunk in _chunks(values)), out, np.uint8, key)


def _chunks(values: Rows) -> Iterator[NDArray[Any]]:
    return (values[rows] for rows in chunks_of(len(values), row_bytes=row_bytes(values)))


def scale_of(values: Rows, name: str, where: str) -> float:
    """The factor that pixels are multiplied by: 255 for truth values and fractions, 1 for whole numbers up to 255."""
    if values.dtype.kind == "b":
        return 255.0
    low, high, finite, whole = 0.0, 0.0, True, True
    for chunk in _chunks(values):
        if chunk.size:
            low, high = min(low, float(chunk.min())), max(high, float(chunk.max()))
            finite &= bool(np.isfinite(chunk).all())
            whole &= values.dtype.kind in "iu" or bool(finite and (chunk == np.round(chunk)).all())
    if finite and low >= 0:
        if high <= 1 and values.dtype.kind == "f":
            return 255.0
        if high <= 255 and whole:
            return 1.0
    range_ = f"from {low:g} to {high:g}" if finite else "to NaN or infinity"
    raise DataError(
        f"{where}: the pixels of {name!r} run {range_}; allowed are uint8, whole numbers in 0 … 255 and floats in [0, "
        "1]. Undo a standardisation: (x - x.min()) / (x.max() - x.min())."
    )


def _bytes(chunk: NDArray[Any], scale: float) -> NDArray[np.uint8]:
    return chunk.astype(np.uint8, copy=False) if scale == 1 else np.round(chunk * np.float64(scale)).astype(np.uint8)
