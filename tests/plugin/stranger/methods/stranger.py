"""A supervised method with a need, a role, a head and a kind of model of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from manyways.data.roles import Role
from manyways.data.targets import Target
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.rows import LabelledMethod
from manyways.methods.needs import AnyLabel, Input, Need, column_with_role
from manyways.models.heads import Head, LinearHead
from manyways.models.lineage import Lineage
from manyways.models.model import Model
from manyways.models.network import Network
from manyways.models.predictor import Predictor
from manyways.training.learner import LabelledLearner

SHADE = Role("shade", "how much light a row had")
Shade = Need("shade", "a shade for each row", column_with_role("shade", "a shade for each row"))


class StrangeHead(LinearHead):
    """A linear map of features bent by tanh."""

    name = "strange-head"

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features.tanh())


@dataclass(frozen=True, eq=False, kw_only=True)
class StrangePredictor(Predictor):
    """A predictor that knows how dark its rows were."""

    kind: ClassVar[str] = "strange-predictor"
    darkest: float = 0.0

    def write(self, folder: Path) -> dict[str, Any]:
        return {**super().write(folder), "darkest": self.darkest}

    @classmethod
    def read(
        cls, folder: Path, saved: Mapping[str, Any], gives: frozenset[str], lineage: Lineage
    ) -> "StrangePredictor":
        known = Predictor.read(folder, saved, gives, lineage)
        return cls(
            network=known.network, inputs=known.inputs, target=known.target, gives=gives, lineage=lineage,
            darkest=float(saved["darkest"]),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Stranger(LabelledMethod[LabelledLearner]):
    """Learn from the labelled rows, of which each has a shade."""

    needs: ClassVar = (Input, AnyLabel, Shade)
    gives: ClassVar = frozenset({"classify", "regress", "starred", "embed"})
    takes: ClassVar = frozenset({"embed"})
    suggests: ClassVar = ()
    paper: ClassVar = "Nobody"

    def make_head(self, network: Network, target: Target) -> Head:
        return StrangeHead(network.width, target.width)

    def draw(self, learner: LabelledLearner, step: int, rng: torch.Generator) -> Batch:
        rows = learner.pick(learner.labelled, self.batch_size, step)
        return {"inputs": learner.take(rows), **learner.labels_of(rows)}

    def loss(self, learner: LabelledLearner, batch: Batch) -> Loss:
        return learner.label_loss(learner.network(batch["inputs"]), batch), {}

    def make_model(self, learner: LabelledLearner) -> Model:
        darkest = float(learner.data.take(learner.data.roles["shade"][0]).min())
        return StrangePredictor(
            network=learner.network, inputs=learner.encoding, target=learner.target, darkest=darkest
        )
