"""Requests to forget: every model in the store that rows reached is made what it would be without them."""

import hashlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from manyways.data.columns import ids_from_text
from manyways.data.data import Data
from manyways.errors import DataError, ParameterError, StoreError
from manyways.lineage.forgetting.executor import (
    Executor,
    abandon_pending,
    forgetting_lock,
    make_planner,
    refuse_unless_all_can,
)
from manyways.lineage.forgetting.planner import Planner, approximation
from manyways.lineage.forgetting.receipt import receipt_json
from manyways.lineage.forgetting.receipt_search import answers_request, earlier_receipt
from manyways.lineage.forgetting.retraining import SuppliedInputs
from manyways.lineage.forgetting.signature import SigningKey, sign_receipt
from manyways.lineage.forgetting.successors import Audit
from manyways.lineage.store.forgetting_plan import ForgettingPlan
from manyways.lineage.store.journal import Journal
from manyways.lineage.store.row_counts import count_in_data
from manyways.lineage.store.store import Store, UnknownRows, reached_by
from manyways.lineage.terms import EXACT
from manyways.methods.saved import Functions
from manyways.models.model import Model
from manyways.training.events import Listener
from manyways.whole import write_whole

Rows = Data | NDArray[np.uint64] | Sequence[str]


@dataclass(frozen=True, eq=False)
class ForgettingResult:
    """Result of forgetting.

    Attributes:
        plan: The plan as it was carried out.
        receipt: The receipt as JSON values.
        receipt_path: File of the receipt.
        model: Successor of the model that was asked about; None where none was, or it was deleted.
        resumed: True if this finished what an earlier call had begun.
        already: True if an earlier call had done it all; the receipt is of that one.
    """

    plan: ForgettingPlan
    receipt: Mapping[str, Any]
    receipt_path: Path | None = None
    model: Model | None = None
    resumed: bool = False
    already: bool = False


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
    agree: Callable[[ForgettingPlan], bool] | None = None,
    audit: Audit | None = None,
    listeners: Sequence[Listener] = (),
    functions: Functions | None = None,
    sign: SigningKey | None = None,
) -> ForgettingResult:
    """Make every model in the store forget `rows`, or the rows of `subject`, and leave nothing of them in it.

    Models that were made from others follow the others, ancestors first; each ends as training without the rows would
    have it. A call that was killed is finished by the next one with the same arguments; where it had come to its end,
    the receipt that it wrote is found again beside `receipt`. All copies of a row go.

    Args:
        model: Model whose successor is wanted; it is kept in the store first where it is not there, if `data` is given.
        rows: A `Data` of those rows, their ids (uint64 [n, 2]), or ids as text.
        subject: Name in the column with the role subject, instead of `rows`.
        data: Data that models were learned from, where they were in memory.
        how: `exact`; `retrain`, also where rows could be taken out; or the text of an approximate method, whose result
            is no proof.
        store: The store; by default that of this machine.
        delete: True to delete models that cannot forget.
        other_versions: True to retrain under other versions than before, which need not give the same bits.
        receipt: File that the receipt is written to.
        agree: Function that is shown the plan, and returns True to carry it out.
        audit: Audit of each model that was given the rows, before and after, for the receipt: evidence, never proof;
            see `Auditor`.
        listeners: Listeners to the trainings.
        functions: Functions that methods of models name (rewards, oracles), by these names; what a record names is
            never imported.
        sign: Key that the receipt is signed with; see `manyways.lineage.forgetting.signature`.

    Raises:
        StoreError: Where the rows are not known or are forgotten already, where a model cannot forget, and where the
            plan is not agreed to; nothing has changed then.
        ParameterError: For both or neither of `rows` and `subject`, or an unknown `how`.
    """
    store, given = store or Store(), SuppliedInputs(_as_list(data), functions or {})
    if (rows is None) == (subject is None):
        raise ParameterError("forget takes rows or subject, one of them: forget(model, rows), forget(subject='ann').")
    ids = None if rows is None else _ids(rows)
    approximation(how)
    if model is not None and store.find_lineage(model.lineage) is None:
        if not given.data:
            raise StoreError(
                f"{model.lineage.title} is not in the store at {store.folder}. Give what it was learned from, data=…, "
                "or let fit keep it: fit(data, run=Run(store=Store()))."
            )
        store.keep(model, given.data[0])
    wanted = store.find(model).id if model is not None else None
    request = _request(ids, subject, how)
    path = Path(receipt).resolve() if receipt is not None else None
    with forgetting_lock(store):
        work = Executor(store, given, listeners, audit)
        done = _finish_pending(store, work, path, sign)
        if done is not None and (done[0] == request or answers_request(done[1].receipt, ids, subject, how)):
            return _with_model(store, replace(done[1], resumed=True), wanted)
        if not store.database.exists:
            raise StoreError(f"The store at {store.folder} is empty: there is nothing to forget.")
        try:
            with store.database.reading() as db:
                named = store.rows_named(db, rows=ids, subject=subject)
                plan = _plan(
                    db, make_planner(db, store, given, named, how, delete, other_versions), named, subject, how
                )
        except UnknownRows:
            earlier = earlier_receipt(path, ids, subject, how) if path is not None else None
            if earlier is None:
                raise
            store.database.compact()  # the earlier call may have been killed before it emptied the log
            done_before = ForgettingResult(
                ForgettingPlan((), len(earlier[1]["rows"]), subject, how), earlier[1], earlier[0], already=True
            )
            return _signed(done_before, sign)
        refuse_unless_all_can(plan)
        if agree is not None and not agree(plan):
            raise StoreError("Nothing was forgotten: the plan was not agreed to.")
        with store.database.writing() as db:
            journal = Journal.begin(db, request, plan, named, str(path) if path is not None else None)
        return _with_model(store, _signed(ForgettingResult(*work.finish(journal)), sign), wanted)


