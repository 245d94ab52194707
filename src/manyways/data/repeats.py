"""Rows that are the same."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from manyways.data.storage import RowNumbers, Rows, chunks_of, row_bytes


def same_numbers(store: Rows, rows: RowNumbers) -> NDArray[np.int64]:
    """A number for each of `rows` of the encoded `store`, int64 [rows]: the same for rows that hold the same."""
    digests = np.empty((len(rows), 2), np.uint64)
    for chunk in chunks_of(len(rows), row_bytes=row_bytes(store)):
        held = np.ascontiguousarray(store[rows[chunk]]).reshape(len(chunk), -1).view(np.uint8)
        found = b"".join(hashlib.blake2b(row.data, digest_size=16).digest() for row in held)
        digests[chunk] = np.frombuffer(found, np.uint64).reshape(-1, 2)
    return np.unique(digests, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
