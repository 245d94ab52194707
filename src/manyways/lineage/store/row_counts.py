"""Counts of rows as a person counts them: lines of a file, of which some may be the same."""

import sqlite3

import numpy as np
from pyroaring import BitMap

from manyways.lineage.store.manifest import Manifest
from manyways.lineage.store.row_registry import numbers_in


def count_in_data(db: sqlite3.Connection, rows: BitMap) -> int:
    """Number of rows of the data that `rows` are: of each as many copies as the data has that has most of them."""
    numbers = numbers_in(rows)
    most = np.ones(len(numbers), np.int64)
    for (key,) in db.execute("SELECT id FROM manifests ORDER BY id").fetchall():
        held = Manifest.load(db, key).numbers
        copies = np.bincount(np.searchsorted(numbers, held[np.isin(held, numbers)]), minlength=len(numbers))
        most = np.maximum(most, copies)
    return int(most.sum())


def row_count_text(counted: int, distinct: int) -> str:
    """A number of rows in words, and how many of them are distinct where some are the same."""
    said = f"{counted:,} {'row' if counted == 1 else 'rows'}"
    return said if counted == distinct else f"{said} ({distinct:,} distinct)"
