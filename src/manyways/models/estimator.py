"""Estimator: a model of scikit-learn, written into arrays, over the columns of rows as they are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from manyways.checked_json import described
from manyways.damaged import reason
from manyways.data.encoding import InputEncoding
from manyways.data.storage import chunks_of
from manyways.data.targets import Prediction, StructuredTarget, Target
from manyways.data.targets.forecast import ForecastTarget
from manyways.data.targets.number import unit_of
from manyways.errors import ModelError
from manyways.models.estimators.base import Array, EstimatorHead, Matrix
from manyways.models.estimators.features import FEATURES, RowFeatures
from manyways.models.evaluation import Evaluation, of_all_rows
from manyways.models.heads import HEADS
from manyways.models.lineage import Lineage
from manyways.models.model import Model
from manyways.models.reading import inputs_of, labelled, warn_of_unseen
from manyways.models.rebuilding import filled
from manyways.models.running import check_gaps
from manyways.models.weights import write_weights

if TYPE_CHECKING:
    from manyways.data.data import Data
    from manyways.data.read import Source

ROWS_AT_ONCE = 8192
SURE = 0.5
"""Confidence of a forecast without a band: nothing is known of how sure it is."""


class EstimatorNetwork(nn.Module):
    """The features that are read of rows, and what is said of them."""

    may_lack: tuple[str, ...] = ()

    def __init__(self, features: RowFeatures, head: EstimatorHead) -> None:
        super().__init__()
        self.features = features
        self.head = head

    def config(self) -> dict[str, Any]:
        """JSON values from which `rebuilt` makes the same."""
        return {
            "features": {"name": self.features.name, **self.features.config},
            "head": {"name": self.head.name, **self.head.config},
        }

    @staticmethod
    def rebuilt(saved: Mapping[str, Any]) -> "EstimatorNetwork":
        """The network that `config` described, empty.

        Raises:
            ModelError: It does not fit.
        """
        description = described(saved, "the network", ModelError)
        head = HEADS.rebuild(description.get("head", dict))
        if not isinstance(head, EstimatorHead):
            raise ModelError(f"The head of an estimator must be that of one; got {head.name!r}.")
        return EstimatorNetwork(FEATURES.rebuild(description.get("features", dict)), head)


@dataclass(frozen=True, eq=False, kw_only=True)
class Estimator(Model):
    """A fitted estimator over rows, the columns that it reads, and what its outputs mean.

    Its answers are those of scikit-learn, in double precision. Missing numbers and categories are read as such.
    """

    kind: ClassVar[str] = "estimator"
    network: EstimatorNetwork = field(repr=False)
    inputs: InputEncoding = field(repr=False)
    target: Target

    def predict(self, source: "Source") -> NDArray[Any]:
        """The label of each row: a class, a number, or a set of classes.

        Args:
            source: A `Data`, or anything that `manyways.read` reads, with the columns that the model learned from.

        Raises:
            DataError: A column is missing, or holds something else.
        """
        data = self._known_rows(source)
        if isinstance(self.target, StructuredTarget):
            return self.target.decode(self._answers(self.network.head.answers, data))
        if not self.target.probabilistic:
            return self._answers(self.network.head.answers, data)[:, 0]
        return self.target.decode(self.target.most_probable(self._answers(self.network.head.probabilities, data)))

    def predictions(self, source: "Source") -> list[Prediction]:
        """The encoded prediction for each row of a label with a structure, a forecast.

        Raises:
            DataError: A column is missing, or holds something else.
        """
        return [Prediction(row, SURE) for row in self._answers(self.network.head.answers, self._known_rows(source))]

    def probabilities(self, source: "Source") -> NDArray[np.float64]:
        """The probability of each class, float64 [rows, classes] in the order of `target.classes`.

        Raises:
            DataError: A column is missing, or holds something else.
            ModelError: The target has no probabilities.
        """
        self.target.require_probabilities()
        return self._answers(self.network.head.probabilities, self._known_rows(source))

    def outputs(self, source: "Source") -> NDArray[np.float32]:
        """Logits of classes, the standardised number, or a forecast in the series' unit, float32 [rows, outputs]."""
        return np.asarray(self._outputs(self._known_rows(source)), np.float32)

    def evaluate(self, source: "Source") -> dict[str, float]:
        return dict(self.evaluate_rows(source, "").scores)

    def evaluate_rows(self, source: "Source", metric: str) -> Evaluation:
        data = labelled(source, self.inputs, [self.target], **self.roles_read)
        known = data.select(data.known)
        warn_of_unseen(known, self.inputs)
        if isinstance(self.target, StructuredTarget):
            answers, truth = self._answers(self.network.head.answers, known), self.target.encode(known, hidden=True)
            scores, own = self.target.scores_of_rows(list(answers), truth, known, metric)
            return Evaluation(scores, of_all_rows(own, data.known))
        outputs, codes = self._outputs(known), self.target.encode(known, hidden=True)
        by_row = self.target.pseudo_values(metric, outputs, codes)
        return Evaluation(self.target.scores(outputs, codes), of_all_rows(by_row, data.known))

    @property
    def metric(self) -> str | None:
        return self.target.metric

    @property
    def roles_read(self) -> dict[str, str]:
        return {"bad_rows": "keep"}

    def able(self, words: frozenset[str]) -> frozenset[str]:
        return words & {self.target.gives}

    def encoding(self) -> InputEncoding:
        return self.inputs

    def write(self, folder: Path) -> dict[str, Any]:
        write_weights(self.network, folder)
        return {
            "network": self.network.config(),
            "inputs": self.inputs.to_json(),
            "target": self.target.to_json(),
        }

    @classmethod
    def read(cls, folder: Path, saved: Mapping[str, Any], gives: frozenset[str], lineage: Lineage) -> "Estimator":
        network = filled(lambda: EstimatorNetwork.rebuilt(saved["network"]), folder)
        inputs, target = InputEncoding.from_json(saved["inputs"]), Target.from_json(saved["target"])
        wanted = target.horizon if isinstance(target, ForecastTarget) else target.width
        if network.head.outputs != wanted:
            raise ModelError(f"The head has {network.head.outputs} outputs, and {wanted} mean something.")
        return cls(network=network, inputs=inputs, target=target, gives=gives, lineage=lineage)

    def _known_rows(self, source: "Source") -> "Data":
        """The rows of `source`, with a warning where they hold categories that the model never saw."""
        data = inputs_of(source, self.inputs, **self.roles_read)
        warn_of_unseen(data, self.inputs)
        return data

    def _outputs(self, data: "Data") -> NDArray[np.float64]:
        mean, scale = unit_of(self.target)
        return (self._answers(self.network.head.answers, data) - mean) / scale

    def _answers(self, ask: Callable[[Matrix], Array], data: "Data") -> Array:
        """The answers of the head for the rows of `data`, float64 [rows, outputs]; numbers in the label's own unit."""
        check_gaps(self.inputs.absent(data), data, self.inputs, self.network)
        out = np.empty((len(data), self.network.head.outputs))
        for at in chunks_of(len(data), ROWS_AT_ONCE):
            features = self.network.features.of(data.select(at), self.inputs)
            try:
                out[at] = ask(features)
            except (ValueError, IndexError, RuntimeError) as error:
                raise ModelError(
                    f"The model cannot read {', '.join(self.inputs.encoders)} as it describes them: {reason(error)}. "
                    "The description of the model is that of another, or damaged."
                ) from error
        return out
