"""LabelsPredictor: a network over encoded rows that predicts several labels of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from manyways.data.encoding import InputEncoding
from manyways.data.targets import Target, Targets
from manyways.errors import DataError, ModelError
from manyways.metrics import metric_of
from manyways.models.evaluation import Evaluation, of_all_rows
from manyways.models.lineage import Lineage
from manyways.models.model import Model
from manyways.models.networks import Networks, rebuild_networks
from manyways.models.predictor import Predictor
from manyways.models.reading import inputs_of, labelled, warn_of_unseen
from manyways.models.rebuilding import check_fit, filled
from manyways.models.running import run_rows
from manyways.models.weights import write_weights
from manyways.pseudo_values import spread_over

if TYPE_CHECKING:
    from manyways.data.data import Data
    from manyways.data.read import Source


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelsPredictor(Model):
    """A fitted network over rows that says several labels of each, and what its outputs mean.

    `model.predict(rows)["colour"]` is one label of all rows, `model.only("colour")` the Predictor of that label.
    """

    kind: ClassVar[str] = "labels-predictor"
    network: Networks = field(repr=False)
    inputs: InputEncoding = field(repr=False)
    targets: Targets

    def predict(self, source: "Source") -> NDArray[Any]:
        """The labels of each row: a structured array [rows] with a field for each label, a class or a number."""
        data = inputs_of(source, self.inputs)
        warn_of_unseen(data, self.inputs)
        return self.targets.predict(self.outputs(data))

    def outputs(self, source: "Source") -> NDArray[np.float32]:
        """The raw outputs of all labels side by side, float32 [rows, outputs], in the order of `targets`."""
        return run_rows(self.network, self.targets.width, self.network, self.inputs, source)

    def probabilities(self, source: "Source") -> NDArray[np.float32]:
        """Raises ModelError: each label has probabilities of its own, those of `only(label)`."""
        name = next((target.name for target in self.targets.members if target.probabilistic), None)
        hint = f" Ask for those of one: model.only({name!r}).probabilities(rows)." if name else ""
        raise ModelError(f"The model predicts several labels ({', '.join(self.targets.names)}).{hint}")

    def embed(self, source: "Source") -> NDArray[np.float32]:
        """The features of each row, float32 [rows, width].

        Raises:
            ModelError: Each label has its own network.
        """
        return self.as_predictor().embed(source)

    def only(self, label: str) -> Predictor:
        """The model of one label: what it says of it, and its probabilities.

        Raises:
            ModelError: It has no such label.
        """
        if label not in self.targets.names:
            raise ModelError(f"The model predicts {', '.join(self.targets.names)}; got {label!r}.")
        target = self._target(label)
        start = sum(self.targets.widths[: self.targets.names.index(label)])
        network = self.network.only(start, start + target.width)
        gives = frozenset({target.gives, "embed"})
        return Predictor(network=network, inputs=self.inputs, target=target, gives=gives, lineage=self.lineage)

    def evaluate(self, source: "Source") -> dict[str, float]:
        """Scores on the rows whose label is known, hidden or not: of each label, and the mean of the usual ones.

        By name: `mean_score`, `accuracy of colour`, … A number that is the same in all rows has no R², and is left out
        of the mean.

        Raises:
            DataError: No row has a label.
        """
        return dict(self.evaluate_rows(source, "").scores)

    def evaluate_rows(self, source: "Source", metric: str) -> Evaluation:
        everything = labelled(source, self.inputs, self.targets.members)
        data = everything.select(everything.known)
        warn_of_unseen(data, self.inputs)
        scores: dict[str, float] = {}
        usual, rows = [], []
        parts = np.split(self.outputs(data), np.cumsum(self.targets.widths)[:-1], axis=1)
        for target, outputs in zip(self.targets.members, parts, strict=True):
            if target.name in data.roles.get("label", ()):
                truth = target.encode(data.with_label(target.name), hidden=True)
                found = _scores(target, outputs, truth)
                scores |= {metric_of(name, target.name): value for name, value in found.items()}
                if target.metrics[0] in found:
                    usual.append(found[target.metrics[0]])
                    rows.append(_pseudo_values(target, outputs, truth))
        if not usual:
            raise DataError(
                f"{data.name} has no row with a known label of {', '.join(self.targets.names)} to compute a score on."
            )
        values = [each for each in rows if each is not None]
        mean = np.mean(values, axis=0) if metric == "mean_score" and len(values) == len(usual) else None
        return Evaluation({"mean_score": float(np.mean(usual)), **scores}, of_all_rows(mean, everything.known))

    @property
    def metric(self) -> str | None:
        return "mean_score"

    @property
    def predicts(self) -> bool:
        return True

    def able(self, words: frozenset[str]) -> frozenset[str]:
        return words if len(self.network.members) == 1 else words - {"embed"}

    def as_predictor(self, data: "Data | None" = None) -> Predictor:
        if len(self.network.members) > 1:
            raise ModelError(
                f"{self.lineage.title} has a network for each label, and so no features of all. Take one: "
                f"model.only({self.targets.names[0]!r})."
            )
        alone = self.network.only(0, self.targets.width)
        alone.head = None
        return Predictor(network=alone, inputs=self.inputs, gives=frozenset({"embed"}), lineage=self.lineage)

    def encoding(self) -> InputEncoding:
        return self.inputs

    @property
    def facts(self) -> dict[str, Any]:
        return {"shared_features": self.inputs.shared} if self.inputs.shared else {}

    def write(self, folder: Path) -> dict[str, Any]:
        write_weights(self.network, folder)
        return {
            "network": self.network.config(),
            "inputs": self.inputs.to_json(),
            "targets": self.targets.to_json(),
        }

    @classmethod
    def read(cls, folder: Path, saved: Mapping[str, Any], gives: frozenset[str], lineage: Lineage) -> "LabelsPredictor":
        network = filled(lambda: rebuild_networks(saved["network"]), folder)
        inputs = InputEncoding.from_json(saved["inputs"], network.names)
        for each in network.members:
            check_fit(each, inputs)
        return cls(
            network=network,
            inputs=inputs,
            targets=Targets.from_json(saved["targets"]),
            gives=gives,
            lineage=lineage,
        )

    def _target(self, label: str) -> Target:
        return self.targets.members[self.targets.names.index(label)]


def _scores(target: Target, outputs: NDArray[np.float32], truth: NDArray[Any]) -> dict[str, float]:
    """Those of the rows whose truth is known, as far as they are finite; none where none is known."""
    known = target.known(torch.from_numpy(truth)).numpy()
    if not known.any():
        return {}
    return {name: score for name, score in target.scores(outputs[known], truth[known]).items() if np.isfinite(score)}


def _pseudo_values(target: Target, outputs: NDArray[np.float32], truth: NDArray[Any]) -> NDArray[np.float64] | None:
    """Those of the usual metric of one label, over all rows: rows that lack the label change nothing."""
    known = target.known(torch.from_numpy(truth)).numpy()
    values = target.pseudo_values(target.metrics[0], outputs[known], truth[known])
    return None if values is None else spread_over(values, known)
