"""Mean Teacher: agree with an average of oneself."""

from dataclasses import dataclass, replace
from math import exp
from pathlib import Path
from typing import Annotated, ClassVar, Self

import torch

from manyways.data.data import Data
from manyways.data.targets import predictions
from manyways.data.targets.base import CONSISTENCY
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.rows import LabelledMethod
from manyways.methods.fields import Count, Interval, NotNegative, Share
from manyways.methods.method import Ablations
from manyways.methods.needs import Consistency, Input, Unlabelled
from manyways.methods.recommendations import Recommendation
from manyways.models.model import Model
from manyways.models.network import Network
from manyways.training.average import AverageNetwork
from manyways.training.learner import LabelledLearner


def ramp_up(progress: float) -> float:
    """The sigmoid-shaped rise exp(−5 (1 − t)²) from 0.007 to 1 for t in [0, 1] (Laine & Aila 2017)."""
    return exp(-5 * (1 - min(1.0, progress)) ** 2)


class MeanTeacherLearner(LabelledLearner):
    """A learner of encoded rows with a teacher, the average of its network."""

    teacher: AverageNetwork[Network]


@dataclass(frozen=True, kw_only=True)
class MeanTeacher(LabelledMethod[MeanTeacherLearner]):
    """Learn from labels, and agree on all rows with a teacher whose weights are a moving average of one's own."""

    batch_size: Count = 32
    """Labelled rows in a batch."""
    unlabelled_ratio: Annotated[int, Interval("[1, 64]")] = 4
    """Unlabelled rows in a batch for each labelled one."""
    average_decay: Annotated[float, Interval("[0, 1)")] = 0.99
    """Decay of the teacher's average; the paper takes 0.99 at first, 0.999 later in long runs."""
    consistency_weight: NotNegative = 10.0
    """Weight of the agreement, once it has risen; of classes it is a sum over them, as in the paper's code."""
    ramp_up_share: Share = 0.2
    """Share of the steps over which the weight rises."""

    needs: ClassVar = (Input, Consistency, Unlabelled)
    gives: ClassVar = predictions(supporting=CONSISTENCY) | {"embed"}
    takes: ClassVar = frozenset({"embed"})
    missing_inputs: ClassVar = True
    uses_all_rows: ClassVar = True
    recommends: ClassVar = {
        "any": Recommendation("agrees with its own average on rows without a label", 35),
    }
    paper: ClassVar = "Tarvainen & Valpola, Mean teachers are better role models, NeurIPS 2017"

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(batch_size=16)

    def ablations(self, data: Data) -> Ablations:
        return {**super().ablations(data), "its unlabelled rows": (replace(self, consistency_weight=0.0), data)}

    def begin(self, data: Data, model: Model | None, seed: int) -> MeanTeacherLearner:
        learner = super().begin(data, model, seed)
        learner.teacher = AverageNetwork(learner.network, self.average_decay)
        return learner

    def draw(self, learner: MeanTeacherLearner, step: int, rng: torch.Generator) -> Batch:
        positions = learner.pick(learner.labelled, self.batch_size, step)
        hidden = learner.pick(learner.unlabelled, self.batch_size * self.unlabelled_ratio, step, 1)
        rows = {name: torch.cat([a, b]) for (name, a), b in zip(
            learner.take(positions).items(), learner.take(hidden).values(), strict=True)}  # fmt: skip
        return {
            "student": learner.target.unmoved(learner.views, "weak", rows, rng),
            "teacher": learner.target.unmoved(learner.views, "weak", rows, rng),
            **learner.labels_of(positions),
            "progress": learner.progress(step),
        }

    def loss(self, learner: MeanTeacherLearner, batch: Batch) -> Loss:
        outputs = learner.network(batch["student"])
        # Batch statistics, as the student's: its running ones lag far behind while it still learns fast.
        teacher = learner.teacher.network.train()
        with torch.no_grad():
            guesses = teacher(batch["teacher"])
        supervised = learner.label_loss(outputs[: len(batch["labels"])], batch)
        consistency = learner.target.consistency_loss(outputs, guesses)
        rise = ramp_up(batch["progress"] / self.ramp_up_share) if self.ramp_up_share else 1.0
        weight = self.consistency_weight * rise
        return supervised + weight * consistency, {"supervised": supervised, "consistency": consistency}

    def after(self, learner: MeanTeacherLearner, step: int) -> None:
        learner.teacher.follow(learner.network, step)

    def finish(self, learner: MeanTeacherLearner) -> Network:
        return learner.teacher.network

    def examples_per_step(self, learner: MeanTeacherLearner) -> int:
        return self.batch_size * (1 + self.unlabelled_ratio)
