"""Active learning: the model asks for the labels that would help it most."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.targets import predictions
from manyways.errors import DataError
from manyways.methods.bases.acquisition import ACQUISITIONS
from manyways.methods.fields import Count, Named
from manyways.methods.method import Ablations, Learned, Method
from manyways.methods.needs import DiscreteLabel, Input, Unlabelled
from manyways.methods.recommendations import Recommendation
from manyways.methods.semi_supervised.self_training import require_classifier
from manyways.methods.starts import last
from manyways.methods.supervised.supervised import Supervised
from manyways.models.model import Model
from manyways.training.budget import Budget
from manyways.training.run import Run


@dataclass(frozen=True, kw_only=True)
class ActiveLearning(Method):
    """Train, ask for the labels of the rows that the model is least sure of, train anew; several rounds.

    The labels asked for are revealed where they are hidden in the data, or given by `oracle`.
    """

    base: Method = field(default_factory=Supervised)
    """The method of each round; any that learns from labels and classifies."""
    strategy: Annotated[str, Named(ACQUISITIONS)] = "margin"
    """The acquisition of rows to label: see `manyways.methods.bases.acquisition`; `random` is the yardstick."""
    questions: Count | None = None
    """Labels to ask for in all. None: as many as are given."""
    rounds: Count = 4
    """Times that questions are asked; after the last a final training follows."""
    oracle: Callable[[Data], Sequence[Any]] | None = None
    """Gives the labels of the rows it is called with. None: labels hidden in the data are revealed."""

    needs: ClassVar = (Input, DiscreteLabel, Unlabelled)
    gives: ClassVar = predictions(discrete=True) | {"embed"}
    takes: ClassVar = frozenset({"embed"})
    missing_inputs: ClassVar = True
    recommends: ClassVar = {
        "any": Recommendation("asks for the labels that help most instead of taking what it is given", 34),
    }
    paper: ClassVar = "Lewis & Gale (1994); Settles, Active learning literature survey (2009)"

    field_trials: ClassVar = {"oracle": {"oracle": lambda rows: [0] * len(rows)}}

    def __post_init__(self) -> None:
        super().__post_init__()
        require_classifier(self, self.base)

    def ablations(self, data: Data) -> Ablations:
        return {**super().ablations(data), "doubt": (replace(self, strategy="random"), data)}

    def asks(self, labels: int) -> int:
        return min(self.questions if self.questions is not None else labels // 2, labels - 1)

    def roles_used(self) -> tuple[str, ...]:
        return last(self.base).roles_used()

    def fewest_steps(self) -> int:
        return (self.rounds + 1) * self.base.fewest_steps()

    def needs_start(self) -> bool:
        return self.base.needs_start()

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        if reason := super().lacks(data, model) or self.base.lacks(data, model):
            return reason
        questions, answerable = self._questions(data), len(self._candidates(data))
        if questions > answerable:
            which = "have a hidden label" if self.oracle is None else "are unlabelled"
            return (
                f"it asks for {questions} labels, and {answerable} training rows {which}. Ask for fewer: questions=, "
                "or let a function answer: ActiveLearning(oracle=my_function)."
            )
        if Unlabelled in self.base.needs and questions == int((~data.training.labelled).sum()):
            return f"{self.base} needs rows without a label, and it asks for all of them. Ask for fewer: questions=."
        return None

    def _questions(self, data: Data) -> int:
        return self.questions if self.questions is not None else int(data.training.labelled.sum())

    def _candidates(self, data: Data) -> NDArray[np.int64]:
        rows = ~data.labelled & (data.part[data.rows] == 0)
        return np.flatnonzero(rows if self.oracle else rows & data.known)

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        queries = np.diff(np.linspace(0, self._questions(data), self.rounds + 1).round().astype(int))
        trained: list[Model] = []
        current, trainings = data, self.rounds + 1
        shares = budget.divided([1.0] * trainings, [self.base.fewest_steps()] * trainings)
        for number, share in enumerate(shares):

            def learn(part: Run, rows: Data = current, share: Budget = share) -> Model:
                return self.base.fit(rows, model, budget=share, seed=seed, run=part)

            trained.append(run.once(f"round-{number + 1}", learn))
            if number < self.rounds and queries[number]:
                current = self._ask(current, trained[-1], int(queries[number]), seed + number)
        last = trained[-1]
        steps, seconds = (sum(getattr(m.lineage, name) for m in trained) for name in ("steps", "seconds"))
        used = (data.part[data.rows] == 0) & current.labelled
        facts = {"asked": queries.tolist()}  # the rows of each round stand in the lineages of the parents
        return Learned(last, used, tuple(trained), int(steps), seconds, facts)

    def _ask(self, data: Data, model: Model, count: int, seed: int) -> Data:
        candidates = self._candidates(data)
        rows = data.select(candidates)
        strategy = ACQUISITIONS.find(self.strategy)()
        chosen = candidates[strategy.choose(model, rows, count, np.random.default_rng(seed))]
        if self.oracle is None:
            return data.reveal(chosen)
        return data.with_label_values(chosen, answers_of(self.oracle(data.select(chosen)), count, data.classes))


def answers_of(given: Any, count: int, classes: tuple[Any, ...]) -> NDArray[Any]:
    """Labels from an oracle, [count], of the classes' own type; it may name a class that no row had yet.

    Raises:
        DataError: There is another number of answers, or one is no label: nothing, or a value of another type.
    """
    answers = given.tolist() if isinstance(given, np.ndarray) else given
    answers = list(answers) if isinstance(answers, Iterable) and not isinstance(answers, str) else [answers]
    if len(answers) != count:
        raise DataError(f"The oracle was asked for {count} labels and gave {len(answers)}.")
    answers = [each.item() if isinstance(each, np.generic) else each for each in answers]
    if strange := [each for each in answers if each not in classes and type(each) is not type(classes[0])]:
        raise DataError(
            f"The oracle answered {strange[0]!r}, which is no label: it gives one for each row that it is asked about, "
            f"such as {', '.join(map(repr, classes[:5]))}."
        )
    out = np.empty(count, object)
    out[:] = answers
    return out
