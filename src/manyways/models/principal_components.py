"""PrincipalComponents: rows by a few numbers along the directions in which they vary most, and what these leave out."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import log, pi
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.checked_json import DAMAGED
from manyways.data.specs import ImageSpec, Spec, TableSpec
from manyways.errors import ModelError
from manyways.models.backbones.raw import Flat
from manyways.models.evaluation import Evaluation
from manyways.models.generative.units import Units
from manyways.models.generator import as_data
from manyways.models.heads import Head
from manyways.models.lineage import Lineage
from manyways.models.network import Inputs, Network
from manyways.models.predictor import Predictor
from manyways.models.reading import inputs_of
from manyways.models.running import run_rows
from manyways.pseudo_values import ratio_pseudo_values

if TYPE_CHECKING:
    from manyways.data.data import Data
    from manyways.data.read import Source

GREY_LEVELS = 255
"""Pixels are divided by so much where they are features."""
SMALLEST_VARIANCE = {"image": 1 / 12 / GREY_LEVELS**2, "table": 1e-4}
"""Of a feature, by the kind of input: that of rounding to a grey level; and that of a deviation of a hundredth, below
which the likelihood of standardised numbers of a table is not told apart (`TableLikelihood`)."""


class ComponentsHead(Head):
    """Principal components back to the features that they are of: `centre` + components · `axes`.

    axes [components, numbers] are orthonormal; variances [components] lie along them, and `noise` is the mean variance
    in the directions left out (Tipping & Bishop, Probabilistic principal component analysis, 1999). The inner map is
    the projection that the network had before, from its `joined` features to those that the components are of.
    """

    name = "principal-components"
    centre: Tensor
    axes: Tensor
    variances: Tensor
    noise: Tensor
    inner_weight: Tensor
    inner_bias: Tensor

    def __init__(self, components: int, numbers: int, joined: int | None = None) -> None:
        super().__init__()
        self.config = {"components": components, "numbers": numbers, "joined": joined}
        inner = 0 if joined is None else numbers
        self.register_buffer("inner_weight", torch.zeros(inner, joined or 0))
        self.register_buffer("inner_bias", torch.zeros(inner))
        self.register_buffer("centre", torch.zeros(numbers))
        self.register_buffer("axes", torch.zeros(components, numbers))
        self.register_buffer("variances", torch.ones(components))
        self.register_buffer("noise", torch.ones(()))

    def forward(self, features: Tensor) -> Tensor:
        return self.centre + features @ self.axes

    def seen(self, joined: Tensor) -> Tensor:
        """The features that the components are of, out of the `joined` ones of the network."""
        return joined if not len(self.inner_bias) else joined @ self.inner_weight.T + self.inner_bias

    def left_out(self, joined: Tensor) -> Tensor:
        """The log-density in the directions left out, [rows]: Gaussian, of variance `noise` in each of them."""
        centred = joined.double() - self.centre.double()
        count = self.axes.shape[1] - self.axes.shape[0]
        if count <= 0:
            return centred.new_zeros(len(centred))
        along = centred @ self.axes.double().T
        rest = (centred.square().sum(1) - along.square().sum(1)).clamp_min(0)
        noise = self.noise.double()
        return -0.5 * (rest / noise + count * (noise.log() + log(2 * pi)))

    def log_density(self, joined: Tensor) -> Tensor:
        """The log-density of features [rows, numbers] under one Gaussian, [rows]."""
        along = (joined.double() - self.centre.double()) @ self.axes.double().T
        variances = self.variances.double()
        inside = -0.5 * (along.square() / variances + variances.log() + log(2 * pi)).sum(1)
        return inside + self.left_out(joined)


@dataclass(frozen=True, eq=False, kw_only=True)
class PrincipalComponents(Predictor):
    """A network whose projection gives principal components, and whose head turns them back into what they are of.

    It puts rows together again, and says how probable they are, where the components are of the pixels of images or of
    the cells of a table: `units` are those of the columns. A density is one of grey levels, or of standardised numbers.
    """

    kind: ClassVar[str] = "principal-components"
    units: Units | None = None

    @property
    def metric(self) -> str | None:
        return "explained_variance"

    @property
    def head(self) -> ComponentsHead:
        """The head with the axes."""
        head = self.network.head
        if not isinstance(head, ComponentsHead):
            raise ModelError(f"A model of principal components has the head {ComponentsHead.name!r}; {DAMAGED}.")
        return head

    def able(self, words: frozenset[str]) -> frozenset[str]:
        specs = self.inputs.specs
        able = {"embed", "layout"}
        able |= {"reconstruct"} if self.units is not None else set()
        return words & (able | ({"density"} if self.units is not None and continuous(specs) else set()))

    def layout(self, source: "Source") -> NDArray[np.float32]:
        """The first two components of each row, float32 [rows, 2]."""
        places = np.zeros((len(components := self.embed(source)), 2), np.float32)
        places[:, : min(2, components.shape[1])] = components[:, :2]
        return places

    def reconstruct(self, source: "Source") -> "Data":
        """Each row as its components describe it, as data with the columns that the model learned from."""
        if self.units is None:
            self._cannot("reconstruct")
        (spec,) = self.inputs.specs.values()
        flat = run_rows(self.network, self.head.axes.shape[1], self.network, self.inputs, source)
        encoded: NDArray[Any] = flat
        if isinstance(spec, ImageSpec):
            encoded = (flat * GREY_LEVELS).round().clip(0, GREY_LEVELS).astype(np.uint8).reshape(-1, *spec.shape)
        return as_data(encoded, self.inputs, self.units, f"rows put together again by {self.lineage.title}")

    def log_likelihood(self, source: "Source") -> NDArray[np.float64]:
        """Log-density ln p(x) of each row in nats, float64 [rows], under the Gaussian of the training rows."""
        if "density" not in self.able(frozenset({"density"})):
            self._cannot("density")

        def density(inputs: Inputs) -> Tensor:
            return self.head.log_density(self.network.joined(inputs))[:, None]

        found = run_rows(density, 1, self.network, self.inputs, source)[:, 0].astype(np.float64)
        return found - unit(self.inputs.specs)

    def evaluate(self, source: "Source") -> dict[str, float]:
        """The share of the variance about the training rows' mean that the components explain; log-likelihood."""
        return dict(self.evaluate_rows(source, "").scores)

    def evaluate_rows(self, source: "Source", metric: str) -> Evaluation:
        data, head = inputs_of(source, self.inputs), self.head
        numbers = head.axes.shape[1]

        def lost_and_all(inputs: Inputs) -> Tensor:
            before = head.seen(self.network.joined(inputs))
            lost = (before - self.network(inputs)).double().square().sum(1)
            return torch.stack([lost, (before - head.centre).double().square().sum(1)], 1)

        lost, whole = run_rows(lost_and_all, 2, self.network, self.inputs, data).astype(np.float64).T
        scores, rows = reconstruction_scores(lost, whole, numbers, self.network.width)
        if "density" in self.gives:
            rows["log_likelihood"] = self.log_likelihood(data)
            scores["log_likelihood"] = float(rows["log_likelihood"].mean())
        return Evaluation(scores, rows.get(metric))

    def as_predictor(self, data: "Data | None" = None) -> Predictor:
        network = self.copy_of_network()
        network.head = None
        return Predictor(network=network, inputs=self.inputs, gives=frozenset({"embed"}), lineage=self.lineage)

    def write(self, folder: Path) -> dict[str, Any]:
        return {**super().write(folder), "units": self.units.to_json() if self.units else None}

    @classmethod
    def read(
        cls, folder: Path, saved: Mapping[str, Any], gives: frozenset[str], lineage: Lineage
    ) -> "PrincipalComponents":
        plain = Predictor.read(folder, saved, gives, lineage)
        units = Units.from_json(saved["units"]) if saved["units"] is not None else None
        model = cls(network=plain.network, inputs=plain.inputs, units=units, gives=gives, lineage=lineage)
        if plain.network.width != model.head.axes.shape[0]:
            raise ModelError(f"The model has {plain.network.width} components, and its head takes others; {DAMAGED}.")
        return replace(model, gives=model.able(gives))


