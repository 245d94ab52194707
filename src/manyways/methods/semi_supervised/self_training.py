"""Self-training: what the model is sure of becomes a label."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.targets import predictions
from manyways.methods.fields import Count, Interval
from manyways.methods.method import Ablations, Learned, Method
from manyways.methods.needs import DiscreteLabel, Input, Unlabelled
from manyways.methods.recommendations import Recommendation
from manyways.methods.starts import last, learns_from_labels
from manyways.methods.supervised.supervised import Supervised
from manyways.models.model import Model
from manyways.training.budget import Budget
from manyways.training.run import Run


@dataclass(frozen=True, kw_only=True)
class SelfTraining(Method):
    """Train on the labels, label the rows that the model is sure of, train anew on both; several rounds.

    Each round starts from the same model as the first, so that early mistakes are not carried on in the weights, and
    labels every row afresh.
    """

    base: Method = field(default_factory=Supervised)
    """The method of each round; any that learns from labels and classifies."""
    threshold: Annotated[float, Interval("[0, 1)")] = 0.95
    """Least confidence with which a row is given its guess as a label."""
    rounds: Count = 3
    """Trainings in all; the first on the given labels alone."""

    needs: ClassVar = (Input, DiscreteLabel, Unlabelled)
    gives: ClassVar = predictions(discrete=True) | {"embed"}
    takes: ClassVar = frozenset({"embed"})
    missing_inputs: ClassVar = True
    recommends: ClassVar = {
        "any": Recommendation("learns again from its own surest guesses, with any method inside", 36),
    }
    paper: ClassVar = "Yarowsky, Unsupervised word sense disambiguation, ACL 1995; Lee, Pseudo-label (2013)"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_classifier(self, self.base)

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        """With guesses of which a model of a few steps is sure enough."""
        return cls(threshold=0.2)

    def ablations(self, data: Data) -> Ablations:
        return {**super().ablations(data), "its guesses": (replace(self, threshold=1 - 1e-12), data)}

    def roles_used(self) -> tuple[str, ...]:
        return last(self.base).roles_used()

    def fewest_steps(self) -> int:
        return self.rounds * self.base.fewest_steps()

    def needs_start(self) -> bool:
        return self.base.needs_start()

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        return super().lacks(data, model) or self.base.lacks(data, model)

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        hidden = np.flatnonzero(~data.labelled & (data.part[data.rows] == 0))
        unlabelled = data.select(hidden)
        trained: list[Model] = []
        current = data
        shares = budget.divided([1.0] * self.rounds, [self.base.fewest_steps()] * self.rounds)
        for number, share in enumerate(shares):

            def learn(part: Run, rows: Data = current, share: Budget = share) -> Model:
                return self.base.fit(rows, model, budget=share, seed=seed, run=part)

            if self.base.lacks(current, model):
                break  # every row has been given its guess, and the base learns only where some have none

            trained.append(run.once(f"round-{number + 1}", learn))
            if number + 1 < self.rounds:
                current = self._with_guesses(data, hidden, trained[-1].probabilities(unlabelled), trained[-1])
        last = trained[-1]
        steps, seconds = (sum(getattr(m.lineage, name) for m in trained) for name in ("steps", "seconds"))
        # The guesses of earlier rounds shaped the last one, and through them all rows that were guessed at.
        used = data.part[data.rows] == 0
        return Learned(last, used, tuple(trained), int(steps), seconds)

    def _with_guesses(self, data: Data, hidden: NDArray[Any], probabilities: NDArray[Any], model: Model) -> Data:
        target = model.label_target
        # Of a label that answers several questions every answer must be sure.
        sure = target.distributions(probabilities).max(axis=2).min(axis=1) >= self.threshold
        if not sure.any():
            return data
        return data.with_label_values(hidden[sure], target.decode(target.most_probable(probabilities[sure])))


def require_classifier(method: Method, base: Method) -> None:
    """Raise NeedsError unless `base` learns from labels and gives class probabilities."""
    from manyways.errors import NeedsError

    if not predictions() & base.gives or not learns_from_labels(base):
        raise NeedsError(
            f"{type(method).__name__}.base must be a method that learns to classify from labels, such as supervised, "
            f"fixmatch or linear_probe; got {base}."
        )
