"""Learning from the labelled rows alone: batches of them, seen through a view, and the loss of their labels."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch

from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.targets import Target
from manyways.data.views import view_names
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.rows import LabelledMethod
from manyways.methods.fields import Interval, Named
from manyways.models.network import Network
from manyways.training.average import AverageNetwork
from manyways.training.learner import LabelledLearner


class AveragedLearner(LabelledLearner):
    """A learner of labelled rows, with the exponential moving average of its network, where there is one."""

    average: AverageNetwork[Network] | None


@dataclass(frozen=True, kw_only=True)
class FromLabels(LabelledMethod[AveragedLearner]):
    """A gradient method that learns from labelled rows alone; its model may keep the average of the weights."""

    augment: bool = True
    """True to see batches through a view."""
    view: Annotated[str, Named(view_names)] = "weak"
    """The view: weak, strong, contrastive, or another that a package brings."""
    average: Annotated[float, Interval("[0, 1)")] | None = None
    """Decay of the exponential moving average of the weights, which the model keeps; 0: the last weights (Polyak &
    Juditsky 1992). None: as suits the kind of label, 0 for classes and numbers."""
    label_smoothing: Annotated[float, Interval("[0, 1)")] | None = None
    """Share of the target that is spread over all classes (Szegedy et al. 2016). None: as suits the kind of label, 0
    for classes."""

    field_trials: ClassVar = {"average": {"average": 0.9}}

    def make_learner(
        self, network: Network, data: Data, encoding: InputEncoding, target: Target, seed: int
    ) -> AveragedLearner:
        learner = super().make_learner(network, data, encoding, target, seed)
        decay = target.recipe.average if self.average is None else self.average
        learner.average = AverageNetwork(network, decay) if decay else None
        return learner

    def draw(self, learner: AveragedLearner, step: int, rng: torch.Generator) -> Batch:
        rows = learner.pick(learner.labelled, self.batch_size, step)
        return learner.see(self.view if self.augment else None, rows, rng)

    def loss(self, learner: AveragedLearner, batch: Batch) -> Loss:
        smoothing = learner.target.recipe.label_smoothing if self.label_smoothing is None else self.label_smoothing
        return learner.label_loss(learner.network(batch["inputs"]), batch, smoothing), {}

    def after(self, learner: AveragedLearner, step: int) -> None:
        if learner.average is not None:
            learner.average.follow(learner.network, step)

    def finish(self, learner: AveragedLearner) -> Network:
        return learner.network if learner.average is None else learner.average.network
