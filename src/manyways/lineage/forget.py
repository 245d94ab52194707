"""forget: every model in the store that rows reached is made what it would be had they never been there."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from pyroaring import BitMap

from manyways.data.columns import ids_from_text
from manyways.data.data import TRAINING, Data
from manyways.errors import DataError, ManywaysError, NeedsError, ParameterError, StoreError
from manyways.lineage import cleaning, registry
from manyways.lineage import manifest as manifests
from manyways.lineage.fields import named_folder
from manyways.lineage.journal import CLEANING, GOING, SWAPPED, Journal
from manyways.lineage.manifest import Manifest
from manyways.lineage.plan import (
    ASSEMBLE,
    BITWISE,
    CANNOT,
    DELETE,
    EXACT,
    NO_PROOF,
    RETRAIN,
    Plan,
    Planner,
    Step,
    approximation,
)
from manyways.lineage.receipt import as_text, make_receipt, packed_bits, read_receipt
from manyways.lineage.record import Record, load_lineage, load_records
from manyways.lineage.replay import Found, Parts, Sources, as_on, repeat
from manyways.lineage.store import FORGOTTEN, Store, reached_by
from manyways.methods.saved import method_from_json
from manyways.models.model import Model
from manyways.models.saving import save_model
from manyways.training.events import Listener
from manyways.training.run import Run

if TYPE_CHECKING:
    import sqlite3

Rows = Data | NDArray[np.uint64] | Sequence[str]
Audit = Callable[[Model, Data, Data, Data], Any]
"""Measures how much a model tells of rows: called with the model, rows that were forgotten, rows never seen and others
that were learned from; gives something with `to_json`."""
CHECKPOINT_SECONDS = 5.0
LOCK_SECONDS = 10.0
WORK = "forgetting"
"""The folder in the store for models that are being made."""


@dataclass(frozen=True, eq=False)
class Forgotten:
    """What came of forgetting: the plan as it was carried out, the receipt as JSON values, and where the receipt lies.

    model: what took the place of the model that was asked about; None where none was, or it was deleted. resumed:
    whether this finished what an earlier call had begun.
    """

    plan: Plan
    receipt: Mapping[str, Any]
    receipt_path: Path | None = None
    model: Model | None = None
    resumed: bool = False


def forget(
    model: Model | None = None,
    rows: Rows | None = None,
    *,
    subject: str | None = None,
    data: Data | Sequence[Data] | None = None,
    how: str = EXACT,
    store: Store | None = None,
    delete: bool = False,
    other_versions: bool = False,
    receipt: str | Path | None = None,
    agree: Callable[[Plan], bool] | None = None,
    audit: Audit | None = None,
    listeners: Sequence[Listener] = (),
) -> Forgotten:
    """Make every model in the store forget `rows`, or the rows of `subject`, and leave nothing of them in it.

    Models that were made from others follow the others, ancestors first; each ends as training without the rows would
    have it. A call that was killed is finished by the next one with the same arguments. All copies of a row go.

    model: whose successor is wanted; it is kept in the store first where it is not there, if `data` is given.
    rows: a `Data` of those rows, their ids (uint64 [n, 2]), or ids as text.
    data: what models were learned from, where that was in memory.
    how: `exact`; `retrain`: by learning again even where rows could be taken out; or the text of an approximate method,
        whose result is no proof.
    delete: whether models that cannot forget are deleted.
    other_versions: whether to learn again under other versions than before, which need not give the same bits.
    receipt: file that the receipt is written to. agree: is shown the plan, and says whether to carry it out.
    audit: measures each model that was given the rows, before and after, for the receipt: evidence, never proof.
    Raises StoreError where the rows are not known or are forgotten already, where a model cannot forget, and where the
    plan is not agreed to; nothing has changed then.
    """
    store, given = store or Store(), _as_list(data)
    if (rows is None) == (subject is None):
        raise ParameterError("forget takes rows or subject, one of them: forget(model, rows), forget(subject='ann').")
    ids = None if rows is None else _ids(rows)
    approximation(how)
    if model is not None and store.find_lineage(model.lineage) is None:
        if not given:
            raise StoreError(
                f"{model.lineage.title} is not in the store at {store.folder}. Give what it was learned from, data=…, "
                "or let fit keep it: fit(data, run=Run(store=Store()))."
            )
        store.keep(model, given[0])
    wanted = store.find(model).id if model is not None else None
    request = _request(ids, subject, how)
    path = Path(receipt).resolve() if receipt is not None else None
    with locked(store):
        work = _Work(store, given, listeners, audit)
        done = work.finish_pending(path)
        if done is not None and done[0] == request:
            return _with_model(store, replace(done[1], resumed=True), wanted)
        journal = work.begin(ids, subject, request, how, delete, other_versions, path, agree)
        return _with_model(store, work.finish(journal), wanted)


def plan_forgetting(
    rows: Rows | None = None, *, subject: str | None = None, data: Data | Sequence[Data] | None = None,
    how: str = EXACT, store: Store | None = None, delete: bool = False, other_versions: bool = False,
) -> Plan:  # fmt: skip
    """What `forget` with these arguments would do. Nothing is changed."""
    store = store or Store()
    with store.database.reading() as db:
        named = store.rows_named(db, rows=None if rows is None else _ids(rows), subject=subject)
        planner = _planner(db, store, _as_list(data), named, how, delete, other_versions)
        return _plan(planner.steps(reached_by(db, named)), named, subject, how, reached_by(db, named))


def abandon(store: Store | None = None) -> bool:
    """Give up a forgetting that is not done, if no model has been replaced yet; whether there was one.

    Raises StoreError where the new models have taken their places already; then it can only be finished.
    """
    store = store or Store()
    with locked(store), store.database.writing() as db:
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


class _Work:
    """One forgetting, from the plan to the receipt. Every step may be interrupted and is then done again."""

    def __init__(self, store: Store, given: Sequence[Data], listeners: Sequence[Listener], audit: Audit | None) -> None:
        self._store, self._given, self._listeners, self._audit = store, given, listeners, audit

    # --- the plan --------------------------------------------------------------------------------

    def begin(
        self, ids: NDArray[np.uint64] | None, subject: str | None, request: str, how: str, delete: bool,
        other_versions: bool, path: Path | None, agree: Callable[[Plan], bool] | None,
    ) -> Journal:  # fmt: skip
        """Plan, ask, and note that it was agreed to."""
        if not self._store.database.exists:
            raise StoreError(f"The store at {self._store.folder} is empty: there is nothing to forget.")
        with self._store.database.reading() as db:
            rows = self._store.rows_named(db, rows=ids, subject=subject)
            records = reached_by(db, rows)
            planner = _planner(db, self._store, self._given, rows, how, delete, other_versions)
            plan = _plan(planner.steps(records), rows, subject, how, records)
        _refuse(plan)
        if agree is not None and not agree(plan):
            raise StoreError("Nothing was forgotten: the plan was not agreed to.")
        with self._store.database.writing() as db:
            return Journal.begin(db, request, plan, rows, str(path) if path is not None else None)

    def finish_pending(self, path: Path | None) -> tuple[str, Forgotten] | None:
        """Finish what an earlier call has begun: its request, and what came of it; None where there is nothing."""
        if not self._store.database.exists:
            return None
        with self._store.database.reading() as db:
            journal = Journal.pending(db)
        if journal is None:
            return None
        if journal.receipt_path is None and path is not None:
            journal = replace(journal, receipt_path=str(path))
        return journal.request, self.finish(journal)

    # --- carrying it out -------------------------------------------------------------------------

    def finish(self, journal: Journal) -> Forgotten:
        """Do what is left of `journal`."""
        while journal.state == GOING:
            journal = self._make_all(journal)
            journal = self._swap(journal)
        plan, receipt = journal.plan, json.loads(journal.receipt or "{}")
        path = Path(journal.receipt_path) if journal.receipt_path else None
        if journal.state == SWAPPED:
            journal = self._clean(journal)
        elif path is not None and path.exists():
            receipt = read_receipt(path)
        self._store.database.compact()
        with self._store.database.writing() as db:
            journal.end(db)
        self._store.database.compact()
        return Forgotten(plan or Plan((), len(receipt.get("rows", ()))), receipt, path)

    def _make_all(self, journal: Journal) -> Journal:
        """Make the model of every step that has none yet."""
        assert journal.plan is not None
        with self._store.database.reading() as db:
            known = registry.all_ids(db)
        sources = Sources(known, self._given)
        steps = list(journal.plan.steps)
        for at, step in enumerate(steps):
            if step.new is not None or step.how == DELETE:
                continue
            steps[at] = self._make(journal, step, steps, sources)
            journal = journal.with_steps(steps)
            with self._store.database.writing() as db:
                journal.write(db)
        return journal

    def _make(self, journal: Journal, step: Step, steps: Sequence[Step], sources: Sources) -> Step:
        new = {each.model: each.new for each in steps if each.new is not None}
        assert journal.plan is not None
        with self._store.database.reading() as db:
            (record,) = load_records(db, "id = ?", [step.model])
            reached = registry.load_set(db, record.all_rows).intersection_cardinality(journal.rows)
            gone = registry.all_ids(db)[registry.numbers_in(journal.rows)]
            manifest = Manifest.load(db, record.manifest) if record.manifest is not None else None
        found = sources.find(manifest, journal.rows) if manifest is not None else None
        folder = self._store.folder / WORK / str(journal.id) / record.id
        parents = {role: new.get(parent, parent) for role, parent in record.parents.items()}
        made, step = self._learn(journal.plan.how, record, step, found, parents, folder)
        facts = {**made.lineage.facts, FORGOTTEN: record.forgotten + reached}
        # An approximate method's model comes of the old one, whose rows stand in its lineage.
        made = replace(made, lineage=replace(made.lineage.without(gone), facts=facts))
        rest = found.rest if found is not None else None
        # An approximate method's model comes of one that is about to be gone.
        anew = step.how in (RETRAIN, ASSEMBLE) or step.guarantee != NO_PROOF
        key = self._store.keep_pending(made, rest, parents if anew else {}, journal.id, by_fit=anew)
        used = packed_bits(found.used) if found is not None and found.used is not None else None
        return replace(step, new=key, used=used, audit=self._audited(record, made, step, found))

    def _audited(self, record: Record, made: Model, step: Step, found: Found | None) -> dict[str, Any] | None:
        """What the audit says of a model as it was and as it is now; why it says nothing."""
        if self._audit is None or found is None or found.whole is None or found.rest is None or not step.rows:
            return None
        gone = found.whole.select(found.gone & (found.whole.part[found.whole.rows] == TRAINING))
        said: dict[str, Any] = {}
        try:
            for when, model in (("before", self._load(record.id)), ("after", made)):
                said[when] = self._audit(model, gone, found.rest.test, found.rest.training).to_json()
        except ManywaysError as error:
            return {"error": str(error)}
        return said

    def _learn(
        self, how: str, record: Record, step: Step, found: Found | None, parents: Mapping[str, str], folder: Path
    ) -> tuple[Model, Step]:
        if step.how not in (RETRAIN, ASSEMBLE):
            try:
                return self._taken_out(how, record, found, folder), step
            except NeedsError as error:
                step = replace(step, how=RETRAIN, guarantee=BITWISE, note=str(error))
        given = self._parts(record, parents, folder)
        run = Run(folder / "run", self._listeners, checkpoint_seconds=CHECKPOINT_SECONDS)
        return repeat(record.lineage, found.rest if found is not None else None, given, run), step

    def _taken_out(self, how: str, record: Record, found: Found | None, folder: Path) -> Model:
        """The model with the rows taken out of it, by its own method or by the approximate one that was asked for."""
        if found is None or found.whole is None:
            raise NeedsError("Its source no longer has the rows, so they cannot be taken out of it.")
        method = approximation(how) or method_from_json(record.lineage["method"], self._fields(record, folder))
        run = Run(folder / "run", self._listeners, checkpoint_seconds=CHECKPOINT_SECONDS)
        with as_on(record.lineage["machine"]):
            return method.forget(self._load(record.id), found.whole, found.gone, run=run)

    def _fields(self, record: Record, folder: Path) -> dict[str, Any]:
        fields = {role: parent for role, parent in record.parents.items() if role.startswith("field:")}
        return dict(self._parts(record, fields, folder).fields or {})

    def _parts(self, record: Record, parents: Mapping[str, str], folder: Path) -> Parts:
        """The models that `record`'s model is made from anew."""
        start, done = None, {}
        fields: dict[str, Any] = {}
        for role, parent in parents.items():
            kind, _, place = role.partition(":")
            if kind == "parent":
                if "start" in parents or record.by_fit:
                    continue
                kind = "start"
            found = self._load(parent)
            if kind == "start":
                start = found
            elif kind == "part":
                done[place] = found
            elif named_folder(record.lineage["method"], place):
                fields[place] = str(
                    save_model(found, folder / "models" / hashlib.sha256(place.encode()).hexdigest()[:16])
                )
            else:
                fields[place] = found
        return Parts(start, done, fields)

    def _load(self, model: str) -> Model:
        with self._store.database.reading() as db:
            (record,) = load_records(db, "id = ?", [model])
            lineage = load_lineage(db, record)
        return self._store.weights.load(record.weights, frozenset(record.gives), lineage)

    # --- putting the new in the place of the old ----------------------------------------------------

    def _swap(self, journal: Journal) -> Journal:
        """Put the new models in the places of the old, unless others were made from those meanwhile."""
        assert journal.plan is not None
        with self._store.database.writing() as db:
            planned = {step.model: step for step in journal.plan.steps}
            reached = reached_by(db, journal.rows)
            fresh = [record for record in reached if record.id not in planned]
            if fresh:
                planner = _planner(db, self._store, self._given, journal.rows, journal.plan.how, False, False)
                steps = planner.steps(fresh, planned)
                _refuse(replace(journal.plan, steps=tuple(steps)))
                return journal.with_steps([*journal.plan.steps, *steps]).write(db)
            plan = replace(journal.plan, copies=tuple(copy for record in reached for copy in record.copies))
            before = {record.id: record for record in reached}
            after = {record.id: record for record in load_records(db, "pending = ?", [journal.id])}
            held = {
                key: Manifest.load(db, key) for key in {each.manifest for each in after.values()} if key is not None
            }
            ids = registry.all_ids(db)[registry.numbers_in(journal.rows)]
            receipt = make_receipt(plan, ids, before, after, held)
            used = {step.new for step in plan.steps}
            _delete_models(db, [*before, *(set(after) - used)])
            db.execute("UPDATE models SET pending = NULL WHERE pending = ?", (journal.id,))
            registry.erase(db, journal.rows)
            manifests.erase(db, journal.rows)
            _delete_unused(db)
            return replace(journal, state=SWAPPED, plan=plan, receipt=as_text(receipt)).write(db)

    def _clean(self, journal: Journal) -> Journal:
        """Delete the files of the old models, and whatever else may hold the rows; write the receipt."""
        receipt = json.loads(journal.receipt or "{}")
        _delete_files(self._store)
        cleaning.empty_cache()
        cleaning.delete_comparisons(ids_from_text(receipt["rows"]))
        if journal.receipt_path is not None and journal.receipt is not None:
            from manyways.comparison.records import write_whole

            write_whole(Path(journal.receipt_path), journal.receipt)
        with self._store.database.writing() as db:
            return replace(journal, state=CLEANING, plan=None, rows=BitMap(), receipt=None).write(db)


