"""Supervised learning."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch

from manyways.data.targets import predictions
from manyways.data.views import view_names
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.rows import LabelledMethod
from manyways.methods.fields import Interval, Named
from manyways.methods.needs import AnyLabel, Input
from manyways.methods.recommendations import Recommendation
from manyways.training.learner import LabelledLearner


@dataclass(frozen=True, kw_only=True)
class Supervised(LabelledMethod[LabelledLearner]):
    """Learn from the labelled rows alone: cross-entropy for classes, squared error for numbers, and so on by kind.

    Each batch is seen through weak views (small shifts of images, noise on numbers, a few dropped words), unless
    `augment` is off.
    """

    augment: bool = True
    """True to see batches through a view."""
    view: Annotated[str, Named(view_names)] = "weak"
    """The view: weak, strong, contrastive, or another that a package brings."""
    label_smoothing: Annotated[float, Interval("[0, 1)")] = 0.0
    """Share of the target that is spread over all classes (Szegedy et al. 2016)."""

    needs: ClassVar = (Input, AnyLabel)
    gives: ClassVar = predictions() | {"embed"}
    takes: ClassVar = frozenset({"embed"})
    missing_inputs: ClassVar = True
    recommends: ClassVar = {
        "any": Recommendation("a network trained on the labels alone: the line that the others must beat", 11),
    }
    paper: ClassVar = "Rosenblatt, The perceptron (1958); Rumelhart, Hinton & Williams (1986)"

    def draw(self, learner: LabelledLearner, step: int, rng: torch.Generator) -> Batch:
        rows = learner.pick(learner.labelled, self.batch_size, step)
        inputs = learner.take(rows)
        return {
            "inputs": learner.views.see(self.view, inputs, rng) if self.augment else inputs,
            **learner.labels_of(rows),
        }

    def loss(self, learner: LabelledLearner, batch: Batch) -> Loss:
        return learner.label_loss(learner.network(batch["inputs"]), batch, self.label_smoothing), {}
