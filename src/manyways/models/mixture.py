"""Mixture: how probable rows are under a mixture of Gaussians, and which of these each row is most probably of."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log, pi
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.checked_json import DAMAGED
from manyways.errors import ModelError
from manyways.models.evaluation import Evaluation
from manyways.models.heads import Head
from manyways.models.lineage import Lineage
from manyways.models.predictor import Predictor
from manyways.models.principal_components import ComponentsHead, continuous, unit, whole_rows
from manyways.models.reading import inputs_of

if TYPE_CHECKING:
    from manyways.data.read import Source


class MixtureHead(Head):
    """ln p(x, component) of each component of a mixture of Gaussians over principal components, [rows, components].

    whiten [components, directions, directions] are lower factors of the inverse covariances; means [components,
    directions]; log_weights [components]. What the directions leave out is Gaussian, the same for all (`axes`).
    """

    name = "gaussian-mixture"
    log_weights: Tensor
    means: Tensor
    whiten: Tensor

    def __init__(self, components: int, directions: int, numbers: int) -> None:
        super().__init__()
        self.config = {"components": components, "directions": directions, "numbers": numbers}
        self.axes = ComponentsHead(directions, numbers)
        self.register_buffer("log_weights", torch.full((components,), -log(components)))
        self.register_buffer("means", torch.zeros(components, directions))
        self.register_buffer("whiten", torch.eye(directions).repeat(components, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        along = (features.double() - self.axes.centre.double()) @ self.axes.axes.double().T
        inside = [
            self._log_density(along, mean.double(), whiten.double())
            for mean, whiten in zip(self.means, self.whiten, strict=True)
        ]
        return torch.stack(inside, 1) + self.log_weights.double() + self.axes.left_out(features)[:, None]

    @staticmethod
    def _log_density(along: Tensor, mean: Tensor, whiten: Tensor) -> Tensor:
        standard = (along - mean) @ whiten
        return whiten.diagonal().log().sum() - 0.5 * (standard.square().sum(1) + len(mean) * log(2 * pi))


@dataclass(frozen=True, eq=False, kw_only=True)
class Mixture(Predictor):
    """A network over rows whose head is a mixture of Gaussians: clusters, their probabilities, and densities.

    A density is given of images, in grey levels, and of tables of numbers, in standardised ones; of other features it
    would mean nothing.
    """

    kind: ClassVar[str] = "mixture"

    @property
    def metric(self) -> str | None:
        return "log_likelihood" if self._has_density else None

    @property
    def _has_density(self) -> bool:
        specs = self.inputs.specs
        return self.network.projection is None and whole_rows(self.network, specs) and continuous(specs)

    def able(self, words: frozenset[str]) -> frozenset[str]:
        return words & ({"cluster", "density"} if self._has_density else {"cluster"})

    def probabilities(self, source: "Source") -> NoReturn:
        """Raises ModelError: clusters are no classes."""
        raise ModelError(
            f"{self.lineage.title} gives clusters, which are no classes. How probably a row is of each of them say its "
            "responsibilities(rows)."
        )

    def responsibilities(self, source: "Source") -> NDArray[np.float32]:
        """The probability that each row is of each component, float32 [rows, components].

        Raises:
            DataError: A column is missing, or holds something else.
        """
        return np.asarray(torch.from_numpy(self.outputs(source)).softmax(1).numpy())

    def log_likelihood(self, source: "Source") -> NDArray[np.float64]:
        """Log-density ln p(x) of each row in nats, float64 [rows]."""
        if not self._has_density:
            self._cannot("density")
        joint = self.outputs(source).astype(np.float64)
        return np.asarray(np.logaddexp.reduce(joint, axis=1)) - unit(self.inputs.specs)

    def evaluate_rows(self, source: "Source", metric: str) -> Evaluation:
        """The mean log-likelihood of the rows.

        Raises:
            ModelError: The mixture is of features that have no density of rows.
        """
        rows = self.log_likelihood(inputs_of(source, self.inputs))
        return Evaluation({"log_likelihood": float(rows.mean())}, rows if metric == "log_likelihood" else None)

    @classmethod
    def read(cls, folder: Path, saved: Mapping[str, Any], gives: frozenset[str], lineage: Lineage) -> "Mixture":
        plain = Predictor.read(folder, saved, gives, lineage)
        head = plain.network.head
        if not isinstance(head, MixtureHead) or plain.target is None or plain.target.width != len(head.means):
            raise ModelError(
                f"A mixture has the head {MixtureHead.name!r}, and a cluster for each component; {DAMAGED}."
            )
        return cls(network=plain.network, inputs=plain.inputs, target=plain.target, gives=gives, lineage=lineage)
