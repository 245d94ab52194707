"""The journal of a forgetting: what was asked for and agreed to, and how far it is; it outlives a kill."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pyroaring import BitMap

from manyways.checked_json import Described
from manyways.lineage.store.checked_values import (
    Damage,
    absolute_path,
    built,
    digest,
    json_object,
    receipt_text,
    row_set,
    whole_number,
)
from manyways.lineage.store.forgetting_plan import ForgettingPlan, ForgettingStep

GOING, SWAPPED, CLEANING = "going", "swapped", "cleaning"
"""Models are being made; the new ones have taken their places, and files are deleted; the database is written anew."""
NO_PLAN = ForgettingPlan((), 0)


@dataclass(frozen=True)
class Journal:
    """One forgetting that was agreed to and is not done.

    request: a hash of what was asked for. plan, rows: what is to be done, and the numbers of the rows; both
    are empty once the receipt is written. receipt: its text, once it is known.
    """

    id: int
    request: str
    state: str
    plan: ForgettingPlan
    rows: BitMap
    receipt_path: str | None
    receipt: str | None

    @staticmethod
    def pending(db: sqlite3.Connection) -> "Journal | None":
        """The forgetting that is not done; None where there is none."""
        row = db.execute(
            "SELECT id, request, state, plan, rows, receipt_path, receipt FROM forgets ORDER BY id LIMIT 1"
        ).fetchone()
        if row is None:
            return None
        key, request, state, plan, rows, path, receipt = row
        where = f"row {key} of forgets"
        if state not in (GOING, SWAPPED, CLEANING) or bool(plan) != (state != CLEANING):
            raise Damage(f"`state` and `plan` of {where} are none of a forgetting.")
        return Journal(
            id=whole_number(key, f"`id` of {where}"),
            request=digest(request, f"`request` of {where}"),
            state=state,
            plan=_plan(json_object(plan, f"`plan` of {where}")) if plan else NO_PLAN,
            rows=row_set(rows, f"`rows` of {where}"),
            receipt_path=None if path is None else absolute_path(path, f"`receipt_path` of {where}"),
            receipt=receipt_text(receipt, f"`receipt` of {where}") if state == SWAPPED or receipt is not None else None,
        )

    @staticmethod
    def begin(
        db: sqlite3.Connection, request: str, plan: ForgettingPlan, rows: BitMap, receipt_path: str | None
    ) -> "Journal":
        """Note that `plan` was agreed to."""
        db.execute(
            "INSERT INTO forgets (request, state, plan, rows, receipt_path) VALUES (?, ?, ?, ?, ?)",
            (request, GOING, json.dumps(plan.to_json()), rows.serialize(), receipt_path),
        )
        (key,) = db.execute("SELECT last_insert_rowid()").fetchone()
        return Journal(int(key), request, GOING, plan, rows, receipt_path, None)

    def write(self, db: sqlite3.Connection) -> "Journal":
        """Note how far it is."""
        plan = "" if self.state == CLEANING else json.dumps(self.plan.to_json())
        db.execute(
            "UPDATE forgets SET request = ?, state = ?, plan = ?, rows = ?, receipt_path = ?, receipt = ? WHERE id = ?",
            (self.request, self.state, plan, self.rows.serialize(), self.receipt_path, self.receipt, self.id),
        )
        return self

    def with_steps(self, steps: "list[ForgettingStep]") -> "Journal":
        """The same with other steps."""
        return replace(self, plan=replace(self.plan, steps=tuple(steps)))

    def end(self, db: sqlite3.Connection) -> None:
        """Delete the entry of a forgetting that is done."""
        db.execute("DELETE FROM forgets WHERE id = ?", (self.id,))


STEP: Mapping[str, type[Any]] = {
    "model": str, "title": str, "how": str, "guarantee": str, "rows": int, "given": int, "steps": int,
    "seconds": float, "note": str,
}  # fmt: skip
"""Members of the JSON of a step, and their types."""


def _plan(plan: Described) -> ForgettingPlan:
    for step in plan.objects("steps"):
        for name, kind in STEP.items():
            step.get(name, kind)
        for name in ("new", "used"):
            step.get(name, str, None)
        step.get("audit", dict, None)
    plan.get("rows", int)
    plan.get("subject", str, None)
    plan.get("how", str)
    plan.all("copies", str)
    plan.get("counted", int, 0)
    return built(ForgettingPlan.from_json, plan.members, plan.where)
