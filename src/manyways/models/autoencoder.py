"""Autoencoder: puts rows through a few numbers and together again, and embeds them as these."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from manyways.data.data import Data
from manyways.data.specs import ImageSpec, TableSpec
from manyways.models.evaluation import Evaluation
from manyways.models.generative.decoders import DECODERS, Decoder
from manyways.models.generator import Generator, described
from manyways.models.lineage import Lineage
from manyways.models.network import Inputs, Network, rebuild_network
from manyways.models.predictor import Predictor
from manyways.models.principal_components import GREY_LEVELS, reconstruction_scores
from manyways.models.reading import inputs_of
from manyways.models.rebuilding import filled
from manyways.models.running import run_rows
from manyways.models.weights import write_weights

if TYPE_CHECKING:
    from manyways.data.read import Source


class AutoencoderNetwork(nn.Module):
    """An encoder whose projection is the code of a row, and a decoder that makes the row of it.

    Pixels are in [0, 1]; cells of a table as they are encoded. `centre` is the mean of the training rows,
    about which the variance is that a score says the explained share of.
    """

    centre: Tensor

    def __init__(self, encoder: Network, decoder: Decoder, numbers: int) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.register_buffer("centre", torch.zeros(numbers))

    @property
    def may_lack(self) -> tuple[str, ...]:
        """The inputs that rows may lack: none."""
        return ()

    def forward(self, inputs: Inputs) -> Tensor:
        """Each row put together again, [rows, …] as it is encoded."""
        rows: Tensor = self.decoder(self.encoder.features(inputs))
        return rows

    def config(self) -> dict[str, Any]:
        """JSON values from which `rebuild` makes the same architecture."""
        return {
            "encoder": self.encoder.config(),
            "decoder": {"name": self.decoder.name, **self.decoder.config},
            "numbers": len(self.centre),
        }

    @staticmethod
    def rebuild(saved: Mapping[str, Any]) -> "AutoencoderNetwork":
        """The architecture that `config` described, with random weights.

        Raises:
            ModelError: It does not fit.
        """
        decoder = DECODERS.rebuild(saved["decoder"])
        return AutoencoderNetwork(rebuild_network(saved["encoder"]), decoder, int(saved["numbers"]))


def values_of(encoded: Tensor) -> Tensor:
    """Encoded rows as the values that are put together again: pixels in [0, 1], cells as they are."""
    return encoded.float() / GREY_LEVELS if encoded.dtype == torch.uint8 else encoded.float()


@dataclass(frozen=True, eq=False, kw_only=True)
class Autoencoder(Generator):
    """An encoder and a decoder, how rows are encoded, and what they are in the units of the data.

    It draws no rows: nothing is known of how codes are distributed.
    """

    kind: ClassVar[str] = "autoencoder"
    network: AutoencoderNetwork = field(repr=False)

    @property
    def metric(self) -> str | None:
        return "explained_variance"

    def embed(self, source: "Source") -> NDArray[np.float32]:
        """The code of each row, float32 [rows, width].

        Raises:
            DataError: A column is missing, or holds something else.
        """
        encoder = self.network.encoder
        return run_rows(encoder.features, encoder.width, encoder, self.inputs, source)

    def reconstruct(self, source: "Source") -> Data:
        """Each row as its code describes it, as data with the columns that the model learned from."""
        flat = run_rows(lambda rows: self.network(rows).flatten(1), self._numbers, self.network, self.inputs, source)
        again = torch.from_numpy(flat)
        if isinstance(self.spec, ImageSpec):
            again = (again * GREY_LEVELS).round().clamp(0, GREY_LEVELS).to(torch.uint8).view(-1, *self.spec.shape)
        return self.as_rows([again], "put together again")

    def evaluate(self, source: "Source") -> dict[str, float]:
        """The share of the variance about the training rows' mean that is explained, and the mean squared error."""
        return dict(self.evaluate_rows(source, "").scores)

    def evaluate_rows(self, source: "Source", metric: str) -> Evaluation:
        data = inputs_of(source, self.inputs)

        def lost_and_all(inputs: Inputs) -> Tensor:
            (values,) = (values_of(each).flatten(1) for each in inputs.values())
            lost = (values - self.network(inputs).flatten(1)).double().square().sum(1)
            return torch.stack([lost, (values - self.network.centre).double().square().sum(1)], 1)

        lost, whole = run_rows(lost_and_all, 2, self.network, self.inputs, data).astype(np.float64).T
        scores, rows = reconstruction_scores(lost, whole, self._numbers, self.network.encoder.width)
        return Evaluation(scores, rows.get(metric))

    @property
    def _numbers(self) -> int:
        return len(self.network.centre)

    def as_predictor(self, data: "Data | None" = None) -> Predictor:
        encoder = copy.copy(self.network.encoder)
        return Predictor(network=encoder, inputs=self.inputs, gives=frozenset({"embed"}), lineage=self.lineage)

    def write(self, folder: Path) -> dict[str, Any]:
        write_weights(self.network, folder)
        return {"network": self.network.config(), "inputs": self.inputs.to_json(), "units": self.units.to_json()}

    @classmethod
    def read(cls, folder: Path, saved: Mapping[str, Any], gives: frozenset[str], lineage: Lineage) -> "Autoencoder":
        network = filled(lambda: AutoencoderNetwork.rebuild(saved["network"]), folder)
        return cls(network=network, **described(saved), gives=gives, lineage=lineage)


def numbers_of(spec: ImageSpec | TableSpec) -> int:
    """The number of values that a row like `spec` is put together of."""
    return int(np.prod(spec.shape))