# --- parts ---------------------------------------------------------------------------------------


def _planner(
    db: "sqlite3.Connection", store: Store, given: Sequence[Data], rows: BitMap, how: str, delete: bool,
    other_versions: bool,
) -> Planner:  # fmt: skip
    sources = Sources(registry.all_ids(db), given)
    return Planner(db, store.weights, sources, rows, how=how, delete=delete, other_versions=other_versions)


def _plan(steps: Sequence[Step], rows: BitMap, subject: str | None, how: str, records: Sequence[Record]) -> Plan:
    return Plan(tuple(steps), len(rows), subject, how, tuple(copy for record in records for copy in record.copies))


def _refuse(plan: Plan) -> None:
    if not plan.refused:
        return
    said = "; ".join(f"{step.title} ({step.short}): {step.note}" for step in plan.refused[:3])
    more = f"; and {len(plan.refused) - 3} more" if len(plan.refused) > 3 else ""
    raise StoreError(
        f"{len(plan.refused)} of {len(plan.steps)} models cannot forget: {said}{more}. Nothing was changed. Mend that, "
        "or let them be deleted: delete=True."
    )


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
        used = {key for (key,) in db.execute("SELECT weights FROM models")}
        store.weights.remove(store.weights.kept() - used)
    for path in store.weights.unfinished():
        shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(store.folder / WORK, ignore_errors=True)


