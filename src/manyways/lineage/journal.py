"""The journal of a forgetting: what was asked for and agreed to, and how far it is; it outlives a kill."""

import json
import sqlite3
from dataclasses import dataclass, replace

from pyroaring import BitMap

from manyways.lineage.plan import Plan, Step

GOING, SWAPPED, CLEANING = "going", "swapped", "cleaning"
"""Models are being made; the new ones have taken their places, and files are deleted; the database is written anew."""


@dataclass(frozen=True)
class Journal:
    """One forgetting that was agreed to and is not done.

    request: a hash of what was asked for. rows: the numbers of the rows; they and the plan are there until the receipt
    is written. receipt: its text, once it is known.
    """

    id: int
    request: str
    state: str
    plan: Plan | None
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
        plan = Plan.from_json(json.loads(row[3])) if row[3] else None
        return Journal(row[0], row[1], row[2], plan, BitMap.deserialize(row[4]), row[5], row[6])

    @staticmethod
    def begin(db: sqlite3.Connection, request: str, plan: Plan, rows: BitMap, receipt_path: str | None) -> "Journal":
        """Note that `plan` was agreed to."""
        db.execute(
            "INSERT INTO forgets (request, state, plan, rows, receipt_path) VALUES (?, ?, ?, ?, ?)",
            (request, GOING, json.dumps(plan.to_json()), rows.serialize(), receipt_path),
        )
        begun = Journal.pending(db)
        assert begun is not None
        return begun

    def write(self, db: sqlite3.Connection) -> "Journal":
        """Note how far it is."""
        plan = json.dumps(self.plan.to_json()) if self.plan is not None else ""
        db.execute(
            "UPDATE forgets SET request = ?, state = ?, plan = ?, rows = ?, receipt_path = ?, receipt = ? WHERE id = ?",
            (self.request, self.state, plan, self.rows.serialize(), self.receipt_path, self.receipt, self.id),
        )
        return self

    def with_steps(self, steps: "list[Step]") -> "Journal":
        """The same with other steps."""
        assert self.plan is not None
        return replace(self, plan=replace(self.plan, steps=tuple(steps)))

    def end(self, db: sqlite3.Connection) -> None:
        """Nothing is left to do."""
        db.execute("DELETE FROM forgets WHERE id = ?", (self.id,))
