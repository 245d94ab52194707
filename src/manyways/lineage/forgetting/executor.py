"""Executor of a plan of forgetting: every step may be interrupted, and is then done again."""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from pyroaring import BitMap

from manyways.data.columns import ids_from_text
from manyways.errors import StoreError
from manyways.lineage.forgetting.planner import Planner
from manyways.lineage.forgetting.receipt import make_receipt, read_receipt, receipt_json
from manyways.lineage.forgetting.residual_data import delete_cache, delete_comparisons
from manyways.lineage.forgetting.retraining import DataSources, SuppliedInputs
from manyways.lineage.forgetting.successors import WORK, Audit, SuccessorBuilder
from manyways.lineage.store import manifest as manifests
from manyways.lineage.store import row_registry
from manyways.lineage.store.checked_values import digest
from manyways.lineage.store.forgetting_plan import ForgettingPlan
from manyways.lineage.store.journal import CLEANING, GOING, NO_PLAN, SWAPPED, Journal
from manyways.lineage.store.manifest import Manifest
from manyways.lineage.store.model_record import load_records
from manyways.lineage.store.store import Store, reached_by
from manyways.lineage.terms import DELETE
from manyways.permissions import FILE, ensured_folder
from manyways.training.events import Listener
from manyways.whole import write_whole

if TYPE_CHECKING:
    import sqlite3

LOCK_SECONDS = 10.0


class Executor:
    """Executor of a plan of forgetting, from the moment that it was agreed to, to its receipt."""

    def __init__(self, store: Store, given: SuppliedInputs, listeners: Sequence[Listener], audit: Audit | None) -> None:
        self._store, self._given, self._listeners, self._audit = store, given, listeners, audit

    def finish(self, journal: Journal) -> tuple[ForgettingPlan, dict[str, Any], Path | None]:
        """Do what is left of `journal`: the plan as it was carried out, the receipt, and where that lies."""
        while journal.state == GOING:
            journal = self._make_all(journal)
            journal = self._swap(journal)
        state, plan, receipt = journal.state, journal.plan, json.loads(journal.receipt or "{}")
        path = Path(journal.receipt_path) if journal.receipt_path else None
        if state == SWAPPED:
            journal = self._clean(journal)
        elif path is not None and path.exists():
            receipt = read_receipt(path)
        self._store.database.compact()
        with self._store.database.writing() as db:
            journal.end(db)
        self._store.database.compact()
        if state == CLEANING:  # the plan is gone with the rows
            plan = ForgettingPlan((), len(receipt.get("rows", ())))
        return plan, receipt, path

    def _make_all(self, journal: Journal) -> Journal:
        """Make the model of every step that has none yet."""
        with self._store.database.reading() as db:
            sources = DataSources(row_registry.all_ids(db), self._given)
        maker = SuccessorBuilder(self._store, sources, self._listeners, self._audit)
        for place, step in enumerate(journal.plan.steps):
            if step.new is not None or step.how == DELETE:
                continue
            made = maker.make(journal, step)
            journal = journal.with_steps([*journal.plan.steps[:place], made, *journal.plan.steps[place + 1 :]])
            with self._store.database.writing() as db:
                journal.write(db)
        return journal

    def _swap(self, journal: Journal) -> Journal:
        """Put the new models in the places of the old, unless others were made from those meanwhile."""
        with self._store.database.writing() as db:
            planned = {step.model: step for step in journal.plan.steps}
            reached = reached_by(db, journal.rows)
            fresh = [record for record in reached if record.id not in planned]
            if fresh:
                planner = make_planner(db, self._store, self._given, journal.rows, journal.plan.how, False, False)
                steps = planner.steps(fresh, planned)
                refuse_unless_all_can(replace(journal.plan, steps=tuple(steps)))
                return journal.with_steps([*journal.plan.steps, *steps]).write(db)
            plan = replace(journal.plan, copies=tuple(copy for record in reached for copy in record.copies))
            before = {record.id: record for record in reached}
            after = {record.id: record for record in load_records(db, "pending = ?", [journal.id])}
            kept_manifests = {
                key: Manifest.load(db, key) for key in {each.manifest for each in after.values()} if key is not None
            }
            numbers = row_registry.numbers_in(journal.rows)
            ids = row_registry.ids_at(row_registry.all_ids(db), numbers, "what is forgotten")
            receipt = make_receipt(plan, ids, before, after, kept_manifests)
            used = {step.new for step in plan.steps}
            _delete_models(db, [*before, *(set(after) - used)])
            db.execute("UPDATE models SET pending = NULL WHERE pending = ?", (journal.id,))
            row_registry.erase(db, journal.rows)
            manifests.erase(db, journal.rows)
            _delete_unused(db)
            return replace(journal, state=SWAPPED, plan=plan, receipt=receipt_json(receipt)).write(db)

    def _clean(self, journal: Journal) -> Journal:
        """Delete the files of the old models, and whatever else may hold the rows; write the receipt."""
        receipt = json.loads(journal.receipt or "{}")
        _delete_files(self._store)
        delete_cache()
        delete_comparisons(ids_from_text(receipt["rows"]))
        if journal.receipt_path is not None and journal.receipt is not None:
            write_whole(Path(journal.receipt_path), journal.receipt)
        with self._store.database.writing() as db:
            return replace(journal, state=CLEANING, plan=NO_PLAN, rows=BitMap(), receipt=None).write(db)