def _with_model(store: Store, done: Forgotten, wanted: str | None) -> Forgotten:
    new = next((step.new for step in done.plan.steps if step.model == wanted and step.new), None)
    if new is not None:
        return replace(done, model=store.load(new))
    kept = wanted is not None and any(record.id == wanted for record in store.models())
    return replace(done, model=store.load(wanted)) if kept and wanted is not None else done


@contextmanager
def locked(store: Store) -> Iterator[None]:
    """Only one process forgets at a time; a lock ends with its process. Raises StoreError where another one does."""
    try:
        store.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(store.folder / "forgetting.lock", timeout=LOCK_SECONDS)
        lock.acquire()
    except OSError as error:
        if isinstance(error, Timeout):
            raise StoreError(f"Another process is forgetting in {store.folder}. Wait for it to end.") from error
        raise StoreError(f"{store.folder} cannot be written: {error.strerror}.") from error
    try:
        yield
    finally:
        lock.release()


def _ids(rows: Rows) -> NDArray[np.uint64]:
    if isinstance(rows, Data):
        return np.unique(rows.ids, axis=0)
    if isinstance(rows, np.ndarray) and rows.dtype == np.uint64 and rows.ndim == 2 and rows.shape[1] == 2:
        return rows
    try:
        return ids_from_text(rows)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"rows must be a Data, ids as uint64 [n, 2], or ids as 32 hexadecimal digits each; {error}. Choose rows "
            "so: data.select(data.take('name') == 'Ann')."
        ) from error


def _request(ids: NDArray[np.uint64] | None, subject: str | None, how: str) -> str:
    what = f"subject {subject}" if ids is None else np.unique(ids, axis=0).tobytes().hex()
    return hashlib.sha256(f"{how} {what}".encode()).hexdigest()


def _as_list(data: Data | Sequence[Data] | None) -> list[Data]:
    return [data] if isinstance(data, Data) else list(data or ())


__all__ = ["CANNOT", "Forgotten", "abandon", "forget", "plan_forgetting"]