def plan_forgetting(
    rows: Rows | None = None, *, subject: str | None = None, data: Data | Sequence[Data] | None = None,
    how: str = EXACT, store: Store | None = None, delete: bool = False, other_versions: bool = False,
    functions: Functions | None = None,
) -> ForgettingPlan:  # fmt: skip
    """Return the plan of `forget` with these arguments. Nothing is changed."""
    store = store or Store()
    with store.database.reading() as db:
        named = store.rows_named(db, rows=None if rows is None else _ids(rows), subject=subject)
        given = SuppliedInputs(_as_list(data), functions or {})
        return _plan(db, make_planner(db, store, given, named, how, delete, other_versions), named, subject, how)


def abandon(store: Store | None = None) -> bool:
    """Give up a forgetting that is not done, if no model has been replaced yet.

    Returns:
        True if there was one.

    Raises:
        StoreError: Where the new models have taken their places already; then it can only be finished.
    """
    store = store or Store()
    with forgetting_lock(store):
        return abandon_pending(store)


def _finish_pending(
    store: Store, work: Executor, path: Path | None, sign: SigningKey | None
) -> tuple[str, ForgettingResult] | None:
    """Finish what an earlier call has begun: its request, and what came of it; None where there is nothing."""
    if not store.database.exists:
        return None
    with store.database.reading() as db:
        journal = Journal.pending(db)
    if journal is None:
        return None
    if journal.receipt_path is None and path is not None:
        journal = replace(journal, receipt_path=str(path))
    return journal.request, _signed(ForgettingResult(*work.finish(journal)), sign)


def _signed(done: ForgettingResult, key: SigningKey | None) -> ForgettingResult:
    """Return `done` with its receipt signed with `key`, if there is one, and written anew where it lies in a file."""
    if key is None or "rows" not in done.receipt:
        return done
    receipt = sign_receipt(done.receipt, key)
    if done.receipt_path is not None:
        write_whole(done.receipt_path, receipt_json(receipt))
    return replace(done, receipt=receipt)


def _plan(db: sqlite3.Connection, planner: Planner, rows: BitMap, subject: str | None, how: str) -> ForgettingPlan:
    records = reached_by(db, rows)
    copies = tuple(copy for record in records for copy in record.copies)
    return ForgettingPlan(tuple(planner.steps(records)), len(rows), subject, how, copies, count_in_data(db, rows))


def _with_model(store: Store, done: ForgettingResult, wanted: str | None) -> ForgettingResult:
    new = next((step.new for step in done.plan.steps if step.model == wanted and step.new), None)
    if new is not None:
        return replace(done, model=store.load(new))
    kept = wanted is not None and any(record.id == wanted for record in store.models())
    return replace(done, model=store.load(wanted)) if kept and wanted is not None else done


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