def make_planner(
    db: "sqlite3.Connection", store: Store, given: SuppliedInputs, rows: BitMap, how: str, delete: bool,
    other_versions: bool,
) -> Planner:  # fmt: skip
    """Return the planner of forgetting `rows`."""
    sources = DataSources(row_registry.all_ids(db), given)
    return Planner(db, store.weights, sources, rows, how=how, delete=delete, other_versions=other_versions)


def refuse_unless_all_can(plan: ForgettingPlan) -> None:
    """Raise StoreError where a model of `plan` cannot forget."""
    if not plan.refused:
        return
    said = "; ".join(f"{step.title} ({step.short}): {step.note}" for step in plan.refused[:3])
    more = f"; and {len(plan.refused) - 3} more" if len(plan.refused) > 3 else ""
    raise StoreError(
        f"{len(plan.refused)} of {len(plan.steps)} models cannot forget: {said}{more}. Nothing was changed. Mend that, "
        "or let them be deleted: delete=True."
    )


def abandon_pending(store: Store) -> bool:
    """Undo what was begun and is not done, where no model has been replaced; whether there was anything."""
    with store.database.writing() as db:
        pending = Journal.pending(db)
        if pending is None:
            return False
        if pending.state != GOING:
            raise StoreError("The new models have taken their places already. Type the command again to finish it.")
        _delete_models(db, [record.id for record in load_records(db, "pending = ?", [pending.id])])
        _delete_unused(db)
        pending.end(db)
    _delete_files(store)
    return True


def _delete_models(db: "sqlite3.Connection", models: Sequence[str]) -> None:
    gone = [json.dumps(list(models))]
    db.execute("DELETE FROM edges WHERE child IN (SELECT value FROM json_each(?))", gone)
    db.execute("DELETE FROM models WHERE id IN (SELECT value FROM json_each(?))", gone)


def _delete_unused(db: "sqlite3.Connection") -> None:
    db.execute("DELETE FROM manifests WHERE id NOT IN (SELECT manifest FROM models WHERE manifest IS NOT NULL)")
    db.execute(
        "DELETE FROM row_sets WHERE id NOT IN (SELECT own_rows FROM models UNION SELECT all_rows FROM models "
        "UNION SELECT rows FROM stage_rows)"
    )


def _delete_files(store: Store) -> None:
    """Delete weights that no model has, and what was needed to make models."""
    with store.database.writing() as db:  # so that no other process is about to give them to a model
        used = {digest(key, "`weights` of a model") for (key,) in db.execute("SELECT weights FROM models")}
        store.weights.remove(store.weights.kept() - used)
    for path in store.weights.unfinished():
        shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(store.folder / WORK, ignore_errors=True)


@contextmanager
def forgetting_lock(store: Store) -> Iterator[None]:
    """Lock of the one process that forgets; it ends with its process. Raises StoreError where another one forgets."""
    store.database.check_writable()
    try:
        lock = FileLock(ensured_folder(store.folder) / "forgetting.lock", timeout=LOCK_SECONDS, mode=FILE)
        lock.acquire()
    except OSError as error:
        if isinstance(error, Timeout):
            raise StoreError(f"Another process is forgetting in {store.folder}. Wait for it to end.") from error
        raise StoreError(f"{store.folder} cannot be written: {error.strerror}.") from error
    try:
        yield
    finally:
        lock.release()
