"""Co-training: two views of each row teach each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import modalities
from manyways.data.data import Data
from manyways.data.parts import TRAINING
from manyways.data.storage import RowNumbers
from manyways.data.targets import predictions
from manyways.errors import DataError
from manyways.methods.bases.relabelling import TeachingMethod, hidden
from manyways.methods.fields import Count
from manyways.methods.method import Ablations, Learned
from manyways.methods.needs import Classes, Input, Unlabelled
from manyways.models.model import Model
from manyways.randomness import mix
from manyways.training.budget import Budget
from manyways.training.run import Run

Views = tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class CoTraining(TeachingMethod):
    """Train a model on each of two views of the rows; each labels for the other the rows that it is surest of.

    The views are two inputs, such as sound and picture, or two halves of a table's columns. In each round both are
    trained anew, each on the given labels and what the other has guessed, and each labels the surest rows of each class
    in a pool of unlabelled ones: `added` of a class on average, as many of each as its share of the labels says. At
    last one model learns from both views, and all guesses on which they do not contradict each other. How often the two
    agree on the unlabelled rows is stated: views that are not independent agree in their errors, too, and then this is
    no better than self-training.
    """

    view: tuple[str, ...] = ()
    """Inputs of the first view; the second has all others. Empty: the first of two inputs, or of a table's columns
    every other one."""
    rounds: Count = 5
    """Rounds, of two trainings each; one on both views comes after them."""
    added: Count = 10
    """Rows of each class, on average, that a view labels for the other in a round."""
    pool: Count = 500
    """Unlabelled rows, drawn at random and filled up again, that they choose from."""

    needs: ClassVar = (Input, Classes, Unlabelled)
    gives: ClassVar = predictions() | {"embed"}
    takes: ClassVar = frozenset()
    missing_inputs: ClassVar = False
    suggests: ClassVar = ()
    example: ClassVar = "digit-halves"
    paper: ClassVar = "Blum & Mitchell, Combining labeled and unlabeled data with co-training, COLT 1998"
    field_trials: ClassVar = {"view": {"view": ("lower",)}}

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(rounds=2, added=3)

    def ablations(self, data: Data) -> Ablations:
        return {**super().ablations(data), "its guesses": (replace(self, pool=1, added=1, rounds=1), data)}

    def fewest_steps(self) -> int:
        return (2 * self.rounds + 1) * self.base.fewest_steps()

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        if reason := super().lacks_of(data):
            return reason
        try:
            views = self.views(data)
        except DataError as error:
            return str(error)
        reasons = (self.base.lacks(data.with_inputs(view), model) for view in views)
        return super().lacks(data, model) or next((reason for reason in reasons if reason), None)

    def views(self, data: Data) -> Views:
        """The inputs of the two views.

        Raises:
            DataError: There are no two, or `view` names what is no input, or all of them.
        """
        names = [column.name for column in data.inputs]
        if self.view:
            data.with_inputs(self.view)
            others = tuple(name for name in names if name not in self.view)
            if not others:
                raise DataError(f"view names all {len(names)} inputs, and the second view has none left. Name fewer.")
            return self.view, others
        groups = [tuple(column.name for column in columns) for columns in modalities(data.inputs).values()]
        if len(groups) == 1 and len(names) > 1:
            return tuple(names[::2]), tuple(names[1::2])
        if len(groups) != 2:
            raise DataError(
                f"it needs two views of each row, and {data.name} has {len(groups)} "
                f"input{'s' * (len(groups) > 1)}, {', '.join(names)}."
                + (" Name those of one: view=(…,)." if len(groups) > 2 else " From one input learns self-training.")
            )
        return groups[0], groups[1]

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        views, trainings = self.views(data), 2 * self.rounds + 1
        order = np.random.Generator(np.random.Philox(mix(seed, 6))).permutation(hidden(data))
        classes = _shares(data)
        known, trained = [data, data], list[Model]()
        guessed = [np.zeros(len(data), bool), np.zeros(len(data), bool)]

        def fit(name: str, rows: Data) -> Model:
            spent = [each.lineage.steps if budget.unit == "steps" else each.lineage.seconds for each in trained]
            share = budget.next_share(spent, trainings - len(trained), self.base.fewest_steps())
            trained.append(run.once(name, lambda part: self.base.fit(rows, model, budget=share, seed=seed, run=part)))
            return trained[-1]

        latest: list[Model] = []
        for number in range(1, self.rounds + 1):
            latest = [
                fit(f"round-{number}-view-{at + 1}", known[at].with_inputs(view)) for at, view in enumerate(views)
            ]
            free = order[~(guessed[0] | guessed[1])[order]][: self.pool]
            for at, view in enumerate(views):
                rows, labels = self._surest(latest[at], data.select(free).with_inputs(view), free, classes)
                if len(rows):
                    known[1 - at] = known[1 - at].with_label_values(rows, labels, guessed=True)
                    guessed[at][rows] = True
        agreement = _agreement(latest, data, views)
        last = fit("both-views", _together(data, known, guessed))
        return Learned(
            last,
            np.asarray(data.part[data.rows] == TRAINING),  # what was guessed at shaped it, too
            tuple(trained),
            sum(each.lineage.steps for each in trained),
            sum(each.lineage.seconds for each in trained),
            {"views": [list(view) for view in views], "guesses": [int(each.sum()) for each in guessed], **agreement},
        )

    def _surest(
        self, model: Model, rows: Data, places: RowNumbers, classes: Mapping[Any, float]
    ) -> tuple[RowNumbers, NDArray[Any]]:
        """Of each class the `rows`, at `places`, that `model` is surest are of it, and the classes."""
        if not len(rows):
            return places, np.empty(0)
        probabilities, predicted = model.probabilities(rows).max(axis=1), model.predict(rows)
        chosen = []
        for name, share in classes.items():
            own = np.flatnonzero(predicted == name)
            count = max(1, round(self.added * len(classes) * share))
            chosen.append(own[np.argsort(-probabilities[own], kind="stable")[:count]])
        picked = np.sort(np.concatenate(chosen))
        return places[picked], predicted[picked]


def _shares(data: Data) -> dict[Any, float]:
    """The share of each class among the labels that are seen."""
    rows = data.training
    names, counts = np.unique(rows.take(data.label.name)[rows.labelled], return_counts=True)
    return dict(zip(names.tolist(), (counts / counts.sum()).tolist(), strict=True))


def _together(data: Data, known: Sequence[Data], guessed: Sequence[NDArray[np.bool_]]) -> Data:
    """`data` with the guesses of both views, but for those that contradict each other."""
    name = data.label.name
    values = [known[1 - at].take(name) for at in range(2)]
    clash = guessed[0] & guessed[1] & (values[0] != values[1])
    for at in range(2):
        rows = np.flatnonzero(guessed[at] & ~clash)
        if len(rows):
            data = data.with_label_values(rows, values[at][rows], guessed=True)
    return data


def _agreement(models: Sequence[Model], data: Data, views: Views) -> dict[str, float]:
    """The share of the unlabelled rows of which the two models say the same, and the share by chance alone."""
    rows = data.select(hidden(data))
    one, other = (model.predict(rows.with_inputs(view)) for model, view in zip(models, views, strict=True))
    names = np.unique(np.concatenate([one, other]))
    by_chance = sum(float((one == name).mean() * (other == name).mean()) for name in names)
    return {"agreement": round(float((one == other).mean()), 4), "agreement_by_chance": round(by_chance, 4)}
