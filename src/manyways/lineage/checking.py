"""Whether a store is whole: every hash, every file, and what lies about that no model has."""

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from manyways.lineage.record import load_records

if TYPE_CHECKING:
    from manyways.lineage.store import Store


@dataclass(frozen=True)
class Check:
    """What was found in a store.

    models, weights: how many there are. problems: what is wrong, in words. orphans: folders of weights that no model
    has, left behind by processes that were killed; removed: whether they were deleted. unfinished: how far a forgetting
    is that was begun and is not done.
    """

    models: int
    weights: int
    problems: tuple[str, ...]
    orphans: tuple[str, ...]
    removed: bool = False
    unfinished: str | None = None

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def check(store: "Store", *, remove_orphans: bool = False) -> Check:
    """Look at everything in `store`; with `remove_orphans` folders of weights that no model has are deleted."""
    if not store.database.exists:
        return Check(0, 0, (), ())
    with store.database.reading() as db:
        problems = [str(row[0]) for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
        strays = db.execute("PRAGMA foreign_key_check")
        problems += [f"a row of {row[0]} refers to nothing in {row[2]}" for row in strays]
        records = load_records(db, "TRUE")
        begun = db.execute("SELECT state FROM forgets").fetchone()
    for key in sorted({record.weights for record in records}):
        if problem := store.weights.problem(key):
            users = ", ".join(f"{each.title} ({each.short})" for each in records if each.weights == key)
            problems.append(f"{problem} It is that of {users}.")
    with store.database.writing() as db:  # so that no other process is about to give them to a model
        used = {key for (key,) in db.execute("SELECT weights FROM models")}
        stray = store.weights.kept() - used
        if remove_orphans:
            store.weights.remove(stray)
    parts = store.weights.unfinished()
    if remove_orphans:
        for path in parts:
            shutil.rmtree(path, ignore_errors=True)
    orphans = sorted([str(store.weights.place(key)) for key in stray] + [str(path) for path in parts])
    return Check(len(records), len(used), tuple(problems), tuple(orphans), remove_orphans, begun[0] if begun else None)