def reconstruction_scores(
    lost: NDArray[np.float64], whole: NDArray[np.float64], numbers: int, width: int
) -> tuple[dict[str, float], dict[str, NDArray[np.float64]]]:
    """Scores of rows put together again, and what each row contributes to them.

    Args:
        lost: Squared distance of each row from what it was put together to, [rows].
        whole: Its squared distance from the mean of the training rows, [rows].
        numbers: Numbers that a row is made of.
        width: Numbers that it was put together from.
    """
    total = float(whole.sum())
    scores = {
        "explained_variance": 1 - float(lost.sum()) / total if total > 0 else 1.0,
        "reconstruction_error": float(lost.mean()) / numbers,
        "dimensions": float(width),
    }
    rows = {"explained_variance": 1 - ratio_pseudo_values(lost, whole), "reconstruction_error": lost / numbers}
    return scores, rows


def continuous(specs: Mapping[str, Spec]) -> bool:
    """True if rows are images, or numbers alone, whose density means something: codes of categories have none."""
    return all(
        isinstance(spec, ImageSpec) or (isinstance(spec, TableSpec) and len(spec.numeric) == len(spec.groups))
        for spec in specs.values()
    )


def unit(specs: Mapping[str, Spec]) -> float:
    """The logarithm of the units of a density of features in those of a row: a grey level for each pixel, else 0."""
    return sum(int(np.prod(spec.shape)) * log(GREY_LEVELS) for spec in specs.values() if isinstance(spec, ImageSpec))


def whole_rows(network: Network, specs: Mapping[str, Spec]) -> bool:
    """True if the features before the projection of `network` are all that is in a row: its pixels or its cells."""
    parts = network.parts
    return (
        len(specs) == 1 and all(isinstance(part, Flat) and part.side is None for part in parts) and not network.may_lack
    )


def smallest_variance(specs: Mapping[str, Spec]) -> float:
    """The least variance of a feature of rows like `specs` that counts in a density."""
    return max(SMALLEST_VARIANCE.get(spec.kind, 0.0) for spec in specs.values()) or 1e-12
