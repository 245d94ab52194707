"""Rows that are the same."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from manyways.data.storage import RowNumbers, Rows, chunks_of, row_bytes


def same_numbers(store: Rows, rows: RowNumbers) -> NDArray[np.int64]:
    """A number for each of `rows` of the encoded `store`, int64 [rows]: the same for rows that hold the same."""
    return same_across([store], rows)[:, 0]


def same_across(stores: Sequence[Rows], rows: RowNumbers) -> NDArray[np.int64]:
    """As `same_numbers` for rows of several stores of one shape, int64 [rows, stores]: the same wherever it stands."""
    digests = np.concatenate([_digests(store, rows) for store in stores])
    numbers = np.unique(digests, axis=0, return_inverse=True)[1].reshape(len(stores), len(rows))
    return numbers.T.astype(np.int64)


def _digests(store: Rows, rows: RowNumbers) -> NDArray[np.uint64]:
    digests = np.empty((len(rows), 2), np.uint64)
    for chunk in chunks_of(len(rows), row_bytes=row_bytes(store)):
        held = np.ascontiguousarray(store[rows[chunk]]).reshape(len(chunk), -1).view(np.uint8)
        found = b"".join(hashlib.blake2b(row.data, digest_size=16).digest() for row in held)
        digests[chunk] = np.frombuffer(found, np.uint64).reshape(-1, 2)
    return digests
