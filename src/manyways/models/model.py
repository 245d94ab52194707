"""Model: a network with what it knows of its inputs and outputs, and its lineage."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from manyways.data.encoding import Encoded, InputEncoding
from manyways.data.storage import chunks_of, row_bytes
from manyways.data.targets import Target
from manyways.errors import ModelError
from manyways.models.lineage import Lineage
from manyways.models.metrics import class_metrics, number_metrics
from manyways.models.network import Inputs, Network

if TYPE_CHECKING:
    from manyways.data.read import Source

ROWS_AT_ONCE = 512
BYTES_AT_ONCE = 2 << 20
"""Rows go through the network in batches of so many at most, and of so many bytes: activations are far larger."""


@dataclass(frozen=True, eq=False)
class Model:
    """A fitted network and all that is needed to use it on rows it has not seen.

    `gives` says what it can do: classify, regress, embed or cluster.
    """

    network: Network = field(repr=False)
    inputs: InputEncoding = field(repr=False)
    target: Target | None
    gives: frozenset[str]
    lineage: Lineage

    @property
    def parameters(self) -> int:
        """How many numbers the network holds: weights and fitted buffers."""
        return sum(tensor.numel() for tensor in self.network.state_dict().values())

    def predict(self, source: "Source") -> NDArray[Any]:
        """The label of each row: a class, a number, or the number of a cluster. Raises ModelError if it only embeds."""
        target, outputs = self._predicting(), self.outputs(source)
        return target.decode(outputs.argmax(axis=1) if target.classification else outputs[:, 0])

    def probabilities(self, source: "Source") -> NDArray[np.float32]:
        """The probability of each class, float32 [rows, classes] in the order of `target.classes`."""
        target, outputs = self._predicting(), self.outputs(source)
        if not target.classification:
            raise ModelError(f"The model predicts the number {target.name!r}, which has no probabilities; use predict.")
        return np.asarray(torch.from_numpy(outputs).softmax(1).numpy())

    def embed(self, source: "Source") -> NDArray[np.float32]:
        """The features of each row, float32 [rows, width]."""
        return self._run(source, self.network.features)

    def outputs(self, source: "Source") -> NDArray[np.float32]:
        """The head's raw outputs, float32 [rows, outputs]: logits of classes, or the standardised number."""
        self._predicting()
        return self._run(source, self.network)

    def evaluate(self, source: "Source") -> dict[str, float]:
        """Scores on the rows whose label is known, hidden or not, by name (`manyways.models.metrics`)."""
        from manyways.data.read import as_data

        data = as_data(source)
        known = data.select(data.known)
        target, outputs = self._predicting(), self.outputs(known)
        truth = target.encode(known, hidden=True)
        if target.classification:
            return class_metrics(torch.from_numpy(outputs).softmax(1).numpy(), truth)
        return number_metrics(target.decode(outputs[:, 0]), target.decode(truth))

    def save(self, folder: str | Path) -> Path:
        """Write the model as a folder of safetensors and JSON, all or nothing. Raises ModelError if it cannot be."""
        from manyways.models.saving import save_model

        return save_model(self, Path(folder))

    def copy_of_network(self) -> Network:
        """A network of one's own to train: a model itself never changes."""
        return copy.deepcopy(self.network)

    def _predicting(self) -> Target:
        if self.target is None or self.network.head is None:
            raise ModelError(
                f"{self.lineage.title} gives {', '.join(sorted(self.gives))}, no predictions; chain a method that "
                f"learns from labels: {self.lineage.title} >> fine_tune."
            )
        return self.target

    def _run(self, source: "Source", function: Any) -> NDArray[np.float32]:
        from manyways.data.read import as_data

        rows = self.inputs.encode(as_data(source))
        with torch.inference_mode():
            parts = [function(batch).float().cpu().numpy() for batch in _batches(rows, self.network)]
        if not parts:
            width = self.network.width if function == self.network.features else self.target.width if self.target else 0
            return np.empty((0, width), np.float32)
        return np.concatenate(parts)


def _batches(rows: Encoded, network: Network) -> Iterator[Inputs]:
    device = next(iter(network.state_dict().values()), torch.empty(0)).device
    each = sum(row_bytes(store) for store in rows.stores.values())
    for positions in chunks_of(len(rows), max(1, min(ROWS_AT_ONCE, BYTES_AT_ONCE // max(1, each)))):
        yield rows.batch(positions, device)
