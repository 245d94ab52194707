"""Rows that lack an input: a picture that was never taken, a text left empty, a sound that was lost."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import Column, modalities

if TYPE_CHECKING:
    from manyways.data.data import Data

SHOWN = 5


def present(modality: str) -> str:
    """The name under which a batch says which of its rows have `modality`: bool [rows]."""
    return f"{modality}\0present"


def is_presence(name: str) -> bool:
    """True if an entry of a batch is such a mask and no modality."""
    return name.endswith("\0present")


def absent_by_modality(groups: Mapping[str, list[Column]]) -> dict[str, NDArray[np.bool_]]:
    """Masks of the rows that lack a modality, for those of `groups` that some row lacks.

    A table alone is not asked: where it is all there is, its encoder refuses what is missing.
    """
    alone = len(groups) == 1
    asked = {name: columns for name, columns in groups.items() if not (alone and name == "table")}
    found = {name: absent_rows(columns) for name, columns in asked.items()}
    return {name: mask for name, mask in found.items() if mask is not None}


def absent_rows(columns: Iterable[Column]) -> NDArray[np.bool_] | None:
    """True for each row without a value in any of `columns`, those of one modality; None where there is no such row."""
    gaps = [column.gaps for column in columns]
    known = [each for each in gaps if each is not None]
    if len(known) < len(gaps):
        return None
    everywhere: NDArray[np.bool_] = reduce(np.logical_and, known)
    return everywhere if everywhere.any() else None


def without_gaps(columns: list[Column]) -> list[Column]:
    """`columns` with 0 for the numbers of rows that have no value in any of them, which nobody will look at."""
    absent = absent_rows(columns) if any(column.kind == "number" for column in columns) else None
    if absent is None:
        return columns
    return [_filled(column, absent) if column.kind == "number" else column for column in columns]


def _filled(column: Column, absent: NDArray[np.bool_]) -> Column:
    values = np.array(column.values[np.arange(len(column))], copy=True)
    values[absent] = 0
    return replace(column, values=values)


def lacking_rows(data: "Data") -> dict[str, NDArray[np.int64]]:
    """The positions of the rows of `data` that lack an input, by modality."""
    found = absent_by_modality(modalities(data.inputs))
    positions = {name: np.flatnonzero(mask[data.rows]) for name, mask in found.items()}
    return {name: each for name, each in positions.items() if len(each)}


def named(columns: Iterable[Column]) -> str:
    """The names of the columns of a modality, in words."""
    names = [repr(column.name) for column in columns]
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")


def said_of_rows(positions: NDArray[np.int64], of: int) -> str:
    """Some rows in words: "3 of 400 rows (1, 4, 7; rows count from 0)"."""
    shown = ", ".join(map(str, positions[:SHOWN].tolist())) + (", …" if len(positions) > SHOWN else "")
    return f"{len(positions):,} of {of:,} rows ({shown}; rows count from 0)"
