"""Training that diverges: it is seen, said, and ends with the last weights that were good."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from manyways.errors import TrainingError

if TYPE_CHECKING:
    from manyways.training.learner import Learner

LOOKS = 20
"""The number of times in a run, evenly spread, that the weights are kept."""


def not_finite(values: Mapping[str, float], step: int, steps: int) -> str | None:
    """Those of `values`, the parts of the loss at `step`, that are NaN or infinite, in words; None where none is."""
    wrong = {name: value for name, value in values.items() if not abs(value) < float("inf")}
    if not wrong:
        return None
    said = ", ".join(f"{name} = {value}" for name, value in wrong.items())
    return f"The loss is not finite at step {step} of {steps}: {said}. Try a tenth of the learning rate."


class LastGood:
    """The weights of a learner that has a `recovery`, as they were when training was last seen to go well."""

    def __init__(self, learner: "Learner") -> None:
        self._learner = learner
        self.good: dict[str, Tensor] = {}
        self.step = 0

    def look(self, step: int, steps: int) -> None:
        """Keep the weights if `step` is one of the looks and they are sound."""
        recovery = self._learner.recovery
        if recovery is not None and step % max(1, steps // LOOKS) == 0 and recovery.sound:
            self.good = {name: tensor.detach().clone() for name, tensor in self._learner.state_dict().items()}
            self.step = step

    def trouble(self, steps: int) -> str | None:
        """The way in which a run of `steps` has gone wrong beyond return, and what to try; None while it has not."""
        recovery = self._learner.recovery
        return recovery.trouble(steps) if recovery is not None else None

    def put_back(self, trouble: str) -> str:
        """Put the kept weights back; `trouble` with a word on that.

        Raises:
            TrainingError: There are none.
        """
        if not self.good:
            raise TrainingError(trouble)
        self._learner.load_state_dict(self.good)
        return f"{trouble} What is kept are the weights of step {self.step}, the last that were good."

    def restore(self, good: dict[str, Tensor], step: int) -> None:
        """Go on from what a checkpoint kept."""
        self.good, self.step = good, step
