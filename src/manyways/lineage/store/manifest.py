"""Manifests: which rows a model was given, in which order, parts and with which labels; never what the rows hold."""

import json
import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from manyways.data.data import Data
from manyways.data.origin import Origin
from manyways.data.parts import TEST
from manyways.data.storage import RowNumbers
from manyways.errors import StoreError
from manyways.lineage.store.checked_values import Damage, blob, built, json_object, key_of, missing_reference, numbers
from manyways.lineage.store.row_registry import Ids, Numbers, bitmap, numbers_in


class MissingRows(StoreError):
    """A source no longer holds all rows of a manifest."""


@dataclass(frozen=True, eq=False)
class Manifest:
    """A `Data` without its columns: with the source at hand the same `Data` again.

    `numbers` [table] are its rows in the store's registry, `part` and `visible` [table] what they are for and whether
    their label may be seen, and `chosen` the positions that are selected; None where all are. `fingerprint` is that of
    the `Data`; None where rows have left it since.
    """

    name: str
    origin: Origin | None
    roles: Mapping[str, Sequence[str]]
    fingerprint: str | None
    numbers: Numbers
    part: NDArray[np.uint8]
    visible: NDArray[np.bool_]
    chosen: RowNumbers | None

    @staticmethod
    def of(data: Data, numbers: Numbers) -> "Manifest":
        """The manifest of `data`, whose table's rows have these `numbers`."""
        whole = np.array_equal(data.rows, np.arange(len(data.part)))
        return Manifest(
            name=data.name,
            origin=data.origin,
            roles=data.roles,
            fingerprint=data.fingerprint,
            numbers=numbers,
            part=data.part,
            visible=data.visible,
            chosen=None if whole else data.rows,
        )

    @property
    def rows(self) -> RowNumbers:
        """The positions in the table that are selected."""
        return np.arange(len(self.numbers)) if self.chosen is None else self.chosen

    def given(self) -> BitMap:
        """The rows that could shape a model: those selected for training or for early stopping."""
        rows = self.rows
        return bitmap(self.numbers[rows[self.part[rows] != TEST]])

    def without(self, rows: BitMap) -> "Manifest":
        """This manifest without `rows`, all copies of them."""
        kept = ~np.isin(self.numbers, numbers_in(rows))
        if kept.all():
            return self
        places = np.cumsum(kept) - 1
        return replace(
            self,
            fingerprint=None,
            numbers=self.numbers[kept],
            part=self.part[kept],
            visible=self.visible[kept],
            chosen=None if self.chosen is None else places[self.chosen[kept[self.chosen]]],
        )

    def laid_out(self, source: Data, numbers: Numbers) -> Data:
        """The `Data` again, out of the rows of `source`, which have these `numbers` (-1: not known to the store).

        Rows of the source that are not in the manifest are left out. Raises RowsMissing where rows are missing, and
        StoreError where what they are used for cannot be put back.
        """
        places = _places(self.numbers, numbers)
        if lost := int((places < 0).sum()):
            raise MissingRows(
                f"{lost:,} of the {len(places):,} rows of {self.name} are no longer in {source.source}, or have "
                "changed. Put them back, or give the rows as they were: data=…."
            )
        from manyways.data.sources.rows import select

        if lacking := [role for role in self.roles if tuple(source.roles.get(role, ())) != tuple(self.roles[role])]:
            raise StoreError(
                f"{source.name} has the role {lacking[0]} on other columns than {self.name} had: "
                f"{', '.join(source.roles.get(lacking[0], ())) or 'none'}, not {', '.join(self.roles[lacking[0]])}."
            )
        columns = source.columns
        if not np.array_equal(places, np.arange(len(source.part))):
            columns = {name: each.select(places, select(each.values, places)) for name, each in columns.items()}
        data = replace(
            source,
            columns=columns,
            roles={role: tuple(names) for role, names in self.roles.items()},
            part=self.part,
            visible=self.visible,
            rows=self.rows,
            name=self.name,
            all_ids=source.all_ids[places],
            origin=self.origin,
        )
        if self.fingerprint and data.fingerprint != self.fingerprint:
            raise StoreError(
                f"{source.source} holds the rows of {self.name}, but other labels or clients; the model cannot be "
                "learned again from it. Give the data as it was: data=…."
            )
        return data

    # --- in the database -------------------------------------------------------------------------

    def keep(self, db: sqlite3.Connection) -> int:
        """The key of this manifest, which is kept once."""
        facts = _facts(self)
        blobs = (
            packed(self.numbers),
            zlib.compress(self.part.tobytes()),
            zlib.compress(np.packbits(self.visible).tobytes()),
            None if self.chosen is None else packed(self.chosen),
        )
        digest = _digest(facts, blobs)
        db.execute(
            "INSERT OR IGNORE INTO manifests (digest, facts, numbers, part, visible, chosen) VALUES (?, ?, ?, ?, ?, ?)",
            (digest, facts, *blobs),
        )
        return key_of(db, "manifests", digest)

    @staticmethod
    def load(db: sqlite3.Connection, key: int) -> "Manifest":
        """The manifest that was kept under `key`."""
        where = f"row {key} of manifests"
        row = db.execute(
            "SELECT digest, facts, numbers, part, visible, chosen FROM manifests WHERE id = ?", (key,)
        ).fetchone()
        if row is None:
            raise missing_reference(where)
        facts = json_object(row[1], f"`facts` of {where}")
        packed_numbers, part, visible = (
            blob(value, f"`{name}` of {where}")
            for name, value in zip(("numbers", "part", "visible"), row[2:5], strict=True)
        )
        chosen = None if row[5] is None else blob(row[5], f"`chosen` of {where}")
        if _digest(row[1], [packed_numbers, part, visible, chosen]) != row[0]:
            raise Damage(f"{where} has changed since it was written (its hash differs).")
        parts = numbers(part, f"`part` of {where}", "u1")
        bits = numbers(visible, f"`visible` of {where}", "u1")
        origin = facts.get("origin", dict, None)
        return Manifest(
            name=facts.get("name", str),
            origin=built(Origin.from_json, origin, f"`origin` of {facts.where}") if origin else None,
            roles={role: tuple(facts.object("roles").all(role, str)) for role in facts.get("roles", dict)},
            fingerprint=facts.get("fingerprint", str, None),
            numbers=unpacked(packed_numbers, f"`numbers` of {where}"),
            part=parts,
            visible=np.unpackbits(bits, count=len(parts)).astype(bool),
            chosen=None if chosen is None else unpacked(chosen, f"`chosen` of {where}"),
        )


