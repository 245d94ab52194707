"""Majority: what can be said of a row without looking at it."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.parts import TRAINING
from manyways.data.targets import Target, Targets, predictions
from manyways.methods.ablations import with_values
from manyways.methods.method import Ablations, Learned, Method
from manyways.methods.needs import Input, Need, RowLabel, SeveralLabels
from manyways.models.backbones.raw import plain_backbone
from manyways.models.heads import Head
from manyways.models.labels_predictor import LabelsPredictor
from manyways.models.model import Model
from manyways.models.network import Network
from manyways.models.networks import Networks, ways_side_by_side
from manyways.models.predictor import Predictor
from manyways.training.budget import Budget
from manyways.training.learner import row_weights
from manyways.training.run import Run


def _some_labels(data: Data) -> str | None:
    if len(data.labels) < 2:
        return RowLabel.check(data)
    each = (RowLabel.check(data.with_label(label.name)) for label in data.labels)
    return SeveralLabels.check(data) or next((reason for reason in each if reason), None)


SomeLabels = Need("one-or-several-labels", "some rows with labels", _some_labels, labelled=True)


class Offsets(nn.Linear):
    """An affine map of no features: there are no weights to draw, of which torch would warn."""

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.bias)


class PriorHead(Head):
    """The same outputs for every row: the offsets of an affine map of no features."""

    name = "prior"

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.config = {"outputs": outputs}
        self.linear = Offsets(0, outputs)

    def forward(self, features: Tensor) -> Tensor:
        outputs: Tensor = self.linear(features[:, :0])
        return outputs

    @property
    def last(self) -> nn.Linear:
        return self.linear


@dataclass(frozen=True, kw_only=True)
class Majority(Method):
    """Predict the same for every row: the most frequent class, the mean of a number, the classes of most rows.

    Probabilities are the shares of the classes among the labelled rows. A model that is not better than this has
    learned nothing from its inputs.
    """

    needs: ClassVar = (Input, SomeLabels)
    uses: ClassVar = ("weight",)
    gives: ClassVar = predictions(structured=False) | {"labels"}
    missing_inputs: ClassVar = True
    suggests: ClassVar = ()
    paper: ClassVar = "Holte, Very simple classification rules perform well, Machine Learning 1993 (the baseline, 0R)"

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        encoding = InputEncoding.fit(data, plain=True)
        backbones = {name: plain_backbone(spec) for name, spec in encoding.specs.items()}
        targets = Targets.fit(data)
        head = PriorHead(targets.width)
        with torch.no_grad():
            head.linear.bias.copy_(torch.cat([_constant(target, data) for target in targets.members]))
        network = Network(backbones, head, may_lack=encoding.encode(data).absent).eval()
        used: NDArray[np.bool_] = (data.part[data.rows] == TRAINING) & data.labelled
        if len(targets.members) == 1:
            return Learned(Predictor(network=network, inputs=encoding, target=targets.members[0]), used)
        return Learned(
            LabelsPredictor(
                network=Networks([network], ways_side_by_side(targets, 1)), inputs=encoding, targets=targets
            ),
            used,
        )

    def ablations(self, data: Data) -> Ablations:
        """Labels of which the first in their order are more frequent than they were."""
        rows = data.rows[(data.part[data.rows] == TRAINING) & data.labelled]
        for label in data.labels:
            own = rows[~label.missing(rows)]
            skewed = np.arange(len(own)) ** 2 // max(1, len(own) - 1)
            data = with_values(data, label.name, own, np.sort(label.take(own))[skewed])
        return {"how often each label occurs": (self, data)}


def _constant(target: Target, data: Data) -> Tensor:
    one = data.with_label(target.name)
    rows = one.training.select(one.training.labelled)
    return target.constant(torch.from_numpy(target.encode(rows)), row_weights(rows))
