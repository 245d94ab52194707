"""StructuredPredictor: a network over encoded rows that predicts a label with a structure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self

import numpy as np
import torch
from numpy.typing import NDArray

from manyways.data.encoding import Encoded, InputEncoding
from manyways.data.targets import Prediction, StructuredTarget, Target
from manyways.data.targets.text import TextTarget
from manyways.errors import ModelError
from manyways.models.evaluation import Evaluation, of_all_rows
from manyways.models.network import Network
from manyways.models.predictor import Predictor
from manyways.models.reading import inputs_of, labelled
from manyways.models.running import check_gaps, network_fault

if TYPE_CHECKING:
    from manyways.data.data import Data
    from manyways.data.read import Source

ROWS_AT_ONCE = 64


@dataclass(frozen=True, eq=False, kw_only=True)
class StructuredPredictor(Predictor):
    """A network over rows that predicts a sequence, a tree, a span, boxes or a mask of each."""

    kind: ClassVar[str] = "structured-predictor"

    def predict(self, source: "Source") -> NDArray[Any]:
        """The label of each row, objects [rows]: what that is the kind of label says (`Target.decode`)."""
        data = inputs_of(source, self.inputs, **self.roles_read)
        return self.structured_target.decode_rows([each.code for each in self._predictions(data)], data)

    def predictions(self, source: "Source") -> list[Prediction]:
        """The encoded prediction for each row, and how sure the model is of it."""
        return self._predictions(inputs_of(source, self.inputs, **self.roles_read))

    def _predictions(self, data: "Data") -> list[Prediction]:
        rows = self.inputs.encode(data)
        check_gaps(rows.absent, data, self.inputs, self.network)
        return predictions_of(self.network, self.structured_target, rows, self.inputs)

    def confidences(self, source: "Source") -> NDArray[np.float64]:
        """The confidence of the prediction for each row, in (0, 1), float64 [rows]."""
        return np.array([each.confidence for each in self.predictions(source)])

    def outputs(self, source: "Source") -> NoReturn:
        """Raises ModelError: outputs of such labels are no vector a row."""
        raise ModelError(
            f"The model predicts the {self.structured_target.kind} {self.structured_target.name!r}, of which there is "
            "no vector of outputs for each row; use predict."
        )

    def evaluate_rows(self, source: "Source", metric: str) -> Evaluation:
        target = self.structured_target
        data = labelled(source, self.inputs, [target], **self.roles_read)
        known = data.select(data.known)
        predicted = [each.code for each in self.predictions(known)]
        scores, by_row = target.scores_of_rows(predicted, target.encode(known, hidden=True), known, metric)
        return Evaluation(scores, of_all_rows(by_row, data.known))

    def searching(self, beams: int, length_penalty: float = 1.0) -> Self:
        """The same model, whose texts are searched for with a beam.

        Args:
            beams: Sequences that are followed for each row; 1: the most probable token is taken each time.
            length_penalty: The exponent of the length that a sequence's log-probability is divided by.

        Raises:
            ModelError: It writes no text, or an argument is out of its range.
        """
        if not isinstance(self.target, TextTarget):
            raise ModelError(f"{self.lineage.title} writes no text, so there is nothing to search for with beams.")
        return replace(self, target=self.target.searching(beams, length_penalty))

    @property
    def structured_target(self) -> StructuredTarget:
        """Its target. Raises ModelError where the description of the model names one of another kind."""
        if not isinstance(self.target, StructuredTarget):
            raise ModelError(f"{self.lineage.title} predicts no label with a structure; it is damaged.")
        return self.target


def predictor_for(target: Target, network: Network, inputs: InputEncoding) -> Predictor:
    """The model of a network that predicts `target`."""
    kind = StructuredPredictor if isinstance(target, StructuredTarget) else Predictor
    return kind(network=network, inputs=inputs, target=target)


@torch.inference_mode()
def predictions_of(
    network: Network, target: StructuredTarget, rows: Encoded, inputs: InputEncoding
) -> list[Prediction]:
    """The predictions for encoded `rows` in their order; rows of similar length go through the network together.

    Raises:
        ModelError: The network cannot read the rows.
    """
    predictions: list[Prediction | None] = [None] * len(rows)
    device = next(iter(network.state_dict().values())).device
    for positions in by_length(rows, inputs, min(ROWS_AT_ONCE, target.recipe.batch_size)):
        with network_fault(inputs):
            batch = target.predictions(network(rows.batch(positions, device)))
        for position, prediction in zip(positions.tolist(), batch, strict=True):
            predictions[position] = prediction
    return [each for each in predictions if each is not None]


def by_length(rows: Encoded, inputs: InputEncoding, size: int) -> Sequence[NDArray[np.int64]]:
    """The positions of all rows in batches of at most `size`, the longest first."""
    lengths = [spec.lengths(rows.stores[name][rows.rows]) for name, spec in inputs.specs.items()]
    there = [each for each in lengths if each is not None]
    order = np.argsort(-np.sum(there, axis=0), kind="stable") if there else np.arange(len(rows))
    return np.split(order, np.arange(size, len(order), size)) if len(order) else []
