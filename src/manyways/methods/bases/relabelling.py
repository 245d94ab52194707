"""Relabelling: methods that train another one in rounds, each of which says what is labelled in the next."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.parts import TRAINING
from manyways.data.targets import predictions
from manyways.data.targets.base import CONFIDENCE
from manyways.methods.method import Learned, Method
from manyways.methods.needs import Confidence, Input, Need, Unlabelled
from manyways.methods.starts import last, learns_from_labels
from manyways.methods.supervised.supervised import Supervised
from manyways.models.model import Model
from manyways.training.budget import Budget
from manyways.training.run import Run


@dataclass(frozen=True, eq=False)
class Turn:
    """The moment between two rounds at which labels are changed.

    Attributes:
        model: The model of the latest round; None before the first.
        start: The model that every round starts from, where there is one.
        done: The number of rounds that are done.
        seed: The seed of the whole.
        run: The run of the whole.
    """

    model: Model | None
    start: Model | None
    done: int
    seed: int
    run: Run


@dataclass(frozen=True, kw_only=True)
class TeachingMethod(Method):
    """A method that trains `base` several times, and between the trainings changes what is labelled."""

    base: Method = field(default_factory=Supervised)
    """The method of each round; any that learns from labels and classifies."""

    needs: ClassVar[tuple[Need, ...]] = (Input, Confidence, Unlabelled)
    gives: ClassVar = predictions(supporting=CONFIDENCE) | {"embed"}
    takes: ClassVar = frozenset({"embed"})
    missing_inputs: ClassVar = True

    def __post_init__(self) -> None:
        super().__post_init__()
        from manyways.errors import NeedsError

        if not self.can_teach(self.base):
            raise NeedsError(
                f"{type(self).__name__}.base must be a method that learns to classify from labels, such as supervised, "
                f"fixmatch or linear_probe; got {self.base}."
            )

    def can_teach(self, base: Method) -> bool:
        """True if `base` learns what this method can label."""
        return bool(predictions() & base.gives) and learns_from_labels(base)

    def roles_used(self) -> tuple[str, ...]:
        return last(self.base).roles_used()

    def needs_start(self) -> bool:
        return self.base.needs_start()

    def asks(self, labels: int) -> int:
        return self.base.asks(labels)

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        return super().lacks(data, model) or self.base.lacks(data, model)


@dataclass(frozen=True, kw_only=True)
class RelabellingMethod(TeachingMethod):
    """A method that trains `base` in rounds, each from the same start, and between them changes what is labelled.

    Labels that the base itself asks for stay for the rounds after, and come out of the same allowance.
    """

    @abstractmethod
    def trainings(self, data: Data | None = None) -> int:
        """The number of trainings in all; the most that there may be where no `data` are given."""

    @abstractmethod
    def rows_of_round(self, data: Data, known: Data, trained: list[Model]) -> Data:
        """The data of the next round: `data` at first, `known` with all labels that are known by now."""

    @abstractmethod
    def relabelled(self, data: Data, known: Data, turn: Turn) -> Data:
        """`known` with the labels that are asked for in this turn."""

    def begun(self, data: Data, start: Model | None, seed: int, run: Run) -> Data:
        """`data` with the labels that are asked for before anything is trained."""
        return data

    def noted(self, known: Data, model: Model, run: Run) -> None:
        """Tell those who follow the run of `model`, which a round has made of the labels of `known`."""

    def beside(self) -> int:
        """The number of models that are trained beside that of each round but the last, for as many steps."""
        return 0

    @abstractmethod
    def rows_used(self, data: Data, known: Data) -> NDArray[np.bool_]:
        """The rows of `data` that shaped the last model, where `known` has all labels that were known to it."""

    def facts(self, data: Data) -> Mapping[str, Any]:
        """The facts that are stated of a training on `data`, for its lineage."""
        return {}

    def left(self, known: Data, model: Model) -> Data:
        """The data that are handed on to another method."""
        return known

    def fewest_steps(self) -> int:
        trainings = self.trainings()
        return (trainings + self.beside() * (trainings - 1)) * self.base.fewest_steps()

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        trainings, beside = self.trainings(data), self.beside()
        trained: list[Model] = []
        known = self.begun(data, model, seed, run)
        for number in range(1, trainings + 1):
            rows = self.rows_of_round(data, known, trained)
            took = [each.lineage.steps if budget.unit == "steps" else each.lineage.seconds for each in trained]
            spent = [cost for cost in took for _ in range(1 + beside)]  # those beside a model cost what it did
            left = trainings - number + 1 + beside * (trainings - number)
            share = budget.next_share(spent, left, self.base.fewest_steps())

            def learn(part: Run, rows: Data = rows, share: Budget = share) -> Model:
                return self.base.fit(rows, model, budget=share, seed=seed, run=part)

            if trained and self.base.lacks(rows, model):
                break  # every row has a label by now, and the base learns only where some have none
            newest, known = run.once_with_labels(f"round-{number}", learn, known)
            trained.append(newest)
            self.noted(known, newest, run)
            if number < trainings:
                known = self.relabelled(data, known, Turn(newest, model, number, seed, run))
        times = [1 + beside] * (len(trained) - 1) + [1]
        steps, seconds = (
            sum(count * getattr(each.lineage, name) for count, each in zip(times, trained, strict=True))
            for name in ("steps", "seconds")
        )
        return Learned(
            trained[-1],
            self.rows_used(data, known),
            tuple(trained),
            int(steps),
            seconds,
            self.facts(data),
            data=self.left(known, trained[-1]),
        )


def hidden(data: Data) -> NDArray[np.int64]:
    """The positions of the training rows whose label is not seen."""
    return np.flatnonzero(~data.labelled & (data.part[data.rows] == TRAINING))


def within(known: Data, reserved: int) -> Data:
    """`known` for a base that may reveal what is left of the allowance but for `reserved` labels."""
    return known if known.allowance is None else replace(known, allowance=max(0, known.allowance - reserved))