def find(db: sqlite3.Connection, data: Data) -> int | None:
    """The key of the manifest of `data`, where one is kept already; None where none is."""
    for (key,) in db.execute("SELECT id FROM manifests WHERE facts = ?", (_facts(data),)).fetchall():
        held = Manifest.load(db, key)
        pairs = ((held.part, data.part), (held.visible, data.visible), (held.rows, data.rows))
        if all(np.array_equal(ours, theirs) for ours, theirs in pairs):
            return int(key)
    return None


def erase(db: sqlite3.Connection, rows: BitMap) -> None:
    """Take `rows` out of every manifest."""
    for (key,) in db.execute("SELECT id FROM manifests").fetchall():
        held = Manifest.load(db, key)
        rest = held.without(rows)
        if rest is not held:
            fresh = rest.keep(db)
            db.execute("UPDATE models SET manifest = ? WHERE manifest = ?", (fresh, key))
            db.execute("DELETE FROM manifests WHERE id = ?", (key,))


def numbers_by_id(source: Data, known: Ids) -> Numbers:
    """The number of every row of `source`'s table where `known` [n, 2] are the ids by number; -1 where it has none."""
    from manyways.data.columns import places_of

    return places_of(source.all_ids, known)


def _digest(facts: str, blobs: Sequence[bytes | None]) -> str:
    return blake2b(b"\0".join([facts.encode(), *(each or b"" for each in blobs)]), digest_size=16).hexdigest()


def _facts(data: Data | Manifest) -> str:
    return json.dumps(
        {
            "name": data.name,
            "origin": data.origin.to_json() if data.origin else None,
            "roles": {role: list(names) for role, names in data.roles.items()},
            "fingerprint": data.fingerprint,
        }
    )


def packed(numbers: NDArray[np.int64]) -> bytes:
    """`numbers` by their differences, which are small and alike for rows in their order."""
    return zlib.compress(np.diff(numbers, prepend=0).astype(np.int32).tobytes())


def unpacked(value: Any, where: str) -> NDArray[np.int64]:
    """Return the numbers that `packed` packed; `where` says where they stand."""
    return np.cumsum(numbers(value, where, "<i4"), dtype=np.int64)


def _places(wanted: Numbers, there: Numbers) -> RowNumbers:
    """The position of each of `wanted` among those `there`, copies in their order; -1 where it is not."""
    if len(wanted) == len(there) and np.array_equal(wanted, there):
        return np.arange(len(wanted))
    keys, held = _told_apart(wanted), _told_apart(there)
    order = np.argsort(held, kind="stable")
    at = np.minimum(np.searchsorted(held[order], keys), max(0, len(order) - 1))
    return np.where(held[order[at]] == keys, order[at], -1) if len(order) else np.full(len(wanted), -1)


def _told_apart(numbers: Numbers) -> NDArray[np.int64]:
    """A key for each of `numbers` that tells the first copy of one from the second."""
    order = np.argsort(numbers, kind="stable")
    ranked = numbers[order]
    begins = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1])) if len(ranked) else np.empty(0, np.int64)
    lengths = np.diff(np.append(begins, len(ranked)))
    copies = np.empty(len(numbers), np.int64)
    copies[order] = np.arange(len(ranked)) - np.repeat(begins, lengths)
    return (numbers << 32) + copies
