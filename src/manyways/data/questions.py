"""Questions in a file: rows that a person labels, and the answers read back from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from manyways.data.columns import Column, id_text
from manyways.data.data import Data
from manyways.data.question_sheet import ANSWER, ID, ROW, Entry, read_sheet, write_sheet
from manyways.data.row_content import content_of
from manyways.data.targets import kind_of
from manyways.errors import AnswersAwaited, DataError, ParameterError


@dataclass(frozen=True)
class Skipped:
    """The place of an answer that there is none: whoever was asked is not sure."""


SKIPPED: Final = Skipped()
"""In the place of an oracle's answer: the row stays without a label, and is asked no more."""
CELLS: Final = frozenset({"category", "number", "text"})
"""Kinds of labels that a person can type into a cell."""


@dataclass(frozen=True)
class QuestionFile:
    """An oracle that is a person with a file: rows without an answer are written there, and answers read back.

    It is called with the rows to be labelled. Those that are not in the file yet are added to it, and AnswersAwaited is
    raised. Called again with the same rows it returns what stands in the column `answer`; where that is blank, SKIPPED.
    The file keeps every question and answer there ever was, so that no row is asked about twice, in any run.

    Args:
        path: File to write, .csv, .json or .jsonl; pictures and sounds lie in a folder beside it.
    """

    path: Path
    endings: ClassVar[tuple[str, ...]] = (".csv", ".json", ".jsonl")

    def __init__(self, path: str | Path) -> None:
        object.__setattr__(self, "path", Path(path))
        if self.path.suffix.lower() not in self.endings:
            raise ParameterError(f"A file of questions must end with {', '.join(self.endings)}; got {str(path)!r}.")

    def __call__(self, rows: Data) -> Sequence[Any]:
        """The answers to `rows`, in their order.

        Raises:
            AnswersAwaited: Some were added to the file, or none of them has an answer yet.
            DataError: The file is damaged, or an answer is no label.
        """
        if rows.label.kind not in CELLS:
            raise DataError(
                f"The label {rows.label.name!r} is of the kind {rows.label.kind}, which no cell of a file of questions "
                "can hold. Let a function answer: ActiveLearning(oracle=my_function)."
            )
        entries = read_sheet(self.path) if self.path.exists() else {}
        ids = [id_text(each) for each in rows.ids]
        if new := self._new(rows, ids, entries):
            write_sheet(self.path, [*entries.values(), *new])
            raise AnswersAwaited(self._wanted(len(new)), self.path, len(new))
        texts = [entries[each].answer for each in ids]
        if not any(texts):
            raise AnswersAwaited(self._wanted(len(texts)), self.path, len(texts))
        return self.answers(rows)

    def answers(self, rows: Data) -> list[Any]:
        """The answers to `rows` as far as they are in the file, SKIPPED for the others.

        Raises:
            DataError: The file is damaged, or an answer is no label.
        """
        entries = read_sheet(self.path) if self.path.exists() else {}
        found = [entries.get(id_text(each)) for each in rows.ids]
        return [self._label(entry.answer, rows, entry) if entry and entry.answer else SKIPPED for entry in found]

    def check_unchanged(self, rows: Data, folder: Path | None) -> None:
        """Raise DataError where another answer stands in the file than the label of `rows`, which came from it.

        folder: The place of what was learned from these answers.
        """
        labels = rows.take(rows.label.name).tolist()
        for place, (label, answer) in enumerate(zip(labels, self.answers(rows), strict=True)):
            if answer != label:
                now = "blank" if isinstance(answer, Skipped) else repr(answer)
                raise DataError(
                    f"The answer to row {rows.source_rows[place]} in {self.path} is {now} now, and was {label!r} when "
                    "a model learned from it. To learn anew from all answers, none of which is asked again, delete "
                    f"{folder}; or put the answer back."
                )

    def _new(self, rows: Data, ids: Sequence[str], entries: Mapping[str, Entry]) -> list[Entry]:
        """The entries of the rows that are not in the file, each once."""
        places = {each: place for place, each in reversed(list(enumerate(ids))) if each not in entries}
        numbers = rows.source_rows
        return [
            Entry(ids[place], int(numbers[place]), "", content_of(rows, place, self.path))
            for place in sorted(places.values())
        ]

    def _wanted(self, count: int) -> str:
        rows = f"{count} row{'s' * (count != 1)} in {self.path} {'wait' if count != 1 else 'waits'} for an answer"
        return (
            f"{rows}. Type the label of each into the column {ANSWER!r}, or leave it blank where you are not sure: "
            "such a row is not asked about again. Then repeat the same command."
        )

    def _label(self, text: str, rows: Data, entry: Entry) -> Any:
        """The label that `text` writes, of the kind that `rows` have."""
        where = f"The answer to row {entry.row} in {self.path}"
        if rows.label.kind == "number":
            try:
                return float(text)
            except ValueError:
                raise DataError(f"{where} must be a number; got {text!r}.") from None
        if kind_of(rows).structured:
            return text
        classes = {str(each): each for each in rows.classes}
        if text in classes:
            return classes[text]
        kinds = {type(each) for each in rows.classes}
        try:
            if kinds <= {str}:
                return text
            if kinds in ({int}, {float}):
                return kinds.pop()(text)
        except ValueError:
            pass
        raise DataError(f"{where} must be a class such as {', '.join(list(classes)[:8])}; got {text!r}.")


def with_empty_label(data: Data, name: str) -> Data:
    """`data` with a column `name` for labels, none of which is known: they are asked for.

    Raises:
        DataError: It has such a column.
    """
    if name in data.columns:
        raise DataError(f"{data.name} has a column {name!r} already; name another one for the labels.")
    column = Column(name, "category", np.full(len(data.part), None, object))
    return replace(data, columns={**data.columns, name: column}, roles={**data.roles, "label": (name,)}, origin=None)


__all__ = ["ANSWER", "ID", "ROW", "SKIPPED", "QuestionFile", "Skipped", "with_empty_label"]
