"""LabelsPredictor: a network over encoded rows that predicts several labels of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from manyways.data.encoding import InputEncoding
from manyways.data.targets import Prediction, StructuredTarget, Target, Targets, record
from manyways.errors import DataError, ModelError
from manyways.metrics import higher_is_better, metric_of, plain_metric
from manyways.models.evaluation import Evaluation, of_all_rows
from manyways.models.lineage import Lineage
from manyways.models.model import Model
from manyways.models.networks import Networks, rebuild_networks
from manyways.models.predictor import Predictor
from manyways.models.reading import inputs_of, labelled, warn_of_unseen
from manyways.models.rebuilding import check_fit, filled
from manyways.models.running import check_gaps, network_fault, run_rows
from manyways.models.structured import by_length, predictor_for
from manyways.models.weights import write_weights
from manyways.pseudo_values import spread_over

if TYPE_CHECKING:
    from manyways.data.data import Data
    from manyways.data.read import Source

ROWS_AT_ONCE = 64
Raw = NDArray[np.float32] | list[Prediction]
"""The predictions of a label for rows: vectors of outputs [rows, width], or the decoded prediction for each row."""


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
        """The labels of each row: a structured array [rows] with a field for each label.

        That is a class or a number, or what `StructuredTarget.decode_rows` gives of a label with a structure.
        """
        data = inputs_of(source, self.inputs)
        warn_of_unseen(data, self.inputs)
        predicted = self.raw(data)
        return record({target.name: _decoded(target, predicted[target.name], data) for target in self.targets.members})

    def outputs(self, source: "Source") -> NDArray[np.float32]:
        """The raw outputs of all labels side by side, float32 [rows, outputs], in the order of `targets`.

        Raises:
            ModelError: A label has a structure, and so no vector of outputs for each row.
        """
        if other := next((target for target in self.targets.members if target.structured), None):
            raise ModelError(
                f"The model predicts the {other.kind} {other.name!r}, of which there is no vector of outputs for each "
                "row; use predict."
            )
        return run_rows(self._side_by_side, self.targets.width, self.network, self.inputs, source)

    def raw(self, source: "Source") -> dict[str, Raw]:
        """The raw outputs for each label of one vector a row, float32 [rows, width], and the predictions of others."""
        data = inputs_of(source, self.inputs)
        members = self.targets.members
        if len(self.targets.vectors) < len(members):
            return self._raw_of_structures(data)
        ends = np.cumsum([target.width for target in members])[:-1]
        parts = np.split(self.outputs(data), ends, axis=1)
        return {target.name: part for target, part in zip(members, parts, strict=True)}

    def _side_by_side(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.cat(list(self.network(inputs).values()), dim=1)

    @torch.inference_mode()
    def _raw_of_structures(self, data: "Data") -> dict[str, Raw]:
        rows = self.inputs.encode(data)
        check_gaps(rows.absent, data, self.inputs, self.network)
        vectors = {target.name: np.empty((len(rows), target.width), np.float32) for target in self.targets.vectors}
        decoded: dict[str, list[Prediction | None]] = {name: [None] * len(rows) for name in self.targets.names}
        device = next(iter(self.network.state_dict().values())).device
        size = min(ROWS_AT_ONCE, *(target.recipe.batch_size for target in self.targets.members))
        for positions in by_length(rows, self.inputs, size):
            with network_fault(self.inputs):
                outputs = self.network(rows.batch(positions, device))
                for target in self.targets.members:
                    given = outputs[target.name]
                    if not isinstance(target, StructuredTarget):
                        vectors[target.name][positions] = given.float().cpu().numpy()
                        continue
                    for position, each in zip(positions.tolist(), target.predictions(given), strict=True):
                        decoded[target.name][position] = each
        lists = {name: [each for each in column if each is not None] for name, column in decoded.items()}
        return {name: vectors[name] if name in vectors else lists[name] for name in self.targets.names}

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
        target = self.targets.of(label)
        gives = frozenset({target.gives, "embed"})
        alone = predictor_for(target, self.network.only(label), self.inputs)
        return replace(alone, gives=gives, lineage=self.lineage)

    def evaluate(self, source: "Source") -> dict[str, float]:
        """Scores on the rows whose label is known, hidden or not: of each label, and the mean of the usual ones.

        By name: `mean_score`, `accuracy of colour`, … A number that is the same in all rows has no R², and is left out
        of the mean; so is a label whose scores are better the lower they are.

        Raises:
            DataError: No row has a label.
        """
        return dict(self.evaluate_rows(source, "").scores)

    def evaluate_rows(self, source: "Source", metric: str) -> Evaluation:
        everything = labelled(source, self.inputs, self.targets.members)
        data = everything.select(everything.known)
        warn_of_unseen(data, self.inputs)
        scores: dict[str, float] = {}
        usual: list[tuple[float, NDArray[np.float64] | None]] = []
        of_metric: NDArray[np.float64] | None = None
        predicted = self.raw(data)
        for target in self.targets.members:
            if target.name not in data.roles.get("label", ()):
                continue
            one = data.with_label(target.name)
            own = plain_metric(metric) if metric_of(plain_metric(metric), target.name) == metric else ""
            first = next((name for name in (target.metric, *target.metrics) if higher_is_better(name)), "")
            asked = own or (first if metric == "mean_score" else "")
            given, rows = _scores(target, predicted[target.name], one, asked)
            scores |= {metric_of(name, target.name): value for name, value in given.items()}
            of_metric = rows if own else of_metric
            if first in given:
                usual.append((given[first], rows))
        if not scores:
            raise DataError(
                f"{data.name} has no row with a known label of {', '.join(self.targets.names)} to compute a score on."
            )
        if usual:
            scores = {"mean_score": float(np.mean([score for score, _ in usual])), **scores}
        if metric == "mean_score":
            values = [rows for _, rows in usual if rows is not None]
            of_metric = np.mean(values, axis=0) if values and len(values) == len(usual) else None
        return Evaluation(scores, of_all_rows(of_metric, everything.known))

    @property
    def metric(self) -> str | None:
        return "mean_score"

    @property
    def predicts(self) -> bool:
        return True

    def able(self, words: frozenset[str]) -> frozenset[str]:
        return words if self._one_for_all else words - {"embed"}

    @property
    def _one_for_all(self) -> bool:
        """True if all labels have the same features."""
        return len(self.network.members) == 1 and self.network.members[0].lockstep is None

    def as_predictor(self, data: "Data | None" = None) -> Predictor:
        if not self._one_for_all:
            raise ModelError(
                f"{self.lineage.title} has a network for each label, and so no features of all. Take one: "
                f"model.only({self.targets.names[0]!r})."
            )
        network = self.network.trunk()
        return Predictor(network=network, inputs=self.inputs, gives=frozenset({"embed"}), lineage=self.lineage)

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
        targets = Targets.from_json(saved["targets"])
        network = filled(lambda: rebuild_networks(saved["network"], targets), folder)
        inputs = InputEncoding.from_json(saved["inputs"], network.names)
        for each in network.members:
            check_fit(each, inputs)
        return cls(network=network, inputs=inputs, targets=targets, gives=gives, lineage=lineage)


def _decoded(target: Target, predicted: Raw, rows: "Data") -> NDArray[Any]:
    """Labels as the data has them."""
    if isinstance(target, StructuredTarget) and isinstance(predicted, list):
        return target.decode_rows([each.code for each in predicted], rows)
    return target.predict(np.asarray(predicted))


def _scores(
    target: Target, predicted: Raw, rows: "Data", metric: str
) -> tuple[dict[str, float], NDArray[np.float64] | None]:
    """The scores of a label on the rows where it is known, as far as they are finite, and pseudo-values of `metric`.

    These are over all rows: those that lack the label change nothing. Where none is known there are none of either.
    """
    codes = target.encode(rows, hidden=True)
    known = target.known(torch.from_numpy(codes)).numpy()
    if not known.any():
        return {}, None
    if isinstance(target, StructuredTarget) and isinstance(predicted, list):
        some = [predicted[row].code for row in np.flatnonzero(known)]
        scores, values = target.scores_of_rows(some, codes[known], rows.select(known), metric)
    else:
        outputs = np.asarray(predicted)[known]
        scores, values = target.scores(outputs, codes[known]), target.pseudo_values(metric, outputs, codes[known])
    finite = {name: score for name, score in scores.items() if np.isfinite(score)}
    return finite, None if values is None else spread_over(values, known)
