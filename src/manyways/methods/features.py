"""Frozen features: those of a model, or the raw inputs where there is none."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.models.backbones.raw import fit_raw_backbone
from manyways.models.model import Model
from manyways.models.network import Network
from manyways.models.predictor import Predictor


@dataclass(frozen=True, eq=False)
class Features:
    """A network without a head, how its inputs are encoded, and whether unlabelled rows shaped it here."""

    network: Network
    encoding: InputEncoding
    uses_all_rows: bool

    def of(self, data: Data) -> NDArray[np.float32]:
        """The features of the rows of `data`, float32 [rows, width]."""
        return Predictor(network=self.network, inputs=self.encoding).embed(data)


def start_features(data: Data, model: Model | None, seed: int) -> Features:
    """The features of `model`, copied and without its head; without a model the raw inputs.

    Raw text is its latent semantics, which are learned from all training rows.
    """
    if model is not None:
        start = model.as_predictor(data)
        network = start.copy_of_network()
        network.head = None
        return Features(network.eval(), start.inputs, uses_all_rows=False)
    encoding = InputEncoding.fit(data)
    rows = encoding.encode(data.training)
    backbones = {
        name: fit_raw_backbone(spec, rows.stores[name], rows.rows, seed) for name, spec in encoding.specs.items()
    }
    learned = any(spec.kind == "text" for spec in encoding.specs.values())
    return Features(Network(backbones).eval(), encoding, uses_all_rows=learned)
