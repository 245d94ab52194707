"""Records: what the store knows of a model besides its weights; and how a lineage is told from another."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pyroaring import BitMap

from manyways.errors import StoreError
from manyways.lineage.manifest import Manifest, packed, unpacked
from manyways.lineage.registry import Ids, Numbers, all_ids, bitmap, keep_set, load_set, numbers_in
from manyways.models.lineage import Lineage

MODEL_FILE = "model.json"
FORGOTTEN = "forgotten_rows"
"""The fact of a lineage that says how many rows a model was made to forget."""
SHORT = 10
"""Digits of an id that are shown; any beginning that no other model shares will do."""


@dataclass(frozen=True)
class Record:
    """A model in the store.

    parents: the models it was made from, by their part in it: `start`, `part:<name>` of a chain's stage,
    `field:<place>` of one that a field of the method names, `parent` of any other. copies: folders that it was saved
    to. forgotten: how many rows it, or what it was made from, has been made to forget. by_fit: whether `fit` kept it,
    so that all that it was made from is known.
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


def load_records(db: sqlite3.Connection, where: str = "pending IS NULL", values: Sequence[Any] = ()) -> list[Record]:
    """The records for which `where` holds, the oldest first."""
    rows = db.execute(f"SELECT {COLUMNS} FROM models WHERE {where} ORDER BY rowid", values).fetchall()
    edges: dict[str, dict[str, str]] = {}
    for child, role, parent in db.execute("SELECT child, role, parent FROM edges ORDER BY child, role"):
        edges.setdefault(child, {})[role] = parent
    copies: dict[str, list[str]] = {}
    for model, path in db.execute("SELECT model, path FROM copies ORDER BY path"):
        copies.setdefault(model, []).append(path)
    return [
        Record(
            id=row[0],
            created=row[1],
            title=row[2],
            kind=row[3],
            gives=tuple(row[4].split()),
            parameters=row[5],
            weights=row[6],
            lineage=json.loads(row[7]),
            manifest=row[8],
            own_rows=row[9],
            all_rows=row[10],
            forgotten=row[11],
            metrics=json.loads(row[12]),
            parents=edges.get(row[0], {}),
            copies=tuple(copies.get(row[0], ())),
            by_fit=bool(row[13]),
        )
        for row in rows
    ]


def load_lineage(db: sqlite3.Connection, record: Record, ids: Ids | None = None) -> Lineage:
    """The lineage of a record, with the ids of its rows in their order."""
    known = all_ids(db) if ids is None else ids
    manifest = Manifest.load(db, record.manifest) if record.manifest is not None else None
    rows = []
    for key, numbers in db.execute("SELECT rows, numbers FROM stage_rows WHERE model = ? ORDER BY stage", (record.id,)):
        rows.append(known[unpacked(numbers) if numbers is not None else in_order(load_set(db, key), manifest)])
    return Lineage.from_json(record.lineage, rows)


def keep_stages(
    db: sqlite3.Connection, model: str, lineage: Lineage, rows: Sequence[Numbers], manifest: Manifest | None
) -> None:
    """Keep of every stage of a lineage its hash and its rows: a set, and their order where it is not the data's."""
    for at, (stage, numbers) in enumerate(zip(lineage.stages(), rows, strict=True)):
        held = bitmap(numbers)
        same = np.array_equal(in_order(held, manifest), numbers)
        values = (model, at, keep_set(db, held), None if same else packed(numbers), lineage_hash(stage))
        db.execute("INSERT INTO stage_rows VALUES (?, ?, ?, ?, ?)", values)


def in_order(rows: BitMap, manifest: Manifest | None) -> Numbers:
    """The numbers of `rows` in the order of the data, each as often as it is there; without data each once."""
    numbers = numbers_in(rows)
    if manifest is None:
        return numbers
    given = manifest.numbers[manifest.rows]
    return given[np.isin(given, numbers)]


def lineage_hash(lineage: Lineage) -> str:
    """A SHA-256 of all that a lineage says, but for the time that training took; the order of rows does not count."""
    said = lineage.to_json()
    facts = {name: value for name, value in said.items() if name not in ("seconds", "parents", "title", "rows")}
    facts["rows"] = _digest(lineage.rows)
    facts["parents"] = [lineage_hash(parent) for parent in lineage.parents]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _digest(ids: Ids) -> list[int]:
    """Tells a set of ids, which are hashes, from another: their number, sum and exclusive or."""
    with np.errstate(over="ignore"):
        sums = ids.sum(axis=0, dtype=np.uint64).tolist()
    return [len(ids), *sums, *np.bitwise_xor.reduce(ids, axis=0).tolist()]


def nearest(lineage: Lineage, known: Mapping[str, str]) -> Iterator[str]:
    """The models in `known`, ids by lineage hash, that `lineage` was made from, the nearest ones alone."""
    for parent in lineage.parents:
        if (key := lineage_hash(parent)) in known:
            yield known[key]
        else:
            yield from nearest(parent, known)


def lineage_in(folder: Path) -> Lineage:
    """The lineage of the model that was saved in `folder`; its weights are not looked at."""
    from safetensors.numpy import load_file

    try:
        saved = json.loads((folder / MODEL_FILE).read_text(encoding="utf-8"))["lineage"]
        stored = load_file(folder / "rows.safetensors")
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(f"The lineage in {folder} cannot be read: {error!r}. Copy the folder again.") from error
    return Lineage.from_json(saved, [stored[str(at)].view(np.uint64) for at in range(len(stored))])
