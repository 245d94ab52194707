"""Counts of the rows of a receipt: those in the source, those of the subject, and those still learned from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from manyways.data.columns import places_of
from manyways.data.data import Data
from manyways.data.notation import is_missing
from manyways.data.parts import TEST
from manyways.lineage.store.row_registry import Ids


@dataclass(frozen=True)
class ReceiptCheck:
    """Check of a receipt as a whole: its subject `what`, whether it `passed`, and a `note` in words."""

    what: str
    passed: bool
    note: str


class RowCounter:
    """Counts, over all sources that are looked at, the rows of a receipt and those of its subject.

    Args:
        rows: The ids in the receipt.
        subject: Subject that they are of; None where they are nobody's.
    """

    def __init__(self, rows: Ids, subject: str | None) -> None:
        self._rows, self._subject = rows, subject
        self._present = np.zeros(len(rows), bool)
        self._others = 0
        self._left = 0
        self._columns: set[str] = set()
        self._looked = False

    def look(self, source: Data, learned: Data) -> None:
        """Count in a `source`, and in what of it is `learned` from."""
        self._looked = True
        places = places_of(self._rows, source.all_ids)
        self._present |= places >= 0
        if self._subject is None:
            return
        for column in source.roles.get("subject", ()):
            self._columns.add(column)
            theirs = _rows_of(source, column, self._subject)
            self._left += int((places_of(learned.all_ids, theirs) >= 0).sum())
            self._others += int((places_of(self._rows[places >= 0], theirs) < 0).sum())

    def checks(self, expected: Ids | None, in_store: bool) -> list[ReceiptCheck]:
        """Return the checks.

        Args:
            expected: Rows that were to be forgotten, where somebody else knows them.
            in_store: True if the store is looked through for the rows and the subject, too.
        """
        results = [self._expected(expected)] if expected is not None else []
        if not self._looked:
            known = in_store and (self._subject is not None or bool(results and results[0].passed))
            note = "no model was learned again, so that the rows could be looked for in no data"
            return [ReceiptCheck("rows", known, f"{note}; the store was looked through" if known else note), *results]
        if self._subject is not None:
            results.append(self._whose())
        # Rows that have left the source are as they should be, if somebody knows that they are the right ones.
        known = bool(results) and all(check.passed for check in results)
        return [*results, self._counted(known)]

    def _counted(self, known: bool) -> ReceiptCheck:
        count, there = len(self._rows), int(self._present.sum())
        if there == count:
            return ReceiptCheck("rows", True, f"the {_rows(count)} that were forgotten are in the source, and left out")
        note = (
            f"the source holds {there:,} of the {_rows(count)} that were forgotten"
            if there
            else f"the source holds none of the {_rows(count)} that were forgotten"
        )
        others = "the others" if there else "they"
        if known:
            return ReceiptCheck("rows", True, f"{note}; {others} have left it")
        return ReceiptCheck(
            "rows", False, f"{note}, so that nothing shows that {others} ever were in it. Give the data as it was, "
            "--data, or the rows that were to be forgotten, --rows",
        )  # fmt: skip

    def _whose(self) -> ReceiptCheck:
        columns = ", ".join(sorted(self._columns))
        if not columns:
            return ReceiptCheck(
                "subject", False, f"no data says in which column names like {self._subject!r} are, so that nothing "
                "shows whose rows they were. Give the rows that were to be forgotten, --rows",
            )  # fmt: skip
        if self._left:
            note = f"{_rows(self._left)} of {self._subject!r} ({columns}) are in what is learned from"
            return ReceiptCheck("subject", False, note)
        if self._others:
            note = f"{_rows(self._others)} of those that were forgotten are not those of {self._subject!r} ({columns})"
            return ReceiptCheck("subject", False, note)
        return ReceiptCheck("subject", True, f"no row of {self._subject!r} ({columns}) is in what is learned from")

    def _expected(self, expected: Ids) -> ReceiptCheck:
        lost = int((places_of(expected, self._rows) < 0).sum())
        if lost:
            return ReceiptCheck("expected", False, f"{_rows(lost)} that were to be forgotten are not in the receipt")
        return ReceiptCheck(
            "expected", True, f"the {_rows(len(expected))} that were to be forgotten are in the receipt"
        )


def training_row_count(data: Data) -> int:
    """Number of rows that could shape a model that is given `data`, each once however often it is there."""
    rows = data.rows[data.part[data.rows] != TEST]
    return len(np.unique(data.all_ids[rows], axis=0))


def row_count_difference(model: Mapping[str, Any], data: Data) -> str | None:
    """The difference between the rows of `data` and the number that the receipt states for `model`; None if none."""
    stated = model["rows"]["given"] - model["rows"]["forgotten"]
    counted = training_row_count(data)
    if counted == stated:
        return None
    return (
        f"it is learned from {_rows(counted)}, and the receipt says {stated:,}: {model['rows']['given']:,} without "
        f"{model['rows']['forgotten']:,}"
    )


def _rows_of(source: Data, column: str, subject: str) -> Ids:
    values = source.columns[column].take(np.arange(len(source.part)))
    theirs = np.fromiter((str(value) == subject for value in values), bool, len(values))
    ids: Ids = source.all_ids[theirs & ~is_missing(values)]
    return ids


def _rows(count: int) -> str:
    return f"{count:,} {'row' if count == 1 else 'rows'}"
