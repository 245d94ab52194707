"""The planner of a forgetting: decides how each model that the rows reached forgets them."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pyroaring import BitMap

from manyways.errors import ManywaysError, ParameterError, StoreError
from manyways.lineage.forgetting.retraining import DataSources, RestoredData, retraining_obstacle
from manyways.lineage.store.checked_values import missing_reference
from manyways.lineage.store.forgetting_plan import ForgettingStep
from manyways.lineage.store.manifest import Manifest
from manyways.lineage.store.model_record import ModelRecord
from manyways.lineage.store.row_registry import load_set
from manyways.lineage.store.weight_store import WeightStore
from manyways.lineage.terms import (
    AGAIN,
    ASSEMBLE,
    BITWISE,
    CANNOT,
    DELETE,
    EXACT,
    GONE,
    LEARNED_ANEW,
    NEARLY,
    NO_PROOF,
    RETRAIN,
    TAKEN_OUT,
)  # fmt: skip
from manyways.methods.chain import Chain
from manyways.methods.discovery import find_method
from manyways.methods.expressions import is_method_name, methods_in, parse_method
from manyways.methods.method import Method
from manyways.methods.needs import lacking
from manyways.methods.saved import method_from_json, places


def approximation(how: str) -> Method | None:
    """The approximate method that `how` names; None where it is `exact` or `retrain`. Raises ParameterError."""
    if how in (EXACT, AGAIN):
        return None
    # A plan that goes on comes out of the store: nothing in it is made that could bring code along.
    if not all(find_method(name).approximate for name in methods_in(how) if is_method_name(name)):
        raise ParameterError(
            f"how must be {EXACT!r}, {AGAIN!r} or an approximate method of forgetting; got {how!r}, which is none."
        )
    return parse_method(how)


class Planner:
    """Plans one forgetting: of the rows `gone`, with models that are left as they are looked up in `weights`."""

    def __init__(
        self, db: sqlite3.Connection, weights: WeightStore, sources: DataSources, gone: BitMap, *, how: str = EXACT,
        delete: bool = False, other_versions: bool = False,
    ) -> None:  # fmt: skip
        self._db, self._weights, self._sources, self._gone = db, weights, sources, gone
        self._how, self._delete, self._other_versions = how, delete, other_versions
        self._approximate = approximation(how)
        self._restored: dict[int, RestoredData | str] = {}

    def steps(
        self, records: Sequence[ModelRecord], before: Mapping[str, ForgettingStep] | None = None
    ) -> list[ForgettingStep]:
        """A step for each of `records`, which are in the order in which they were made.

        before: the steps of models that were planned earlier, by their ids.
        """
        planned = dict(before or {})
        steps = []
        for record in records:
            step = self._step(record, planned)
            if step.how == CANNOT and self._delete:
                step = replace(step, how=DELETE, guarantee=GONE)
            planned[record.id] = step
            steps.append(step)
        return steps

    def _step(self, record: ModelRecord, planned: Mapping[str, ForgettingStep]) -> ForgettingStep:
        own = load_set(self._db, record.own_rows)
        plan = record.lineage["plan"].values()
        step = ForgettingStep(
            model=record.id,
            title=record.title,
            how=CANNOT,
            guarantee="",
            rows=own.intersection_cardinality(self._gone),
            given=len(own),
            steps=sum(last for _, last in plan),
            seconds=float(record.lineage["seconds"]),
        )
        behind = [planned[parent] for parent in record.parents.values() if parent in planned]
        if deleted := [parent for parent in behind if parent.how in (DELETE, CANNOT)]:
            source = f"{deleted[0].title} ({deleted[0].short}), which it was made from"
            return replace(step, note=f"{source}, {'is deleted' if deleted[0].how == DELETE else 'cannot forget'}")
        restored = self.data_of(record)
        if isinstance(restored, RestoredData) and restored.rest is None:
            return replace(step, how=DELETE, guarantee=GONE, note="nothing is left to learn it from")
        there = isinstance(restored, RestoredData) and restored.whole is not None and step.rows > 0
        if self._approximate is not None and there and record.lineage["method"].get("name") != Chain.method_name():
            return replace(step, how=str(self._approximate), guarantee=NO_PROOF, steps=0, seconds=0.0)
        reason = self._missing(record, planned) or retraining_obstacle(
            record, self._sources.functions, other_versions=self._other_versions
        )
        if reason or isinstance(restored, str):
            return replace(step, note=reason or str(restored))
        return self._choose(step, record, restored, behind)

    def _choose(
        self, step: ForgettingStep, record: ModelRecord, restored: RestoredData | None, behind: Sequence[ForgettingStep]
    ) -> ForgettingStep:
        """Choose the way in which a model that can be retrained forgets."""
        models = dict.fromkeys(place for place, _ in places(record.lineage["method"], "model"))
        method = method_from_json(record.lineage["method"], models, self._sources.functions)
        there = restored is not None and restored.whole is not None and step.rows > 0
        quick = self._how == EXACT and method.forgets is not None and not behind and there
        if quick and self._weights.problem(record.weights) is None:
            return replace(step, how=f"{method.method_name()} {TAKEN_OUT}", guarantee=str(method.forgets), steps=0)
        if self._how == EXACT and method.forgets is not None and not there:
            step = replace(step, note="its source no longer has the rows, so they cannot be taken out of it")
        parts = sum(role.startswith("part:") for role in record.parents)
        if isinstance(method, Chain) and parts == len(method.stages):
            return replace(step, how=ASSEMBLE, guarantee=_weakest(BITWISE, behind), steps=0, seconds=0.0)
        if restored is not None and restored.rest is not None and (reason := lacking(method.needs, restored.rest)):
            return replace(step, note=f"without the rows it cannot be learned: {reason.removesuffix('.')}")
        own = method.unrepeatable() or self._limits(record)
        return replace(step, how=RETRAIN, guarantee=_weakest(f"{LEARNED_ANEW}{own}" if own else BITWISE, behind))

    def _limits(self, record: ModelRecord) -> str | None:
        from manyways.lineage.forgetting.retraining import environment_difference

        if strange := environment_difference(record.lineage["versions"], record.lineage["machine"]):
            return f"not bitwise: it was learned under {strange}"
        if str(record.lineage["machine"].get("device", "cpu")).startswith("cuda"):
            return "bitwise where the GPU adds in one order"
        return None

    def data_of(self, record: ModelRecord) -> RestoredData | str | None:
        """The data of a model without the rows; why it cannot be had; None where it learned from none."""
        if record.manifest is None:
            return None
        if record.manifest not in self._restored:
            try:
                found: RestoredData | str = self._sources.find(Manifest.load(self._db, record.manifest), self._gone)
            except (StoreError, ManywaysError) as error:
                found = str(error).removesuffix(".")
            self._restored[record.manifest] = found
        return self._restored[record.manifest]

    def _missing(self, record: ModelRecord, planned: Mapping[str, ForgettingStep]) -> str | None:
        """The reason why a model that this one is made from, and that stays, cannot be loaded; None if it can."""
        for parent in record.parents.values():
            if parent not in planned:
                found = self._db.execute("SELECT weights FROM models WHERE id = ?", (parent,)).fetchone()
                if found is None:
                    raise missing_reference(f"the model {parent[:10]}")
                (key,) = found
                if problem := self._weights.problem(key):
                    return problem.removesuffix(".")
        return None


def _weakest(own: str, behind: Sequence[ForgettingStep]) -> str:
    """The guarantee of a model with one of its `own`, made from models that have forgotten, too."""
    order = (BITWISE, NEARLY)
    stated = [own, *(step.guarantee for step in behind)]
    if NO_PROOF in stated:
        return NO_PROOF
    other = [each for each in stated if each not in order]
    return other[0] if other else max(stated, key=order.index)
