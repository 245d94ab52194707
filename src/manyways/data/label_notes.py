"""Label notes: what a fit learned about labels, for whoever learns from the same rows after it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from manyways.checked_json import described
from manyways.data.categories import as_objects
from manyways.errors import DataError

if TYPE_CHECKING:
    from manyways.data.data import Data


def no_numbers() -> NDArray[np.int64]:
    """An empty list of row numbers."""
    return np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class LabelNotes:
    """The rows of a table, by number, whose labels a fit revealed, was told by an oracle, or guessed.

    Attributes:
        revealed: Rows whose label, which the table holds, was revealed.
        answered: Rows whose label an oracle gave, and `answers` what it said.
        guessed: Rows whose label a model guessed, and `guesses` what it said.
    """

    revealed: NDArray[np.int64]
    answered: NDArray[np.int64]
    answers: NDArray[Any]
    guessed: NDArray[np.int64]
    guesses: NDArray[Any]

    @classmethod
    def between(cls, before: "Data", after: "Data") -> Self:
        """The labels that are known in `after`, which was made of `before`, and not in that."""
        guesses = np.zeros(len(after.visible), bool) if after.guessed is None else after.guessed
        earlier = np.zeros(len(before.visible), bool) if before.guessed is None else before.guessed
        guessed = np.flatnonzero(after.visible & guesses & ~earlier)
        fresh = np.flatnonzero(after.visible & ~guesses & ~(before.visible & ~earlier))
        if len(after.labels) != 1 or after.label.values is before.label.values:
            return cls(fresh, no_numbers(), as_objects([]), guessed, as_objects([]))
        told, held = (each.label.take(fresh).tolist() for each in (after, before))
        same = np.array([bool(np.all(one == other)) for one, other in zip(told, held, strict=True)], bool)
        answered = fresh[~same]
        return cls(fresh[same], answered, after.label.take(answered), guessed, after.label.take(guessed))

    def on(self, data: "Data", *, guesses: bool = True) -> "Data":
        """`data`, which has the same table, with what was learned of its labels; `guesses` among it or not.

        Raises:
            DataError: More would be revealed than may be.
        """
        places = np.full(len(data.visible), -1)
        places[data.rows] = np.arange(len(data.rows))
        known = data.visible if data.guessed is None else data.visible & ~data.guessed

        def news(rows: NDArray[np.int64]) -> NDArray[np.int64]:
            return np.flatnonzero((places[rows] >= 0) & ~known[rows])

        if len(which := news(self.revealed)):
            data = data.reveal(places[self.revealed[which]])
        if len(which := news(self.answered)):
            data = data.with_label_values(places[self.answered[which]], self.answers[which])
        if guesses and len(which := news(self.guessed)):
            data = data.with_label_values(places[self.guessed[which]], self.guesses[which], guessed=True)
        return data

    def to_json(self) -> dict[str, Any]:
        """These notes as JSON values."""
        return {
            "revealed": self.revealed.tolist(),
            "answered": self.answered.tolist(),
            "answers": [plain(value) for value in self.answers.tolist()],
            "guessed": self.guessed.tolist(),
            "guesses": [plain(value) for value in self.guesses.tolist()],
        }

    @classmethod
    def from_json(cls, saved: Mapping[str, Any], where: str) -> Self:
        """The notes that `to_json` gave. Raises DataError, naming `where` they lie, for anything else."""
        notes = described(saved, where, DataError)
        rows = {name: np.array(notes.all(name, int), np.int64) for name in ("revealed", "answered", "guessed")}
        labels = {name: as_objects(notes.get(name, list)) for name in ("answers", "guesses")}
        if len(rows["answered"]) != len(labels["answers"]) or len(rows["guessed"]) != len(labels["guesses"]):
            raise DataError(f"{where} is damaged: it has not one label for each row. Begin again in another folder.")
        return cls(**rows, **labels)


def plain(value: Any) -> Any:
    """A label as JSON can hold it."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value
