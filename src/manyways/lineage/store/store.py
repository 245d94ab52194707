"""The store: models with their lineage, and the rows that reached each of them."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from manyways.data.columns import places_of
from manyways.data.origin_reader import read_origin
from manyways.data.storage import store_folder
from manyways.errors import ManywaysError, StoreError
from manyways.lineage.store import row_registry
from manyways.lineage.store.checked_values import digest, json_objects, missing_reference
from manyways.lineage.store.database import Database
from manyways.lineage.store.event_log import EventLog
from manyways.lineage.store.integrity import IntegrityReport, check_integrity
from manyways.lineage.store.lineage_hash import lineage_hash
from manyways.lineage.store.manifest import Manifest
from manyways.lineage.store.model_record import MODEL_FILE, ModelRecord, load_lineage, load_records, saved_lineage
from manyways.lineage.store.record_writer import write_record
from manyways.lineage.store.weight_store import WeightStore
from manyways.models.lineage import Lineage

if TYPE_CHECKING:
    from manyways.data.data import Data
    from manyways.methods.method import Method
    from manyways.models.model import Model
    from manyways.training.run import Run


class UnknownRows(StoreError):
    """The store knows none of the rows that are named: it never did, or they are forgotten."""


class Store:
    """A folder of models: `store.db`, and `weights` by the hash of their files. Any number of processes may use it.

    It holds no row's content: of each row its id, a hash, and of a subject the name. `Run(store=Store())` lets `fit`
    keep what it makes.

    Args:
        folder: Folder of the store; by default `store` in $MANYWAYS_HOME, else in the user's data folder.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = Path(folder).expanduser() if folder is not None else store_folder()
        self.database = Database(self.folder)
        self.weights = WeightStore(self.folder)

    def __repr__(self) -> str:
        return f"Store({str(self.folder)!r})"

    # --- keeping ---------------------------------------------------------------------------------

    def following(self, run: "Run") -> "Run":
        """`run` with a listener that notes for the store how it went.

        Raises:
            StoreError: Nothing can be kept.
        """
        with self.database.writing():  # before training rather than after it
            pass
        return replace(run, listeners=[*run.listeners, EventLog()])

    def keep(
        self, model: "Model", data: "Data | None" = None, *, start: "Model | None" = None,
        method: "Method | None" = None, run: "Run | None" = None,
    ) -> str:  # fmt: skip
        """Keep `model` with its lineage, and give the id that it has here; one that is here already stays as it is.

        Models that it was made from and that are not here yet are kept, too.

        Args:
            model: The model.
            data: Data that it was learned from; without them the store knows its rows, but not how to retrain it.
            start: Model that it was learned from.
            method: Method whose `fit` made it, whose fields may name further models.
            run: Run of that `fit`, whose parts it was made from.

        Raises:
            StoreError: Where it cannot be written; the error holds the model.
        """
        try:
            return write_record(self.database, self.weights, model, data, self._source_ids(start, method, run), run)
        except StoreError as error:
            error.model = model
            raise

    def keep_pending(
        self, model: "Model", data: "Data | None", sources: Mapping[str, str], forget: int, *, by_fit: bool = True
    ) -> str:
        """Keep `model`, made from `sources`, out of sight until the forgetting `forget` puts it in another's place.

        Args:
            model: The model.
            data: Data that it was learned from.
            sources: Ids of the models that it was made from, by their part in it.
            forget: Number of the forgetting.
            by_fit: True if `sources` are all that it was made from.
        """
        return write_record(self.database, self.weights, model, data, sources, None, forget, by_fit)

    def _source_ids(self, start: "Model | None", method: "Method | None", run: "Run | None") -> dict[str, str]:
        """The ids of the models that another was made from, by their part in it; those not kept yet are kept."""
        from manyways.lineage.store.field_models import field_models, model_folders
        from manyways.models.saving import load_model

        sources: dict[str, Any] = {} if start is None else {"start": start}
        if method is not None:
            sources |= {f"field:{place}": held for place, held in field_models(method).items()}
            sources |= {f"field:{place}": folder for place, folder in model_folders(method.to_json()).items()}
        ids = {}
        for role, source in sources.items():
            lineage = saved_lineage(source) if isinstance(source, Path) else source.lineage
            known = self.find_lineage(lineage)
            ids[role] = known or self.keep(load_model(source) if isinstance(source, Path) else source)
        for name, part in (run.parts if run is not None else {}).items():
            if known := self.find_lineage(part.lineage):
                ids[f"part:{name}"] = known
        return ids

    def note(self, model: str, *, metrics: Mapping[str, float] | None = None, copy: Path | None = None) -> None:
        """Note scores of the model with the id `model`, or a folder that it was saved to."""
        with self.database.writing() as db:
            if metrics is not None:
                db.execute("UPDATE models SET metrics = ? WHERE id = ?", (json.dumps(dict(metrics)), model))
            if copy is not None:
                db.execute("DELETE FROM copies WHERE path = ?", (str(copy.resolve()),))
                db.execute("INSERT INTO copies VALUES (?, ?)", (model, str(copy.resolve())))

    # --- finding ---------------------------------------------------------------------------------

    def models(self) -> list[ModelRecord]:
        """Return all models, the oldest first."""
        if not self.database.exists:
            return []
        with self.database.reading() as db:
            return load_records(db)

    def find(self, wanted: "str | Path | Model | Lineage") -> ModelRecord:
        """The record of the model with an id that begins with `wanted`, or of the model in a folder or in memory.

        Raises:
            StoreError: There is none, or several.
        """
        lineage = None
        if not isinstance(wanted, str | Path):
            lineage = wanted if isinstance(wanted, Lineage) else wanted.lineage
        elif (Path(wanted) / MODEL_FILE).is_file():
            lineage = saved_lineage(Path(wanted))
        records = self._beginning(str(wanted).lower() if lineage is None else self.find_lineage(lineage) or "nothing")
        if len(records) == 1:
            return records[0]
        wanted = wanted if isinstance(wanted, str | Path) or lineage is None else lineage.title
        if not records:
            hint = (
                "`manyways store list` shows all"
                if self.models()
                else "it is empty; `manyways fit` keeps what it makes"
            )
            raise StoreError(f"There is no model {str(wanted)!r} in the store at {self.folder}: {hint}.")
        several = ", ".join(record.short for record in records[:4])
        raise StoreError(f"{str(wanted)!r} is the beginning of several models: {several}. Give more digits.")

    def _beginning(self, digits: str) -> list[ModelRecord]:
        """The models whose ids begin with `digits`."""
        if not self.database.exists:
            return []
        with self.database.reading() as db:
            return load_records(db, "pending IS NULL AND substr(id, 1, ?) = ?", [len(digits), digits])

    def find_lineage(self, lineage: Lineage) -> str | None:
        """The id of the latest model that was made as `lineage` says; None where there is none."""
        if not self.database.exists:
            return None
        with self.database.reading() as db:
            row = db.execute(
                "SELECT id FROM models WHERE lineage_hash = ? AND pending IS NULL ORDER BY rowid DESC",
                (lineage_hash(lineage),),
            ).fetchone()
            return digest(row[0], "`id` of a model") if row else None

    def load(self, wanted: "str | Path | Model") -> "Model":
        """The model that `find` finds.

        Raises:
            StoreError: There is none, or its weights are missing or have changed.
        """
        record = self.find(wanted)
        with self.database.reading() as db:
            lineage = load_lineage(db, record)
        return self.weights.load(record.weights, frozenset(record.gives), lineage)

    # --- rows ------------------------------------------------------------------------------------

    def rows_of(self, wanted: "str | Path | Model") -> NDArray[np.uint64]:
        """The ids of the rows that reached a model, through all that it was made from, uint64 [rows, 2]."""
        record = self.find(wanted)
        with self.database.reading() as db:
            numbers = row_registry.numbers_in(row_registry.load_set(db, record.all_rows))
            return row_registry.ids_at(row_registry.all_ids(db), numbers, f"`all_rows` of the model {record.short}")

    def events(self, wanted: "str | Path | Model") -> list[dict[str, Any]]:
        """The events of a model's training, thinned, as JSON values."""
        record = self.find(wanted)
        with self.database.reading() as db:
            found = db.execute("SELECT events FROM models WHERE id = ?", (record.id,)).fetchone()
            if found is None:  # an index finds it that the table has not
                raise missing_reference(f"`events` of the model {record.short}")
            return json_objects(found[0], f"`events` of the model {record.short}")

    def stage_hashes(self) -> dict[str, list[str]]:
        """The hashes of the stages of every model's lineage, in their order."""
        hashes: dict[str, list[str]] = {}
        with self.database.reading() as db:
            for model, key in db.execute("SELECT model, hash FROM stage_rows ORDER BY model, stage"):
                hashes.setdefault(model, []).append(digest(key, "`hash` of a row in stage_rows"))
        return hashes

    def check(self, *, remove_orphans: bool = False) -> IntegrityReport:
        """Check that all is whole; with `remove_orphans`, weights that no model has are deleted."""
        return check_integrity(self.database, self.weights, remove_orphans=remove_orphans)

    def subjects_of(self, wanted: "str | Path | Model") -> dict[str, int]:
        """The number of rows of each subject that reached a model, by name."""
        record = self.find(wanted)
        with self.database.reading() as db:
            return row_registry.subjects_among(db, row_registry.load_set(db, record.all_rows))

    def reached(self, *, rows: NDArray[np.uint64] | None = None, subject: str | None = None) -> list[ModelRecord]:
        """The models that any of `rows` [n, 2], or any row of `subject`, reached, the oldest first.

        A model is reached by the rows it was given to learn from or to stop by, used or not, and by those that reached
        what it was made from.

        Raises:
            StoreError: The store does not know the subject, or any of the rows.
        """
        with self.database.reading() as db:
            return reached_by(db, self.rows_named(db, rows=rows, subject=subject))

    def rows_like(self, source: "str | Path") -> NDArray[np.uint64]:
        """The ids of the rows in a table `source`, read as the data of the store's models was: those that it knows.

        Where it knows none, as they are forgotten, those of all rows.

        Raises:
            StoreError: The table cannot be read so.
        """
        with self.database.reading() as db:
            known = row_registry.all_ids(db)
            held = [Manifest.load(db, key) for (key,) in db.execute("SELECT id FROM manifests")]
        reasons, id_sets = [], []
        for origin in {json.dumps(each.origin.to_json()): each.origin for each in held if each.origin}.values():
            options = {name: value for name, value in origin.options.items() if name not in ("test", "validation")}
            try:
                ids = read_origin(replace(origin, source=str(source), options=options)).all_ids
            except ManywaysError as error:
                reasons.append(str(error))
                continue
            id_sets.append(ids)
        rows = np.concatenate(id_sets) if id_sets else np.zeros((0, 2), np.uint64)
        if not len(rows):
            why = reasons[0] if reasons else "no data of a model was read from a source, so how is not known."
            raise StoreError(f"{source} names no rows of the store: {why} It may hold row ids, one a line.")
        there = places_of(rows, known) >= 0
        return np.unique(rows[there] if there.any() else rows, axis=0)

    def rows_named(
        self, db: sqlite3.Connection, *, rows: NDArray[np.uint64] | None = None, subject: str | None = None
    ) -> "BitMap":
        """The numbers of `rows`, or of a subject's.

        Raises:
            StoreError: The store knows none of them.
        """
        if subject is not None:
            subject_rows = row_registry.subject_rows(db, subject)
            if not subject_rows:
                raise UnknownRows(
                    f"No data that a model in the store was learned from has a subject {subject!r}, or its rows are "
                    "forgotten already."
                )
            return subject_rows
        numbers = row_registry.numbers_of(db, np.zeros((0, 2), np.uint64) if rows is None else rows)
        if not (numbers >= 0).any():
            raise UnknownRows(
                f"None of the {len(numbers):,} rows is known to the store: no model in it was given them, or they are "
                "forgotten already."
            )
        return row_registry.bitmap(numbers[numbers >= 0])


def reached_by(db: sqlite3.Connection, rows: "BitMap", where: str = "pending IS NULL") -> list[ModelRecord]:
    """The models that any of `rows` reached, the oldest first."""
    keys = json.dumps(row_registry.sets_with(db, rows))
    return load_records(db, f"{where} AND all_rows IN (SELECT value FROM json_each(?))", [keys])
