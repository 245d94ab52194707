"""Records of models in the store: all that it knows of one besides its weights."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import numpy as np
from pyroaring import BitMap

from manyways.checked_json import Described, read
from manyways.errors import StoreError
from manyways.lineage.store.checked_values import (
    Damage,
    absolute_path,
    digest,
    json_object,
    missing_reference,
    text_value,
    whole_number,
)
from manyways.lineage.store.lineage_hash import stage_hashes
from manyways.lineage.store.manifest import Manifest, packed, unpacked
from manyways.lineage.store.row_registry import Ids, Numbers, all_ids, bitmap, ids_at, keep_set, load_set, numbers_in
from manyways.models.lineage import Lineage

MODEL_FILE = "model.json"
FORGOTTEN = "forgotten_rows"
"""The fact of a lineage that says how many rows a model was made to forget."""
ROLES = ("start", "part", "field", "parent")
"""Parts that a model can have in another, before a colon and the name of the part or field."""
GENERATIONS = 1000
"""Levels that a lineage may be nested: each model that another started from is two further down."""
SHORT = 10
"""Digits of an id that are shown; any beginning that no other model shares will do."""


@dataclass(frozen=True)
class ModelRecord:
    """A model in the store.

    Attributes:
        weights: Hash of its weights.
        manifest: Key of the manifest of its data.
        own_rows: Key of the set of rows that it was given.
        all_rows: Key of the set of rows that reached it, through all that it was made from.
        parents: Models that it was made from, by their part in it: `start`, `part:<name>` of a chain's stage,
            `field:<place>` of one that a field of the method names, `parent` of any other.
        copies: Folders that it was saved to.
        forgotten: Number of rows that it, or what it was made from, has been made to forget.
        by_fit: True if `fit` kept it, so that all that it was made from is known.
    """

    id: str
    created: str
    title: str
    kind: str
    gives: tuple[str, ...]
    parameters: int
    weights: str
    lineage: Mapping[str, Any]
    manifest: int | None
    own_rows: int
    all_rows: int
    forgotten: int
    metrics: Mapping[str, float]
    parents: Mapping[str, str]
    copies: tuple[str, ...]
    by_fit: bool

    @property
    def short(self) -> str:
        """The beginning of the id, as it is shown."""
        return self.id[:SHORT]

    @property
    def versions(self) -> dict[str, str]:
        """The versions that it was made under."""
        return dict(self.lineage["versions"])


COLUMNS = (
    "id, created, title, kind, gives, parameters, weights, lineage, manifest, own_rows, all_rows, forgotten, metrics, "
    "by_fit"
)


def load_records(
    db: sqlite3.Connection, where: str = "pending IS NULL", values: Sequence[Any] = ()
) -> list[ModelRecord]:
    """The records for which `where` holds, the oldest first."""
    rows = db.execute(f"SELECT {COLUMNS} FROM models WHERE {where} ORDER BY rowid", values).fetchall()
    edges, copies = load_edges(db), load_copies(db)
    return [read_record(row, edges.get(row[0], {}), copies.get(row[0], ())) for row in rows]


def read_record(row: Sequence[Any], parents: Mapping[str, str], copies: Sequence[str]) -> ModelRecord:
    """The record in the COLUMNS of a model. Raises Damage for what was not written so."""
    key = digest(row[0], "`id` of a model")
    texts = {
        name: text_value(value, f"`{name}` of the model {key[:SHORT]}")
        for name, value in zip(("created", "title", "kind", "gives"), row[1:5], strict=True)
    }
    counts = {
        name: whole_number(value, f"`{name}` of the model {key[:SHORT]}")
        for name, value in zip(("own_rows", "all_rows", "forgotten", "by_fit"), (*row[9:12], row[13]), strict=True)
    }
    lineage = json_object(row[7], f"`lineage` of the model {key[:SHORT]}", GENERATIONS)
    check_lineage(lineage)
    metrics = json_object(row[12], f"`metrics` of the model {key[:SHORT]}")
    return ModelRecord(
        id=key,
        created=texts["created"],
        title=texts["title"],
        kind=texts["kind"],
        gives=tuple(texts["gives"].split()),
        parameters=whole_number(row[5], f"`parameters` of the model {key[:SHORT]}"),
        weights=digest(row[6], f"`weights` of the model {key[:SHORT]}"),
        lineage=lineage.members,
        manifest=None if row[8] is None else whole_number(row[8], f"`manifest` of the model {key[:SHORT]}"),
        own_rows=counts["own_rows"],
        all_rows=counts["all_rows"],
        forgotten=counts["forgotten"],
        metrics={name: metrics.get(name, float) for name in metrics.members},
        parents=parents,
        copies=tuple(copies),
        by_fit=_flag(counts["by_fit"], f"`by_fit` of the model {key[:SHORT]}"),
    )


def _flag(value: int, where: str) -> bool:
    if value > 1:
        raise Damage(f"{where} must be 0 or 1, and is {value}.")
    return bool(value)


def load_edges(db: sqlite3.Connection) -> dict[str, dict[str, str]]:
    """The models that each model was made from, by their part in it. Raises Damage where one is not there."""
    edges: dict[str, dict[str, str]] = {}
    known = {key for (key,) in db.execute("SELECT id FROM models")}
    for child, role, parent in db.execute("SELECT child, role, parent FROM edges ORDER BY child, role"):
        if parent not in known:
            raise missing_reference("a model that `edges` names")
        if text_value(role, "`role` of a row in edges").partition(":")[0] not in ROLES:
            raise Damage("`role` of a row in edges is none that a model has in another.")
        edges.setdefault(child, {})[role] = parent
    if not acyclic(edges):
        raise Damage("`edges` say that a model was made from itself.")
    return edges


def acyclic(edges: Mapping[str, Mapping[str, str]]) -> bool:
    """True if no model is among those that it was made from."""
    try:
        TopologicalSorter({child: parents.values() for child, parents in edges.items()}).prepare()
    except CycleError:
        return False
    return True


def load_copies(db: sqlite3.Connection) -> dict[str, list[str]]:
    """The folders that each model was saved to."""
    copies: dict[str, list[str]] = {}
    for model, path in db.execute("SELECT model, path FROM copies ORDER BY path"):
        copies.setdefault(model, []).append(absolute_path(path, "`path` of a row in copies"))
    return copies


LINEAGE: Mapping[str, type[Any]] = {
    "method": dict, "title": str, "seed": int, "budget": str, "data": str, "fingerprint": str, "rows": int,
    "steps": int, "seconds": float, "versions": dict, "facts": dict, "plan": dict, "machine": dict, "parents": list,
}  # fmt: skip
"""Members of the JSON of a lineage, and their types."""
COUNTED = ("clients", "rounds", "forgotten_rows", "allowance")
"""Facts of a lineage that are shown as numbers."""


def check_lineage(lineage: Described) -> None:
    """Raise the error of `lineage`, the JSON of a lineage, where it or a stage before it is not as it was written."""
    for name, kind in LINEAGE.items():
        lineage.get(name, kind)
    for name in ("versions", "machine"):
        for key in lineage.get(name, dict):
            lineage.object(name).get(key, str)
    for part in lineage.get("plan", dict):
        if len(lineage.object("plan").all(part, int)) != 2:
            raise lineage.error(f"`plan` of {lineage.where} must hold two numbers for each part.")
    if lineage.get("method", dict):
        lineage.object("method").get("name", str)
    facts = lineage.object("facts")
    for name in COUNTED:
        facts.get(name, int, 0)
    if "clients" in facts.members:
        facts.get("rounds", int)
    if "asked" in facts.members:
        facts.get("asked", list)
    if "privacy" in facts.members:
        facts.object("privacy").get("epsilon", float)
    for parent in lineage.objects("parents"):
        check_lineage(parent)


def load_lineage(db: sqlite3.Connection, record: ModelRecord, ids: Ids | None = None) -> Lineage:
    """The lineage of a record, with the ids of its rows in their order."""
    known = all_ids(db) if ids is None else ids
    manifest = Manifest.load(db, record.manifest) if record.manifest is not None else None
    stated, rows = _stated(record.lineage), []
    stages = "SELECT rows, numbers FROM stage_rows WHERE model = ? ORDER BY stage"
    for at, (key, packed_numbers) in enumerate(db.execute(stages, (record.id,)).fetchall()):
        where = f"`numbers` of stage {at} of the model {record.short} in stage_rows"
        listed = packed_numbers is not None
        held = unpacked(packed_numbers, where) if listed else in_order(load_set(db, key), manifest)
        rows.append(ids_at(known, held, where))
    if [len(each) for each in rows] != stated:
        raise Damage(f"stage_rows of the model {record.short} are not the {sum(stated):,} rows that it says.")
    return Lineage.from_json(record.lineage, rows)


def _stated(lineage: Mapping[str, Any]) -> list[int]:
    """The number of rows that each stage states, the latest first."""
    return [lineage["rows"], *(count for parent in lineage["parents"] for count in _stated(parent))]


def keep_stages(
    db: sqlite3.Connection, model: str, lineage: Lineage, rows: Sequence[Numbers], manifest: Manifest | None
) -> None:
    """Keep of every stage of a lineage its hash and its rows: a set, and their order where it is not the data's."""
    for at, (own, numbers) in enumerate(zip(stage_hashes(lineage), rows, strict=True)):
        held = bitmap(numbers)
        same = np.array_equal(in_order(held, manifest), numbers)
        values = (model, at, keep_set(db, held), None if same else packed(numbers), own)
        db.execute("INSERT INTO stage_rows VALUES (?, ?, ?, ?, ?)", values)


