"""Integrity of a store: every hash, every file, and weights that no model has."""

import shutil
from dataclasses import dataclass

from manyways.errors import StoreError
from manyways.lineage.store.checked_values import digest
from manyways.lineage.store.database import Database
from manyways.lineage.store.database_scan import DatabaseScan
from manyways.lineage.store.weight_store import WeightStore


@dataclass(frozen=True)
class IntegrityReport:
    """Report on the integrity of a store.

    Attributes:
        models: Number of models.
        weights: Number of weights that they have.
        problems: Damage, in words.
        orphans: Folders of weights that no model has, left behind by processes that were killed.
        removed: True if they were deleted.
        unfinished: State of a forgetting that was begun and is not done.
    """

    models: int
    weights: int
    problems: tuple[str, ...]
    orphans: tuple[str, ...]
    removed: bool = False
    unfinished: str | None = None

    @property
    def whole(self) -> bool:
        """True if nothing is wrong."""
        return not self.problems


def check_integrity(database: Database, weights: WeightStore, *, remove_orphans: bool = False) -> IntegrityReport:
    """Look at everything in a store; with `remove_orphans` folders of weights that no model has are deleted.

    What is damaged is told, however much it is; nothing is deleted where the database is, for then nobody knows which
    weights are in use.
    """
    if not database.exists:
        return IntegrityReport(0, 0, (), ())
    try:
        with database.reading() as db:
            scan = DatabaseScan(db)
            begun = db.execute("SELECT state FROM forgets").fetchone() if not scan.problems else None
    except StoreError as error:
        return IntegrityReport(0, 0, (str(error),), ())
    problems, damaged = list(scan.problems), bool(scan.problems)
    for key in sorted({record.weights for record in scan.records}):
        sharing = [each for each in scan.records if each.weights == key]
        if problem := weights.problem(key):
            users = ", ".join(f"{each.title} ({each.short})" for each in sharing)
            problems.append(f"{problem} It is that of {users}.")
            continue
        odd = [each.short for each in sharing if each.kind != weights.kind(key)]
        problems += [f"`kind` of the model {short} is not that of its weights" for short in odd]
        damaged |= bool(odd)
    if damaged:
        kept = f"Nothing was deleted: {database.path} is damaged, so it is not known which weights are in use."
        problems += [kept] if remove_orphans else []
        used = {record.weights for record in scan.records}
        return IntegrityReport(len(scan.records), len(used), tuple(problems), ())
    used, orphans = _orphans(database, weights, remove_orphans)
    unfinished = begun[0] if begun else None
    return IntegrityReport(len(scan.records), len(used), tuple(problems), tuple(orphans), remove_orphans, unfinished)


def _orphans(database: Database, weights: WeightStore, remove: bool) -> tuple[set[str], list[str]]:
    """The weights that models have, and the folders that no model has."""
    if remove:
        database.check_writable()
    # Writing, so that no other process is about to give them to a model; where nothing can be written, none is.
    with database.writing() if database.writable else database.reading() as db:
        used = {digest(key, "`weights` of a model") for (key,) in db.execute("SELECT weights FROM models")}
        stray = weights.kept() - used
        if remove:
            weights.remove(stray)
    parts = weights.unfinished()
    if remove:
        for path in parts:
            shutil.rmtree(path, ignore_errors=True)
    return used, sorted([str(weights.place(key)) for key in stray] + [str(path) for path in parts])
