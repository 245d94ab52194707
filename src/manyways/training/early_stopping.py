"""Early stopping: keep the weights that did best on the validation rows."""

from collections.abc import Callable
from math import isnan
from typing import TYPE_CHECKING, Any

from torch import Tensor

from manyways.metrics import higher_is_better, plain_metric

if TYPE_CHECKING:
    from manyways.models.model import Model
    from manyways.training.learner import Learner

LOOKS = 20
"""The number of times, evenly spread over the run, that the validation rows are scored."""
PATIENCE = 5
"""Looks without a better score after which a run stops, where its rates do not anneal."""
ANNEALED = 0.1
"""The multiple of the highest rate that rates end below where they anneal."""
LOSS = "log_loss"
Schedule = Callable[[int, int], float]


class EarlyStopping:
    """Watches the labelled validation rows; does nothing where there are none.

    The weights with the best score are put back at the end; of equal scores, those with the lower loss. After
    `patience` looks in a row without better ones the run is done. By default that is `PATIENCE` looks, but a run whose
    rates anneal goes on to the end: most of what it learns comes late. While rates still rise no look counts as a miss.
    """

    def __init__(
        self, patience: int | None, learner: "Learner", snapshot: "Callable[[], Model]", schedule: Schedule
    ) -> None:
        anneals = schedule(999, 1000) < ANNEALED
        self._patience = PATIENCE if patience is None and not anneals else patience
        self._learner, self._snapshot, self._schedule = learner, snapshot, schedule
        self._rows = learner.validation
        self.best: dict[str, Tensor] = {}
        self._score, self._loss, self._misses, self._changes = float("-inf"), float("inf"), 0, 0

    @property
    def done(self) -> bool:
        """True if the score has stopped improving."""
        return self._patience is not None and self._misses >= self._patience

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
        scores = model.evaluate(self._rows)
        score = scores[metric] if higher_is_better(metric) else -scores[metric]
        if isnan(score):  # numbers that are all equal have no R²: a look that tells nothing
            return
        loss = sum(value for name, value in scores.items() if plain_metric(name) == LOSS)
        if (score, -loss) > (self._score, -self._loss):
            self._score, self._loss, self._misses = score, loss, 0
            self.best = {name: tensor.detach().clone() for name, tensor in self._learner.state_dict().items()}
        elif self._schedule(step, steps) <= self._schedule(step - 1, steps):
            self._misses += 1

    def finish(self) -> None:
        """Put the best weights back."""
        if self.best:
            self._learner.load_state_dict(self.best)

    def facts(self) -> dict[str, Any]:
        """The facts that a checkpoint keeps besides the best weights."""
        score, loss = (self._score, self._loss) if self.best else (None, None)
        return {"score": score, "loss": loss, "misses": self._misses, "changes": self._changes}

    def restore(self, best: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Go on from what a checkpoint kept."""
        self.best, self._misses, self._changes = best, facts["misses"], facts["changes"]
        self._score = facts["score"] if facts["score"] is not None else float("-inf")
        self._loss = facts["loss"] if facts["loss"] is not None else float("inf")
