"""Rows by number: each row id stands once in a store; sets of rows are compressed bitmaps of numbers."""

import hashlib
import sqlite3
from array import array
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from manyways.data.columns import places_of
from manyways.data.notation import is_missing
from manyways.lineage.store.checked_values import (
    Damage,
    blob,
    built,
    key_of,
    known_rows,
    missing_reference,
    row_set,
    text_value,
)

BLOCK = 1 << 16
"""Rows whose ids lie side by side, 16 bytes each."""
Ids = NDArray[np.uint64]
Numbers = NDArray[np.int64]


def bitmap(numbers: NDArray[np.integer]) -> BitMap:
    """The set of `numbers`, which are in [0, 2**32)."""
    return BitMap(array("I", np.ascontiguousarray(numbers, np.uint32).tobytes()))


def numbers_in(rows: BitMap) -> Numbers:
    """The numbers in a set, sorted."""
    return np.frombuffer(rows.to_array(), np.uint32).astype(np.int64)


def all_ids(db: sqlite3.Connection) -> Ids:
    """The id of every row by its number, uint64 [rows, 2]; zeros where it was forgotten."""
    blocks = list(_blocks(db))
    return np.concatenate(blocks) if blocks else np.empty((0, 2), np.uint64)


def ids_at(known: Ids, numbers: Numbers, where: str) -> Ids:
    """The ids of the rows `numbers`, where `known` are those of all."""
    return known[known_rows(numbers, len(known), where)]


def numbers_of(db: sqlite3.Connection, ids: Ids) -> Numbers:
    """The number of each of `ids` [n, 2]; -1 where it is not known."""
    if len(ids) > 8:
        return places_of(ids, all_ids(db))
    # A few are looked for in place: sorting all that are known would take longer.
    numbers = np.full(len(ids), -1, np.int64)
    for block, known in enumerate(_blocks(db)):
        for position in np.flatnonzero(numbers < 0):
            found = np.flatnonzero(known[:, 0] == ids[position, 0])
            found = found[known[found, 1] == ids[position, 1]]
            if len(found):
                numbers[position] = block * BLOCK + found[0]
    return numbers


def _blocks(db: sqlite3.Connection) -> Iterator[Ids]:
    """The ids of each block: all but the last are full."""
    full = True
    for at, (block, content) in enumerate(db.execute("SELECT block, ids FROM row_blocks ORDER BY block")):
        ids = _ids_in(content, block)
        if block != at or not full:
            raise missing_reference(f"block {at if block != at else at - 1} of row_blocks, or a part of it,")
        full = len(ids) == BLOCK
        yield ids


def _ids_in(value: Any, block: int) -> Ids:
    where = f"`ids` of block {block} in row_blocks"
    content = blob(value, where)
    if not content or len(content) % 16 or len(content) > 16 * BLOCK:
        raise Damage(f"{where} must be up to {BLOCK:,} ids of 16 bytes, and is {len(content):,} bytes.")
    return np.frombuffer(content, np.uint64).reshape(-1, 2)


def register(db: sqlite3.Connection, ids: Ids) -> Numbers:
    """The number of each of `ids` [n, 2]; those that are new get the next ones, in their order."""
    known = all_ids(db)
    numbers = places_of(ids, known)
    strange = np.flatnonzero(numbers < 0)
    if not len(strange):
        return numbers
    fresh = ids[strange]
    order = np.lexsort((fresh[:, 1], fresh[:, 0]))
    begins = np.append(True, (fresh[order[1:]] != fresh[order[:-1]]).any(axis=1))
    first = order[begins]  # of each id the place where it came first
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    numbers[strange[order]] = len(known) + rank[np.cumsum(begins) - 1]
    _append(db, fresh[np.sort(first)], len(known))
    return numbers


def _append(db: sqlite3.Connection, ids: Ids, count: int) -> None:
    """Write `ids` behind the `count` that are there."""
    written = 0
    while written < len(ids):
        block, filled = divmod(count + written, BLOCK)
        part = ids[written : written + BLOCK - filled]
        before = db.execute("SELECT ids FROM row_blocks WHERE block = ?", (block,)).fetchone() if filled else None
        whole = (before[0] if before else b"") + np.ascontiguousarray(part).tobytes()
        db.execute("INSERT OR REPLACE INTO row_blocks VALUES (?, ?)", (block, whole))
        written += len(part)