def in_order(rows: BitMap, manifest: Manifest | None) -> Numbers:
    """The numbers of `rows` in the order of the data, each as often as it is there; without data each once."""
    numbers = numbers_in(rows)
    if manifest is None:
        return numbers
    given = manifest.numbers[manifest.rows]
    return given[np.isin(given, numbers)]


def saved_lineage(folder: Path) -> Lineage:
    """The lineage of the model that was saved in `folder`; its weights are not looked at. Raises StoreError."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    description = read(
        folder / MODEL_FILE, f"The description of the model in {folder}", StoreError, deepest=GENERATIONS
    )
    check_lineage(description.object("lineage"))
    lineage = description.get("lineage", dict)
    try:
        stored = load_file(folder / "rows.safetensors")
        names = (
            description.all("rows", int) if "rows" in description.members else range(len(stored))
        )  # stages may share their rows
        rows = [stored[str(at)].view(np.uint64).reshape(-1, 2) for at in names]
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise StoreError(
            f"The rows of the model in {folder} cannot be read: {error}. Copy the folder again."
        ) from error
    if [len(each) for each in rows] != _stated(lineage):
        raise StoreError(f"The rows of the model in {folder} are not those that its lineage says. Copy it again.")
    return Lineage.from_json(lineage, rows)
