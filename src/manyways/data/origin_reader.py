"""Reading of an `Origin`: the same rows again."""

from dataclasses import replace
from typing import Any

import numpy as np

from manyways.data.categories import as_objects
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.notation import as_numbers
from manyways.data.origin import Origin, stored_as
from manyways.data.read import NOTHING_KNOWN, read_as
from manyways.errors import DataError

REPEATED = ("with_clients", "with_tasks")
"""Steps that may add columns to rows after they were read, and follow from the rows and their arguments alone."""


def read_origin(origin: Origin) -> Data:
    """The rows as they are in the source now.

    Raises:
        DataError: Where the source is gone, is no longer what it was, or a step cannot be repeated.
    """
    if strange := [step for step, _ in origin.steps if step not in REPEATED]:
        raise DataError(f"{origin.source}: {strange[0]!r} cannot be repeated; only {', '.join(REPEATED)} can.")
    # An origin may be a stranger's: it is read as rows, and never as an environment, whose id may name a module.
    data = read_as(origin.source, NOTHING_KNOWN, **origin.options)
    if lost := [name for name in origin.columns if name not in data.columns]:
        raise DataError(
            f"{origin.source} has no column {lost[0]!r} any more; those that are read are {', '.join(data.columns)}."
        )
    if odd := _differing(origin, data):  # fewer rows may look like columns of another kind
        kinds = {**(origin.options.get("kinds") or {}), **{name: origin.columns[name][0] for name in odd}}
        data = _as_stored(origin, read_as(origin.source, NOTHING_KNOWN, **{**origin.options, "kinds": kinds}))
    for step, arguments in origin.steps:
        data = getattr(data, step)(**arguments)
    return data


def _differing(origin: Origin, data: Data) -> list[str]:
    """The columns whose kind or storage in `data` is another than in `origin`."""
    return [name for name, stored in origin.columns.items() if tuple(stored) != stored_as(data.columns[name])]


def _as_stored(origin: Origin, data: Data) -> Data:
    """`data` with whole numbers as decimals, or as they stand beside missing ones, where they were so."""
    odd = _differing(origin, data)
    columns = [
        _recast(each, *origin.columns[each.name]) if each.name in odd else each for each in data.columns.values()
    ]
    return Data.from_columns(
        columns, data.roles, part=data.part, name=data.name, source=data.source, ignored=data.ignored, origin=origin
    )


def _recast(column: Column, kind: Any, stored: str) -> Column:
    values = column.take(np.arange(len(column)))
    if values.dtype.kind == "O" and stored not in ("words", "object"):  # words that were numbers once: 01
        numbers, odd = as_numbers(values)
        values = values if len(odd) or np.isnan(numbers).any() else numbers
    if values.dtype.kind not in "iuf" or stored == "words":
        return replace(column, kind=kind)
    return replace(
        column, kind=kind, values=as_objects(values.tolist()) if stored == "object" else values.astype(stored)
    )
