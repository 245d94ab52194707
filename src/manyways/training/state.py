"""All of a run that must survive a restart: what goes into a checkpoint, and comes out of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from manyways.checked_json import described
from manyways.damaged import damaged
from manyways.errors import ModelError
from manyways.training.budget import Planned
from manyways.training.checkpoint import Checkpoint, load_optimizer, optimizer_tensors
from manyways.training.early_stopping import EarlyStopping
from manyways.training.last_good import LastGood
from manyways.training.learner import Learner
from manyways.training.optimizer import make_optimizer
from manyways.training.steps import LearnerT, Steps

if TYPE_CHECKING:
    from manyways.models.model import Model


BEGIN_AGAIN = "Delete the folder of the run to begin it again."


@dataclass(frozen=True)
class Progress:
    """The progress of a run: steps done and planned, seconds of training, and whether the clock has ended it.

    Attributes:
        caution: Trouble at its end, in words; empty where there was none.
    """

    step: int
    steps: int
    seconds: float = 0.0
    cut: bool = False
    caution: str = ""

    @property
    def planned(self) -> Planned:
        """The plan for another run that is to take the same steps."""
        return Planned(self.steps, self.step if self.cut else self.steps)


class State:
    """A learner with its optimiser, and the weights that are put back when the run ends early."""

    def __init__(
        self, method: Steps[LearnerT], learner: LearnerT, identity: str, snapshot: "Callable[[], Model]"
    ) -> None:
        self._learner: Learner = learner
        self._identity = identity
        self.optimizer = make_optimizer(method, learner)
        self.stopping = EarlyStopping(method.patience, learner, snapshot, method.schedule)
        self.kept = LastGood(learner)

    def pack(self, reached: Progress) -> Checkpoint:
        """The checkpoint of this state."""
        tensors = {f"learner.{name}": tensor for name, tensor in self._learner.state_dict().items()}
        tensors |= {f"optimizer.{name}": tensor for name, tensor in optimizer_tensors(self.optimizer).items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.stopping.best.items()}
        tensors |= {f"good.{name}": tensor for name, tensor in self.kept.good.items()}
        progress = {"step": reached.step, "steps": reached.steps, "seconds": reached.seconds, "cut": reached.cut}
        facts = {"progress": progress, "stopping": self.stopping.facts(), "good": self.kept.step}
        return Checkpoint(tensors, {"identity": self._identity, **facts})

    def restore(self, saved: Checkpoint) -> Progress:
        """Go on from `saved`; how far it was.

        Raises:
            ModelError: It does not fit what is trained.
        """
        facts = described(saved.facts, "the checkpoint", ModelError)
        stopping, progress = facts.object("stopping"), facts.object("progress")
        counted = {name: stopping.get(name, int) for name in ("misses", "changes")}
        with damaged("The checkpoint does not fit what is trained", ModelError, BEGIN_AGAIN):
            self._learner.load_state_dict(saved.under("learner"))
            load_optimizer(self.optimizer, saved.under("optimizer"))
        reached = {name: stopping.get(name, float, None) for name in ("score", "loss")}
        self.stopping.restore(saved.under("best"), {**reached, **counted})
        self.kept.restore(saved.under("good"), facts.get("good", int))
        step, steps = progress.get("step", int), progress.get("steps", int)
        if not 0 <= step <= steps:
            raise ModelError(f"The checkpoint is of step {step} of {steps}, which there is not. {BEGIN_AGAIN}")
        return Progress(step, steps, progress.get("seconds", float), progress.get("cut", bool))
