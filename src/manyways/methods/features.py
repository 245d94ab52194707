"""Frozen features: those of a model, or the raw inputs where there is none."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.specs import Spec, TextSpec
from manyways.data.storage import chunks_of
from manyways.models.backbones.raw import fit_raw_backbone, plain_backbone
from manyways.models.model import Model
from manyways.models.network import Network
from manyways.models.predictor import Predictor

TOGETHER = 127
"""Rows that go through the network at a time where what it says of them must not depend on their number."""


@dataclass(frozen=True, eq=False)
class Features:
    """A network without a head, how its inputs are encoded, and whether unlabelled rows shaped it here."""

    network: Network
    encoding: InputEncoding
    uses_all_rows: bool

    def of(self, data: Data) -> NDArray[np.float32]:
        """The features of the rows of `data`, float32 [rows, width]."""
        return Predictor(network=self.network, inputs=self.encoding).embed(data)

    def alone(self, data: Data) -> NDArray[np.float32]:
        """As `of`, but bitwise a function of each row alone, whichever rows are there with it.

        Which kernels a network picks depends on the size of the batch, and how far texts are read on the longest among
        them: so all batches are of one size, and each ends with a text of full length.
        """
        rows = self.encoding.encode(data)
        features = np.empty((len(rows), self.network.width), np.float32)
        with torch.inference_mode():
            for at in chunks_of(len(rows), TOGETHER):
                batch = rows.batch(np.resize(at, TOGETHER))
                full = {name: _with_longest(part, self.encoding.specs[name]) for name, part in batch.items()}
                features[at] = self.network.features(full)[: len(at)]
        return features


def _with_longest(rows: Tensor, spec: Spec) -> Tensor:
    other_than_padding = 0 if isinstance(spec, TextSpec) and spec.padding == 1 else 1
    return torch.cat([rows, torch.full_like(rows[:1], other_than_padding)])


def plain_features(data: Data, model: Model | None, *, counts: bool = False) -> Features:
    """The features of `model`, copied and without its head; without one the raw inputs, of which nothing is learned.

    Numbers are as they are, and words are hashed; `counts` counts them.
    """
    if model is not None:
        return start_features(data, model, seed=0)
    encoding = InputEncoding.fit(data, plain=True)
    backbones = {name: plain_backbone(spec, counts=counts) for name, spec in encoding.specs.items()}
    return Features(Network(backbones).eval(), encoding, uses_all_rows=False)


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
