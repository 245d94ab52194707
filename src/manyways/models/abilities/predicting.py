"""Predicting a label of rows."""

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from manyways.data.targets import predictions
from manyways.models.abilities.base import Ability, Saved

if TYPE_CHECKING:
    from manyways.data.read import Source


@runtime_checkable
class Predicts(Protocol):
    """A model that predicts a label, several, or the number of a cluster."""

    def predict(self, source: "Source") -> NDArray[Any]:
        """The label of each row, as the data has it."""

    def probabilities(self, source: "Source") -> NDArray[np.floating[Any]]:
        """The probability of each class, [rows, classes] in the order of `target.classes`."""

    def outputs(self, source: "Source") -> NDArray[np.float32]:
        """The head's raw outputs, float32 [rows, outputs]: logits of classes, or the standardised number."""


def _next(saved: Saved) -> tuple[str, ...]:
    return "predict", saved.folder, saved.source, "--out", "predictions.csv"


PREDICT = Ability(
    "predict", Predicts, lambda: predictions() | {"labels", "cluster"}, "predict", "supervised", _next, 80
)  # fmt: skip
