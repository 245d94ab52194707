"""Supervised learning."""

from dataclasses import dataclass
from typing import ClassVar

from manyways.data.targets import predictions
from manyways.methods.bases.from_labels import FromLabels
from manyways.methods.needs import AnyLabel, Input
from manyways.methods.recommendations import Recommendation


@dataclass(frozen=True, kw_only=True)
class Supervised(FromLabels):
    """Learn from the labelled rows alone: cross-entropy for classes, squared error for numbers, and so on by kind.

    Each batch is seen through weak views (small shifts of images, noise on numbers, a few dropped words), unless
    `augment` is off.
    """

    needs: ClassVar = (Input, AnyLabel)
    gives: ClassVar = predictions() | {"embed"}
    takes: ClassVar = frozenset({"embed"})
    missing_inputs: ClassVar = True
    recommends: ClassVar = {
        "any": Recommendation("a network trained on the labels alone: the line that the others must beat", 11),
    }
    paper: ClassVar = "Rosenblatt, The perceptron (1958); Rumelhart, Hinton & Williams (1986)"
