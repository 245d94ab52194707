"""Scan of a store's database for damage: every table is looked through, whatever is found in another."""

import hashlib
import sqlite3
from collections.abc import Callable
from datetime import datetime
from typing import Any

from manyways.errors import ManywaysError
from manyways.lineage.store import row_registry
from manyways.lineage.store.checked_values import Damage, json_objects, known_rows, missing_reference
from manyways.lineage.store.journal import Journal
from manyways.lineage.store.lineage_hash import stage_hashes
from manyways.lineage.store.manifest import Manifest
from manyways.lineage.store.model_record import (
    COLUMNS,
    FORGOTTEN,
    ModelRecord,
    load_copies,
    load_edges,
    load_lineage,
    read_record,
)
from manyways.models.lineage import Lineage

MOST = 100
"""Problems that are listed; a file that was cut off has one in every row."""


class DatabaseScan:
    """Scan of the database `db`: its `problems` in words, and the `records` that can be read."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._problems: dict[str, None] = {}
        self.records: list[ModelRecord] = []
        self._edges: dict[str, dict[str, str]] = {}
        self._copies: dict[str, list[str]] = {}
        self._ids: row_registry.Ids | None = None
        for look in (
            self._structure, self._references, self._row_ids, self._row_sets, self._subjects, self._manifests,
            self._parts, self._models, self._forgetting,
        ):  # fmt: skip
            self._try(look)

    @property
    def problems(self) -> tuple[str, ...]:
        """The problems in words; the first of many."""
        listed = tuple(self._problems)
        return listed if len(listed) <= MOST else (*listed[:MOST], f"and {len(listed) - MOST:,} more")

    def _try(self, look: Callable[..., None], *values: Any) -> None:
        """`look`, and note why it could not."""
        try:
            look(*values)
        except (ManywaysError, sqlite3.Error) as error:
            self._problems[str(error).removesuffix(".")] = None
        except UnicodeDecodeError:  # in SQLite's own words, which quote what it found
            self._problems["the database image is malformed"] = None

    def _scan(self, statement: str, look: Callable[..., None]) -> None:
        for row in self._db.execute(statement).fetchall():
            self._try(look, *row)

    def _structure(self) -> None:
        for (said,) in self._db.execute("PRAGMA integrity_check").fetchall():
            if said != "ok":
                self._problems["; ".join(str(said).splitlines())] = None

    def _references(self) -> None:
        for table, _, other, _ in self._db.execute("PRAGMA foreign_key_check").fetchall():
            self._problems[f"a row of {table} refers to nothing in {other}"] = None

    def _row_ids(self) -> None:
        self._ids = row_registry.all_ids(self._db)

    def _known(self, rows: row_registry.Numbers, where: str) -> None:
        if self._ids is not None:
            known_rows(rows, len(self._ids), where)

    def _row_sets(self) -> None:
        def look(key: int) -> None:
            self._known(row_registry.numbers_in(row_registry.load_set(self._db, key)), f"row {key} of row_sets")

        self._scan("SELECT id FROM row_sets", look)

    def _subjects(self) -> None:
        def look(name: Any, bits: Any) -> None:
            self._known(row_registry.numbers_in(row_registry.subject_set(name, bits)), f"{name!r} in subjects")

        self._scan("SELECT name, bits FROM subjects", look)

    def _manifests(self) -> None:
        def look(key: int) -> None:
            held = Manifest.load(self._db, key)
            self._known(held.numbers, f"row {key} of manifests")
            if not len(held.numbers) == len(held.part) >= int(held.rows.max(initial=-1)) + 1:
                raise Damage(f"row {key} of manifests has parts of different lengths.")

        self._scan("SELECT id FROM manifests", look)

    def _parts(self) -> None:
        self._copies = load_copies(self._db)
        self._edges = load_edges(self._db)

    def _models(self) -> None:
        def look(*row: Any) -> None:
            record = read_record(row[:-2], self._edges.get(row[0], {}), self._copies.get(row[0], ()))
            self.records.append(record)
            self._model(record, row[-2], row[-1])

        self._scan(f"SELECT {COLUMNS}, events, lineage_hash FROM models ORDER BY rowid", look)

    def _model(self, record: ModelRecord, events: Any, made_by: Any) -> None:
        """Check that a model is the one that its id is of."""
        json_objects(events, f"`events` of the model {record.short}")
        for name, key in (("own_rows", record.own_rows), ("all_rows", record.all_rows)):
            if not self._db.execute("SELECT 1 FROM row_sets WHERE id = ?", (key,)).fetchone():
                raise missing_reference(f"`{name}` of the model {record.short}")
        if hashlib.sha256(f"{made_by} {record.weights}".encode()).hexdigest() != record.id:
            raise Damage(f"the model {record.short} has another id than its lineage and weights give.")
        lineage = load_lineage(self._db, record, self._ids)
        stages = stage_hashes(lineage)
        kept = self._db.execute("SELECT stage, hash FROM stage_rows WHERE model = ? ORDER BY stage", (record.id,))
        if kept.fetchall() != list(enumerate(stages)) or stages[0] != made_by:
            raise Damage(f"the lineage of the model {record.short} has changed since it was written.")
        self._beside(record, lineage)

    def _beside(self, record: ModelRecord, lineage: Lineage) -> None:
        """Check that the columns beside a lineage agree with it."""
        wrong = {
            "title": record.title != lineage.title,
            "created": not _is_time(record.created),
            "forgotten": record.forgotten != lineage.facts.get(FORGOTTEN, 0),
            "manifest": record.manifest is None and record.by_fit and len(lineage.rows) > 0,
        }
        for name in (name for name, differs in wrong.items() if differs):
            raise Damage(f"`{name}` of the model {record.short} does not agree with its lineage.")

    def _forgetting(self) -> None:
        Journal.pending(self._db)


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
