"""Supervised learning."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch

from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.rows import RowMethod
from manyways.methods.fields import Interval
from manyways.methods.losses import label_loss
from manyways.methods.needs import Input, Label
from manyways.training.learner import RowLearner


@dataclass(frozen=True, kw_only=True)
class Supervised(RowMethod[RowLearner]):
    """Learn from the labelled rows alone: cross-entropy for classes, squared error for numbers.

    Each batch is seen through weak views (small shifts of images, noise on numbers, a few dropped words), unless
    `augment` is off.
    """

    augment: bool = True
    """Whether batches are seen through weak views."""
    label_smoothing: Annotated[float, Interval("[0, 1)")] = 0.0
    """Share of the target that is spread over all classes (Szegedy et al. 2016)."""

    needs: ClassVar = (Input, Label)
    gives: ClassVar = frozenset({"classify", "regress", "embed"})
    takes: ClassVar = frozenset({"embed"})
    missing_inputs: ClassVar = True
    paper: ClassVar = "Rosenblatt, The perceptron (1958); Rumelhart, Hinton & Williams (1986)"

    def draw(self, learner: RowLearner, step: int, rng: torch.Generator) -> Batch:
        rows = learner.pick(learner.labelled, self.batch_size, step)
        inputs = learner.take(rows)
        return {
            "inputs": learner.views.weak(inputs, rng) if self.augment else inputs,
            "labels": learner.labels_at(rows),
        }

    def loss(self, learner: RowLearner, batch: Batch) -> Loss:
        return label_loss(learner.network(batch["inputs"]), batch["labels"], self.label_smoothing), {}
