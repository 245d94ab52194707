"""Successors: the models that take the places of others, retrained, put together, or with rows taken out."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from manyways.data.data import Data
from manyways.data.parts import TRAINING
from manyways.errors import ManywaysError, NeedsError
from manyways.lineage.forgetting.planner import approximation
from manyways.lineage.forgetting.receipt import packed_mask
from manyways.lineage.forgetting.retraining import DataSources, RestoredData, SourceModels, retrain, same_threads
from manyways.lineage.store import row_registry
from manyways.lineage.store.field_models import names_folder
from manyways.lineage.store.forgetting_plan import ForgettingStep
from manyways.lineage.store.journal import Journal
from manyways.lineage.store.manifest import Manifest
from manyways.lineage.store.model_record import FORGOTTEN, ModelRecord, load_lineage, load_records
from manyways.lineage.store.store import Store
from manyways.lineage.terms import ASSEMBLE, BITWISE, NO_PROOF, RETRAIN
from manyways.methods.saved import method_from_json
from manyways.models.model import Model
from manyways.models.saving import save_model
from manyways.training.events import Listener
from manyways.training.run import Run

Audit = Callable[[Mapping[str, Model], Data, Data, Data, Model | None], Mapping[str, Any]]
"""Measures how much a model tells of rows: called with the model `before`, `after` and, where an approximate method
made that, `retrained`; with the rows that were forgotten, rows never seen, others that were learned from, and what the
model started from; gives for each something with `to_json`. `Auditor` is one."""
CHECKPOINT_SECONDS = 5.0
WORK = "forgetting"
"""The folder in the store for models that are being made."""


class SuccessorBuilder:
    """Makes the model of one step after the other; what was interrupted goes on from its checkpoints."""

    def __init__(self, store: Store, sources: DataSources, listeners: Sequence[Listener], audit: Audit | None) -> None:
        self._store, self._sources, self._listeners, self._audit = store, sources, listeners, audit
        self._functions = sources.functions

    def make(self, journal: Journal, step: ForgettingStep) -> ForgettingStep:
        """Make the model of `step` of the plan in `journal`, and keep it out of sight; the step with its id."""
        new = {each.model: each.new for each in journal.plan.steps if each.new is not None}
        with self._store.database.reading() as db:
            (record,) = load_records(db, "id = ?", [step.model])
            reached = row_registry.load_set(db, record.all_rows).intersection_cardinality(journal.rows)
            gone = row_registry.all_ids(db)[row_registry.numbers_in(journal.rows)]
            manifest = Manifest.load(db, record.manifest) if record.manifest is not None else None
        restored = self._sources.find(manifest, journal.rows) if manifest is not None else None
        folder = self._store.folder / WORK / str(journal.id) / record.id
        parents = {role: new.get(parent, parent) for role, parent in record.parents.items()}
        successor, step = self._learn(journal.plan.how, record, step, restored, parents, folder)
        facts = {**successor.lineage.facts, FORGOTTEN: record.forgotten + reached}
        # An approximate method's model comes of the old one, whose rows stand in its lineage.
        successor = replace(successor, lineage=replace(successor.lineage.without(gone), facts=facts))
        rest = restored.rest if restored is not None else None
        # An approximate method's model comes of one that is about to be gone.
        anew = step.how in (RETRAIN, ASSEMBLE) or step.guarantee != NO_PROOF
        key = self._store.keep_pending(successor, rest, parents if anew else {}, journal.id, by_fit=anew)
        used = packed_mask(restored.used) if restored is not None and restored.used is not None else None
        return replace(
            step, new=key, used=used, audit=self._audited(record, successor, step, restored, parents, folder)
        )

    def _audited(
        self,
        record: ModelRecord,
        successor: Model,
        step: ForgettingStep,
        restored: RestoredData | None,
        parents: Mapping[str, str],
        folder: Path,
    ) -> dict[str, Any] | None:
        """Audit of a model as it was and as it is now, as JSON values; the error where it cannot be made."""
        if self._audit is None or restored is None or restored.whole is None or restored.rest is None or not step.rows:
            return None
        gone = restored.whole.select(restored.gone & (restored.whole.part[restored.whole.rows] == TRAINING))
        models = {"before": self._load(record.id), "after": successor}
        try:
            parts = self._parts(record, parents, folder)
            if step.how not in (RETRAIN, ASSEMBLE) and step.guarantee == NO_PROOF:
                run = Run(folder / "retrained", self._listeners, checkpoint_seconds=CHECKPOINT_SECONDS)
                models["retrained"] = retrain(record.lineage, restored.rest, parts, run, self._functions)
            start = parts.start if "start" in record.parents else None
            said = self._audit(models, gone, restored.rest.test, restored.rest.training, start)
        except ManywaysError as error:
            return {"error": str(error)}
        return {when: result.to_json() for when, result in said.items()}

    def _learn(
        self,
        how: str,
        record: ModelRecord,
        step: ForgettingStep,
        restored: RestoredData | None,
        parents: Mapping[str, str],
        folder: Path,
    ) -> tuple[Model, ForgettingStep]:
        if step.how not in (RETRAIN, ASSEMBLE):
            try:
                return self._taken_out(how, record, restored, folder), step
            except NeedsError as error:
                step = replace(step, how=RETRAIN, guarantee=BITWISE, note=str(error))
        given = self._parts(record, parents, folder)
        run = Run(folder / "run", self._listeners, checkpoint_seconds=CHECKPOINT_SECONDS)
        rest = restored.rest if restored is not None else None
        return retrain(record.lineage, rest, given, run, self._functions), step

    def _taken_out(self, how: str, record: ModelRecord, restored: RestoredData | None, folder: Path) -> Model:
        """The model with the rows taken out of it, by its own method or by the approximate one that was asked for."""
        if restored is None or restored.whole is None:
            raise NeedsError("Its source no longer has the rows, so they cannot be taken out of it.")
        method = approximation(how) or method_from_json(
            record.lineage["method"], self._fields(record, folder), self._functions
        )
        run = Run(folder / "run", self._listeners, checkpoint_seconds=CHECKPOINT_SECONDS)
        with same_threads(record.lineage["machine"]):
            return method.forget(self._load(record.id), restored.whole, restored.gone, run=run)

    def _fields(self, record: ModelRecord, folder: Path) -> dict[str, Any]:
        fields = {role: parent for role, parent in record.parents.items() if role.startswith("field:")}
        return dict(self._parts(record, fields, folder).fields or {})

    def _parts(self, record: ModelRecord, parents: Mapping[str, str], folder: Path) -> SourceModels:
        """The models that `record`'s model is made from anew."""
        start, done = None, {}
        fields: dict[str, Any] = {}
        for role, parent in parents.items():
            kind, _, place = role.partition(":")
            if kind == "parent":
                if "start" in parents or record.by_fit:
                    continue
                kind = "start"
            source_model = self._load(parent)
            if kind == "start":
                start = source_model
            elif kind == "part":
                done[place] = source_model
            elif names_folder(record.lineage["method"], place):
                fields[place] = str(
                    save_model(source_model, folder / "models" / hashlib.sha256(place.encode()).hexdigest()[:16])
                )
            else:
                fields[place] = source_model
        return SourceModels(start, done, fields)

    def _load(self, model: str) -> Model:
        with self._store.database.reading() as db:
            (record,) = load_records(db, "id = ?", [model])
            lineage = load_lineage(db, record)
        return self._store.weights.load(record.weights, frozenset(record.gives), lineage)
