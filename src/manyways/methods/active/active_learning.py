"""Active learning: the model asks for the labels that would help it most."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.label_notes import LabelNotes
from manyways.data.parts import TRAINING
from manyways.data.targets import kind_of
from manyways.errors import DataError
from manyways.methods.bases.acquisition import ACQUISITIONS
from manyways.methods.bases.relabelling import RelabellingMethod, hidden, within
from manyways.methods.fields import Count, Named
from manyways.methods.method import Ablations
from manyways.methods.needs import Unlabelled
from manyways.methods.recommendations import Recommendation
from manyways.models.model import Model
from manyways.training.run import Run


@dataclass(frozen=True, kw_only=True)
class ActiveLearning(RelabellingMethod):
    """Train, ask for the labels of the rows that the model is least sure of, train anew; several rounds.

    The labels asked for are revealed where they are hidden in the data, or given by `oracle`. They are handed on to the
    next stage of a chain, which learns from all of them.
    """

    strategy: Annotated[str, Named(ACQUISITIONS)] = "margin"
    """The acquisition of rows to label: see `manyways.methods.bases.acquisition`; `random` is the yardstick."""
    questions: Count | None = None
    """Labels to ask for in all. None: as many as are given at first, half of those that a comparison allows."""
    rounds: Count = 4
    """Times that questions are asked; after the last a final training follows."""
    oracle: Callable[[Data], Sequence[Any]] | None = None
    """Gives the labels of the rows it is called with. None: labels hidden in the data are revealed."""

    recommends: ClassVar = {
        "any": Recommendation("asks for the labels that help most instead of taking what it is given", 34),
    }
    paper: ClassVar = "Lewis & Gale (1994); Settles, Active learning literature survey (2009)"

    field_trials: ClassVar = {"oracle": {"oracle": lambda rows: [0] * len(rows)}}

    def ablations(self, data: Data) -> Ablations:
        return {**super().ablations(data), "doubt": (replace(self, strategy="random"), data)}

    def asks(self, labels: int) -> int:
        own = self._own(labels)
        return own + self.base.asks(labels - own)

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        if reason := super().lacks(data, model):
            return reason
        questions, answerable = self._questions(data), len(self._candidates(data))
        if questions > answerable:
            which = "have a hidden label" if self.oracle is None else "are unlabelled"
            return (
                f"it asks for {max(questions, self.questions or 0)} labels, and {answerable} training rows {which}. "
                "Ask for fewer: questions=, or let a function answer: ActiveLearning(oracle=my_function)."
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
        if data.allowance is None:
            return self.questions if self.questions is not None else given
        return min(self._own(given + data.allowance), data.allowance)

    def _queries(self, data: Data) -> NDArray[np.int64]:
        """The number of questions after each round but the last, where `data` are what it is given at first.

        With fewer questions than rounds there are as many rounds: one without would train the same again.
        """
        questions = self._questions(data)
        return np.diff(np.linspace(0, questions, min(self.rounds, questions) + 1).round().astype(int))

    def _candidates(self, data: Data) -> NDArray[np.int64]:
        rows = hidden(data)
        return rows if self.oracle else rows[data.known[rows]]

    def trainings(self, data: Data | None = None) -> int:
        return 1 + (self.rounds if data is None else min(self.rounds, self._questions(data)))

    def rows_of_round(self, data: Data, known: Data, trained: list[Model]) -> Data:
        return within(known, int(self._queries(data)[len(trained) :].sum()))  # what it asks for itself is reserved

    def relabelled(self, data: Data, known: Data, model: Model, done: int, seed: int, run: Run) -> Data:
        count = int(self._queries(data)[done - 1])
        part = run.child(f"questions-{done}")
        if self.oracle is not None and (notes := part.label_notes()):
            return notes.on(known)  # a person is asked once, also where the training was killed since
        candidates = self._candidates(known)
        strategy = ACQUISITIONS.find(self.strategy)()
        rng = np.random.default_rng(seed + done - 1)
        chosen = candidates[strategy.choose(model, known.select(candidates), count, rng)]
        if self.oracle is None:
            return known.reveal(chosen)
        classes = () if kind_of(known).structured else known.classes
        answers = answers_of(self.oracle(known.select(chosen)), count, classes)
        answered = known.with_label_values(chosen, answers)
        part.leave(LabelNotes.between(known, answered))
        return answered

    def rows_used(self, data: Data, known: Data) -> NDArray[np.bool_]:
        return np.asarray((data.part[data.rows] == TRAINING) & known.labelled)

    def facts(self, data: Data) -> Mapping[str, Any]:
        return {"asked": self._queries(data).tolist()}  # the rows of each round stand in the lineages of the parents


def answers_of(given: Any, count: int, classes: tuple[Any, ...]) -> NDArray[Any]:
    """Labels from an oracle, [count], of the classes' own type; it may name a class that no row had yet.

    Of labels with a structure `classes` is empty: their kind says what is none.

    Raises:
        DataError: There is another number of answers, or one is no label: nothing, or a value of another type.
    """
    answers = given.tolist() if isinstance(given, np.ndarray) else given
    answers = list(answers) if isinstance(answers, Iterable) and not isinstance(answers, str) else [answers]
    if len(answers) != count:
        raise DataError(f"The oracle was asked for {count} labels and gave {len(answers)}.")
    answers = [each.item() if isinstance(each, np.generic) else each for each in answers]
    types = {type(classes[0])} if classes else set(map(type, answers))
    if strange := [each for each in answers if each not in classes and type(each) not in types]:
        raise DataError(
            f"The oracle answered {strange[0]!r}, which is no label: it gives one for each row that it is asked about, "
            f"such as {', '.join(map(repr, classes[:5]))}."
        )
    out = np.empty(count, object)
    out[:] = answers
    return out
