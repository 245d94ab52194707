"""Self-training: what the model is sure of becomes a label."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.parts import TRAINING
from manyways.data.targets import StructuredTarget
from manyways.methods.bases.relabelling import RelabellingMethod, Turn, hidden
from manyways.methods.fields import Count, Interval
from manyways.methods.method import Ablations
from manyways.methods.recommendations import Recommendation
from manyways.models.model import Model


@dataclass(frozen=True, kw_only=True)
class SelfTraining(RelabellingMethod):
    """Train on the labels, label the rows that the model is sure of, train anew on both; several rounds.

    Each round starts from the same model as the first, so that early mistakes are not carried on in the weights, and
    labels every row afresh.
    """

    threshold: Annotated[float, Interval("[0, 1)")] = 0.95
    """Least confidence with which a row is given its guess as a label."""
    rounds: Count = 3
    """Trainings in all; the first on the given labels alone."""
    hand_on: bool = False
    """Hand on to the next stage of a chain the guesses that the last model is sure of, as labels."""

    recommends: ClassVar = {
        "any": Recommendation("learns again from its own surest guesses, with any method inside", 36),
    }
    paper: ClassVar = "Yarowsky, Unsupervised word sense disambiguation, ACL 1995; Lee, Pseudo-label (2013)"

    field_trials: ClassVar = {"hand_on": "It changes what the next stage of a chain is shown, not the model."}

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        """With guesses of which a model of a few steps is sure enough."""
        return cls(threshold=0.2)

    def ablations(self, data: Data) -> Ablations:
        return {**super().ablations(data), "its guesses": (replace(self, threshold=1 - 1e-12), data)}

    def trainings(self, data: Data | None = None) -> int:
        return self.rounds

    def rows_of_round(self, data: Data, known: Data, trained: list[Model]) -> Data:
        return self._with_guesses(known, trained[-1]) if trained else known

    def relabelled(self, data: Data, known: Data, turn: Turn) -> Data:
        return known

    def rows_used(self, data: Data, known: Data) -> NDArray[np.bool_]:
        # The guesses of earlier rounds shaped the last one, and through them all rows that were guessed at.
        return np.asarray(data.part[data.rows] == TRAINING)

    def left(self, known: Data, model: Model) -> Data:
        return self._with_guesses(known, model) if self.hand_on else known

    def hands_on(self) -> bool:
        return self.hand_on or super().hands_on()

    def _with_guesses(self, known: Data, model: Model) -> Data:
        rows, target = hidden(known), model.label_target
        if not len(rows):
            return known
        if isinstance(target, StructuredTarget):
            predicted = model.predictions(known.select(rows))
            sure = np.array([each.confidence >= self.threshold for each in predicted])
            codes = [each.code for each, is_sure in zip(predicted, sure, strict=True) if is_sure]
            guesses = target.decode_rows(codes, known.select(rows[sure]))
        else:
            probabilities = model.probabilities(known.select(rows))
            # Of a label that answers several questions every answer must be sure.
            sure = target.distributions(probabilities).max(axis=2).min(axis=1) >= self.threshold
            guesses = target.decode(target.most_probable(probabilities[sure]))
        return known.with_label_values(rows[sure], guesses, guessed=True) if sure.any() else known
