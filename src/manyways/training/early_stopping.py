"""Early stopping: keep the weights that did best on the validation rows."""

from collections.abc import Callable
from math import isnan
from typing import TYPE_CHECKING, Any

from torch import Tensor

from manyways.metrics import higher_is_better

if TYPE_CHECKING:
    from manyways.models.model import Model
    from manyways.training.learner import Learner

LOOKS = 20
"""The number of times, evenly spread over the run, that the validation rows are scored."""


class EarlyStopping:
    """Watches the labelled validation rows; does nothing where there are none.

    After `patience` looks in a row without a better score the run is done, and the best weights are put back.
    """

    def __init__(self, patience: int, learner: "Learner", snapshot: "Callable[[], Model]") -> None:
        self._patience, self._learner, self._snapshot = patience, learner, snapshot
        self._rows = learner.validation
        self.best: dict[str, Tensor] = {}
        self._score, self._misses, self._changes = float("-inf"), 0, 0

    @property
    def done(self) -> bool:
        """True if the score has stopped improving."""
        return self._misses >= self._patience

    def look(self, step: int, steps: int) -> None:
        """Score the validation rows if `step` is one of the looks, and the model has changed since the last."""
        if self._rows is None or step % max(1, steps // LOOKS):
            return
        changes = self._learner.changes(step)
        if changes == self._changes:
            return
        self._changes = changes
        model = self._snapshot()
        metric = model.metric_on(self._rows)
        if metric is None:
            return
        found = model.evaluate(self._rows)[metric]
        score = found if higher_is_better(metric) else -found
        if isnan(score):  # numbers that are all equal have no R²: a look that tells nothing
            return
        if score > self._score:
            self._score, self._misses = score, 0
            self.best = {name: tensor.detach().clone() for name, tensor in self._learner.state_dict().items()}
        else:
            self._misses += 1

    def finish(self) -> None:
        """Put the best weights back."""
        if self.best:
            self._learner.load_state_dict(self.best)

    def facts(self) -> dict[str, Any]:
        """The facts that a checkpoint keeps besides the best weights."""
        return {"score": self._score if self.best else None, "misses": self._misses, "changes": self._changes}

    def restore(self, best: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Go on from what a checkpoint kept."""
        self.best, self._misses, self._changes = best, facts["misses"], facts["changes"]
        self._score = facts["score"] if facts["score"] is not None else float("-inf")
