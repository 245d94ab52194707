"""Predictor: a network over encoded rows that embeds them and, with a head, predicts their label."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from manyways.data.encoding import InputEncoding
from manyways.data.targets import Target
from manyways.errors import ModelError
from manyways.models.evaluation import Evaluation, of_all_rows
from manyways.models.frozen import KEPT_FROM, behind, has_frozen, joined_features
from manyways.models.lineage import Lineage
from manyways.models.model import Model
from manyways.models.network import Network, rebuild_network
from manyways.models.reading import inputs_of, labelled, warn_of_unseen
from manyways.models.rebuilding import check_fit, filled
from manyways.models.running import run_rows
from manyways.models.weights import write_weights

if TYPE_CHECKING:
    from manyways.data.data import Data
    from manyways.data.read import Source


@dataclass(frozen=True, eq=False, kw_only=True)
class Predictor(Model):
    """A fitted network over rows, how its inputs are encoded, and what its outputs mean.

    It gives classify, regress, embed or cluster. `target` is None where it only embeds.
    """

    kind: ClassVar[str] = "predictor"
    network: Network = field(repr=False)
    inputs: InputEncoding = field(repr=False)

    def predict(self, source: "Source") -> NDArray[Any]:
        """The label of each row: a class, a number, or the number of a cluster.

        Args:
            source: A `Data`, or anything that `manyways.read` reads, with the columns that the model learned from.

        Raises:
            DataError: A column is missing, or holds something else.
            ModelError: The model only embeds.
        """
        return self._predicting().predict(self.outputs(self._known_rows(source)))

    def probabilities(self, source: "Source") -> NDArray[np.float32]:
        """The probability of each class, float32 [rows, classes] in the order of `target.classes`.

        Raises:
            DataError: A column is missing, or holds something else.
            ModelError: The model only embeds, or its target has no probabilities.
        """
        target = self._predicting()
        target.require_probabilities()
        return np.asarray(target.probabilities(torch.from_numpy(self.outputs(self._known_rows(source)))).numpy())

    def embed(self, source: "Source") -> NDArray[np.float32]:
        """The features of each row, float32 [rows, width].

        Raises:
            DataError: A column is missing, or holds something else.
        """
        return self._run(source, self.network.features)

    def outputs(self, source: "Source") -> NDArray[np.float32]:
        """The head's raw outputs, float32 [rows, outputs]: logits of classes, or the standardised number."""
        self._predicting()
        return self._run(source, self.network)

    def evaluate(self, source: "Source") -> dict[str, float]:
        """Scores on the rows whose label is known, hidden or not, by name (`manyways.metrics`)."""
        return dict(self.evaluate_rows(source, "").scores)

    def evaluate_rows(self, source: "Source", metric: str) -> Evaluation:
        target = self._predicting()
        data = labelled(source, self.inputs, [target], **self.roles_read)
        known = data.select(data.known)
        warn_of_unseen(known, self.inputs)
        outputs, codes = self.outputs(known), target.encode(known, hidden=True)
        scores = target.scores(outputs, codes)
        return Evaluation(scores, of_all_rows(target.pseudo_values(metric, outputs, codes), data.known))

    @property
    def metric(self) -> str | None:
        return self.target.metric if self.target else None

    def able(self, words: frozenset[str]) -> frozenset[str]:
        return words & {"embed", "cluster", *([self.target.gives] if self.target else [])}

    def write(self, folder: Path) -> dict[str, Any]:
        write_weights(self.network, folder)
        return {
            "network": self.network.config(),
            "inputs": self.inputs.to_json(),
            "target": self.target.to_json() if self.target else None,
        }

    @classmethod
    def read(cls, folder: Path, saved: Mapping[str, Any], gives: frozenset[str], lineage: Lineage) -> "Predictor":
        network = filled(lambda: rebuild_network(saved["network"]), folder)
        inputs = InputEncoding.from_json(saved["inputs"], network.names)
        target = Target.from_json(saved["target"]) if saved["target"] is not None else None
        check_fit(network, inputs, target.width if target else None)
        return cls(
            network=network,
            inputs=inputs,
            target=target,
            gives=gives,
            lineage=lineage,
        )

    def copy_of_network(self) -> Network:
        """A network of one's own to train: a model itself never changes."""
        return copy.deepcopy(self.network).requires_grad_(True)

    def as_predictor(self, data: "Data | None" = None) -> "Predictor":
        return self

    def encoding(self) -> InputEncoding:
        return self.inputs

    @property
    def facts(self) -> dict[str, Any]:
        return {"shared_features": self.inputs.shared} if self.inputs.shared else {}

    def _predicting(self) -> Target:
        if self.network.head is None:
            raise ModelError(
                f"{self.lineage.title} gives {', '.join(sorted(self.gives))}, no predictions; chain a method that "
                f"learns from labels: {self.lineage.title} >> fine_tune."
            )
        return self.label_target

    def _known_rows(self, source: "Source") -> "Data":
        """The rows of `source`, with a warning where they hold categories that the model never saw."""
        self._predicting()
        data = inputs_of(source, self.inputs, **self.roles_read)
        warn_of_unseen(data, self.inputs)
        return data

    def _run(self, source: "Source", function: Any) -> NDArray[np.float32]:
        features = function == self.network.features
        if has_frozen(self.network):
            data = inputs_of(source, self.inputs)
            if len(data) >= KEPT_FROM:
                return behind(self.network, joined_features(self.network, self.inputs, data), head=not features)
        width = self.network.width if features else self.target.width if self.target else 0
        return run_rows(function, width, self.network, self.inputs, source)
