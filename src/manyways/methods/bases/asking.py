"""Asking: methods that are taught in rounds, between which they ask for labels of rows that they choose."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.label_notes import LabelNotes
from manyways.data.parts import TRAINING
from manyways.data.phrases import count_of
from manyways.data.questions import QuestionFile
from manyways.data.targets import kind_of
from manyways.errors import DataError
from manyways.methods.bases.oracles import answers_of
from manyways.methods.bases.relabelling import RelabellingMethod, Turn, hidden, within
from manyways.methods.fields import Count
from manyways.methods.method import Ablations
from manyways.methods.needs import Unlabelled
from manyways.models.model import Model
from manyways.training.events import Event
from manyways.training.run import Run

QUESTIONS = "questions-"
"""The beginning of the names of a run's parts that ask."""


@dataclass(frozen=True, kw_only=True)
class AskingMethod(RelabellingMethod):
    """A method that chooses in rounds which rows it wants labels of; a subclass says which, by its `strategy`.

    The labels asked for are revealed where they are hidden in the data, or given by `oracle`. Where no label is given
    at first, the first questions come before the first training.
    """

    questions: Count | None = None
    """Labels to ask for in all. None: as many as are given at first, half of those that a comparison allows."""
    rounds: Count = 4
    """Times that questions are asked; after the last a final training follows."""
    oracle: Callable[[Data], Sequence[Any]] | None = None
    """Gives the labels of the rows it is called with. None: labels hidden in the data are revealed."""

    field_trials: ClassVar = {"oracle": {"oracle": lambda rows: [0] * len(rows)}}

    @abstractmethod
    def choose(self, known: Data, candidates: NDArray[np.int64], count: int, turn: Turn) -> NDArray[np.int64]:
        """`count` of the `candidates`, positions in `known`: the rows to ask about in this turn."""

    @abstractmethod
    def at_random(self) -> "AskingMethod":
        """This method as it asks about rows that are drawn at random."""

    def ablations(self, data: Data) -> Ablations:
        return {**super().ablations(data), "its choice": (self.at_random(), data)}

    def yardstick(self) -> "AskingMethod | None":
        # Nobody is asked twice as much for the sake of a comparison.
        return self.at_random() if self.oracle is None else None

    def asks(self, labels: int) -> int:
        own = self._own(labels)
        return own + self.base.asks(labels - own)

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        cold = data.has("label") and not data.training.labelled.any()
        if reason := super().lacks(_as_if_labelled(data) if cold else data, model):
            return reason
        return self.lacks_answers(data)

    def lacks_answers(self, data: Data) -> str | None:
        """The reason why it cannot ask for as many labels of `data` as it would; None if it can."""
        cold = not data.training.labelled.any()
        questions, answerable = self._questions(data), len(self._candidates(data))
        if cold and not questions:
            return (
                f"no training row has a label, so it must be said how many to ask for: questions=…; {answerable} rows "
                "can be asked about."
                if answerable or self.oracle
                else f"no training row has a label in {data.label.name!r}, seen or hidden. Let a function or a person "
                f"answer: {type(self).__name__}(oracle=…), manyways fit … --ask questions.csv."
            )
        if questions > answerable:
            which = "have a hidden label" if self.oracle is None else "are unlabelled"
            return (
                f"it asks for {max(questions, self.questions or 0)} labels, and {answerable} training rows {which}. "
                f"Ask for fewer: questions=, or let a function answer: {type(self).__name__}(oracle=my_function)."
            )
        if Unlabelled in self.base.needs and questions == int((~data.training.labelled).sum()):
            return f"{self.base} needs rows without a label, and it asks for all of them. Ask for fewer: questions=."
        return None

    def _own(self, labels: int) -> int:
        """The number of `labels`, all that there may be, that it asks for itself."""
        return max(0, min(self.questions if self.questions is not None else labels // 2, labels - 1))

    def _questions(self, data: Data) -> int:
        """The number of labels that it asks for itself where `data` are what it is given at first."""
        given = int(data.training.truly_labelled.sum())
        if data.allowance is None or not given:
            wanted = self.questions if self.questions is not None else given
            return wanted if data.allowance is None else min(wanted or data.allowance, data.allowance)
        return min(self._own(given + data.allowance), data.allowance)

    def _queries(self, data: Data) -> NDArray[np.int64]:
        """The number of questions each time, where `data` are what it is given at first.

        With fewer questions than rounds there are as many rounds: one without would train the same again.
        """
        questions = self._questions(data)
        return np.diff(np.linspace(0, questions, min(self.rounds, questions) + 1).round().astype(int))

    def _candidates(self, data: Data) -> NDArray[np.int64]:
        rows = hidden(data)
        return rows if self.oracle else rows[data.known[rows]]

    def trainings(self, data: Data | None = None) -> int:
        if data is None:
            return 1 + self.rounds
        rounds = min(self.rounds, self._questions(data))
        return rounds + bool(data.training.labelled.any())  # else the first questions come before any training

    def begun(self, data: Data, start: Model | None, seed: int, run: Run) -> Data:
        if data.training.labelled.any():
            return data
        answered = self.relabelled(data, data, Turn(None, start, 0, seed, run))
        if not answered.training.labelled.any():
            raise DataError(
                f"None of the first {self._queries(data)[0]} rows was given a label, so there is nothing to learn "
                "from. Answer some of them."
            )
        return answered

    def rows_of_round(self, data: Data, known: Data, trained: list[Model]) -> Data:
        asked_before = len(trained) + (not data.training.labelled.any())
        return within(known, int(self._queries(data)[asked_before:].sum()))  # what it asks for itself is reserved

    def noted(self, known: Data, model: Model, run: Run) -> None:
        labels = int(known.training.truly_labelled.sum())
        note = count_of(labels, "label")
        run.tell(Event("milestone", run.stage, 0, 0, 0.0, {"labels": float(labels)}, lambda: model, note))

    def relabelled(self, data: Data, known: Data, turn: Turn) -> Data:
        """`known` with the answers to the questions of this turn."""
        name = f"{QUESTIONS}{turn.done}"
        part = turn.run.child(name)
        first = int(bool(data.training.labelled.any()))
        count = int(self._queries(data)[turn.done - first])
        chosen = np.array(turn.run.once_rows(name, lambda: self._chosen(known, count, turn).tolist()), np.int64)
        if not len(chosen):
            return known
        if self.oracle is None:
            return known.reveal(chosen)
        notes = part.label_notes()
        answered = known if notes is None else notes.on(known)
        oracle: Callable[[Data], Sequence[Any]] = self.oracle
        if notes is not None:  # a person is asked once, also where the training was killed since
            if not isinstance(self.oracle, QuestionFile):
                return answered
            sure = answered.labelled[chosen]
            self.oracle.check_unchanged(answered.select(chosen[sure]), turn.run.folder)
            chosen, oracle = chosen[~sure], self.oracle.answers  # who was not sure may be so by now
        classes = () if kind_of(known).structured else known.classes
        answers, sure = answers_of(oracle(known.select(chosen)), len(chosen), classes)
        if sure.any():
            answered = answered.with_label_values(chosen[sure], answers[sure])
        part.leave(LabelNotes.between(known, answered))
        return answered

    def _chosen(self, known: Data, count: int, turn: Turn) -> NDArray[np.int64]:
        """The positions in `known` of the rows to ask about; none that was asked about before."""
        before = [row for rows in turn.run.rows_of(QUESTIONS) for row in rows]
        candidates = np.setdiff1d(self._candidates(known), np.array(before, np.int64))
        return self.choose(known, candidates, min(count, len(candidates)), turn) if len(candidates) else candidates

    def rows_used(self, data: Data, known: Data) -> NDArray[np.bool_]:
        return np.asarray((data.part[data.rows] == TRAINING) & known.labelled)

    def facts(self, data: Data) -> Mapping[str, Any]:
        return {"asked": self._queries(data).tolist()}  # the rows of each round stand in the lineages of the parents


def _as_if_labelled(data: Data) -> Data:
    """`data` as they may be after the first answers: every other row with a label that may be asked for."""
    known = np.flatnonzero(data.part == TRAINING)
    visible = data.visible.copy()
    visible[known[::2]] = True
    return replace(data, visible=visible)