def erase(db: sqlite3.Connection, rows: BitMap) -> None:
    """Overwrite the ids of `rows`, and take them out of every subject; a subject without rows is forgotten, too."""
    numbers = numbers_in(rows)
    for block in np.unique(numbers // BLOCK).tolist():
        found = db.execute("SELECT ids FROM row_blocks WHERE block = ?", (block,)).fetchone()
        if found is None:
            raise missing_reference(f"block {block} of row_blocks")
        ids = _ids_in(found[0], block).copy()
        ids[known_rows(numbers[numbers // BLOCK == block] % BLOCK, len(ids), "what is forgotten")] = 0
        db.execute("UPDATE row_blocks SET ids = ? WHERE block = ?", (ids.tobytes(), block))
    for name, bits in db.execute("SELECT name, bits FROM subjects").fetchall():
        held = subject_set(name, bits)
        if not held.intersect(rows):
            continue
        if rest := held - rows:
            db.execute("UPDATE subjects SET bits = ? WHERE name = ?", (rest.serialize(), name))
        else:
            db.execute("DELETE FROM subjects WHERE name = ?", (name,))


# --- sets of rows --------------------------------------------------------------------------------


def keep_set(db: sqlite3.Connection, rows: BitMap) -> int:
    """The key of a set of rows, which is kept once."""
    rows.run_optimize()
    bits = rows.serialize()
    digest = hashlib.blake2b(bits, digest_size=16).hexdigest()
    db.execute("INSERT OR IGNORE INTO row_sets (digest, bits) VALUES (?, ?)", (digest, bits))
    return key_of(db, "row_sets", digest)


def load_set(db: sqlite3.Connection, key: int) -> BitMap:
    """The set of rows that was kept under `key`."""
    found = db.execute("SELECT digest, bits FROM row_sets WHERE id = ?", (key,)).fetchone()
    if found is None:
        raise missing_reference(f"row {key} of row_sets")
    return _kept_set(key, *found)


def sets_with(db: sqlite3.Connection, rows: BitMap) -> list[int]:
    """The keys of the sets of rows that reached a model in which any of `rows` is."""
    sets = db.execute("SELECT id, digest, bits FROM row_sets WHERE id IN (SELECT all_rows FROM models)")
    return [key for key, digest, bits in sets if rows.intersect(_kept_set(key, digest, bits))]


def _kept_set(key: int, digest: Any, bits: Any) -> BitMap:
    """The set in a row of row_sets: a row that is lost from one would be forgotten by nobody."""
    where = f"`bits` of row {key} in row_sets"
    if hashlib.blake2b(blob(bits, where), digest_size=16).hexdigest() != digest:
        raise Damage(f"{where} has changed since it was written (its hash differs).")
    return built(BitMap.deserialize, bits, where)


# --- subjects ------------------------------------------------------------------------------------


def add_subjects(db: sqlite3.Connection, names: NDArray[Any], numbers: Numbers) -> None:
    """Note whose the rows `numbers` [n] are; a missing name is nobody's."""
    known = np.flatnonzero(~is_missing(names))
    codes_of: dict[str, int] = {}
    codes = np.fromiter((codes_of.setdefault(str(name), len(codes_of)) for name in names[known]), np.int64, len(known))
    order = np.argsort(codes, kind="stable")
    parts = np.split(numbers[known][order], np.cumsum(np.bincount(codes, minlength=len(codes_of)))[:-1])
    for name, rows in zip(codes_of, parts, strict=False):
        held = subject_rows(db, name) | bitmap(rows)
        db.execute("INSERT OR REPLACE INTO subjects VALUES (?, ?)", (name, held.serialize()))


def subject_rows(db: sqlite3.Connection, name: str) -> BitMap:
    """The rows of a subject; none for one that is not known."""
    found = db.execute("SELECT bits FROM subjects WHERE name = ?", (name,)).fetchone()
    return subject_set(name, found[0]) if found else BitMap()


def subjects_among(db: sqlite3.Connection, rows: BitMap) -> dict[str, int]:
    """The number of `rows` that each subject has, by name; those that have none are left out."""
    counts = (
        (name, subject_set(name, bits).intersection_cardinality(rows))
        for name, bits in db.execute("SELECT name, bits FROM subjects ORDER BY name")
    )
    return {name: count for name, count in counts if count}


def subject_set(name: Any, bits: Any) -> BitMap:
    """The set in a row of subjects."""
    return row_set(bits, f"`bits` of {text_value(name, '`name` in subjects')!r} in subjects")


def union(sets: Iterable[BitMap]) -> BitMap:
    """Return the union of `sets`."""
    return BitMap.union(*given) if (given := list(sets)) else BitMap()
