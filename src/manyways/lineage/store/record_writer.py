"""Writer of records: a model's weights, its rows and what it was made from, whole or not at all."""

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from pyroaring import BitMap

from manyways.lineage.store import manifest as manifests
from manyways.lineage.store import row_registry
from manyways.lineage.store.checked_values import missing_reference
from manyways.lineage.store.database import Database
from manyways.lineage.store.event_log import events_of
from manyways.lineage.store.lineage_hash import lineage_hash, nearest_parents
from manyways.lineage.store.manifest import Manifest
from manyways.lineage.store.model_record import FORGOTTEN, SHORT, keep_stages
from manyways.lineage.store.weight_store import WeightStore
from manyways.models.lineage import Lineage

if TYPE_CHECKING:
    from manyways.data.data import Data
    from manyways.models.model import Model
    from manyways.training.run import Run


def write_record(
    database: Database, weights: WeightStore, model: "Model", data: "Data | None", sources: Mapping[str, str],
    run: "Run | None", forget: int | None = None, by_fit: bool = False,
) -> str:  # fmt: skip
    """Keep `model`, made from the models `sources`, in one transaction; see `Store.keep` and `Store.keep_pending`."""
    made_by = lineage_hash(model.lineage)
    with weights.written(model) as (weights_key, part), database.writing() as db:
        key = hashlib.sha256(f"{made_by} {weights_key}".encode()).hexdigest()
        before = db.execute("SELECT manifest FROM models WHERE id = ?", (key,)).fetchone()
        if before and (before[0] is not None or data is None):
            return key
        weights.settle(weights_key, part)
        manifest, given = _register(db, data) if data is not None else (None, BitMap())
        stages = _stage_rows(db, model.lineage)
        parents = _parents(db, model.lineage, sources)
        own = given or row_registry.bitmap(stages[0])
        behind = [own, *map(row_registry.bitmap, stages), *(_rows_of(db, parent) for parent in parents.values())]
        values = {
            "id": key,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "title": model.lineage.title,
            "kind": model.kind,
            "gives": " ".join(sorted(model.gives)),
            "parameters": model.parameters,
            "weights": weights_key,
            "lineage_hash": made_by,
            "lineage": json.dumps(model.lineage.to_json()),
            "manifest": manifest,
            "own_rows": row_registry.keep_set(db, own),
            "all_rows": row_registry.keep_set(db, row_registry.union(behind)),
            "forgotten": int(model.lineage.facts.get(FORGOTTEN, 0)),
            "events": json.dumps(events_of(run)),
            "by_fit": run is not None or by_fit,
            "pending": forget,
        }
        if before:  # it was kept without its data
            told = [values[name] for name in ("manifest", "own_rows", "all_rows", "id")]
            db.execute("UPDATE models SET manifest = ?, own_rows = ?, all_rows = ? WHERE id = ?", told)
            return key
        db.execute(
            f"INSERT INTO models ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", [*values.values()]
        )
        held = Manifest.load(db, manifest) if manifest is not None else None
        keep_stages(db, key, model.lineage, stages, held)
        db.executemany("INSERT INTO edges VALUES (?, ?, ?)", [(key, *edge) for edge in parents.items()])
    return key


def _register(db: sqlite3.Connection, data: "Data") -> tuple[int | None, BitMap]:
    """The key of the manifest of `data`, and which of its rows may shape a model."""
    if not len(data.part):
        return None, BitMap()
    if (key := manifests.find(db, data)) is not None:
        return key, Manifest.load(db, key).given()
    numbers = row_registry.register(db, data.all_ids)
    for column in data.roles.get("subject", ()):
        row_registry.add_subjects(db, data.columns[column].take(np.arange(len(numbers))), numbers)
    made = Manifest.of(data, numbers)
    return made.keep(db), made.given()


def _parents(db: sqlite3.Connection, lineage: Lineage, sources: Mapping[str, str]) -> dict[str, str]:
    known = dict(db.execute("SELECT lineage_hash, id FROM models").fetchall())
    parents = dict(sources)
    for found in nearest_parents(lineage, known):
        if found not in parents.values():
            parents["parent" if "parent" not in parents else f"parent:{len(parents)}"] = found
    return parents


def _stage_rows(db: sqlite3.Connection, lineage: Lineage) -> list[row_registry.Numbers]:
    """The numbers of the rows of every stage of `lineage`."""
    stages = lineage.stages()
    numbers = row_registry.register(db, np.concatenate([stage.rows for stage in stages]))
    return np.split(numbers, np.cumsum([len(stage.rows) for stage in stages])[:-1])


def _rows_of(db: sqlite3.Connection, model: str) -> "BitMap":
    found = db.execute("SELECT all_rows FROM models WHERE id = ?", (model,)).fetchone()
    if found is None:
        raise missing_reference(f"the model {model[:SHORT]}")
    return row_registry.load_set(db, found[0])
