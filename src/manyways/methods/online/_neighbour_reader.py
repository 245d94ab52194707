"""Nearest neighbours that read a stream by a compiled pass."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.storage import RowNumbers
from manyways.methods.online._begin import Begun
from manyways.methods.online._neighbour_passes import NeighbourSettings, neighbour_class_pass, neighbour_number_pass
from manyways.methods.online._reader import Reader
from manyways.models.streams.head import StreamHead
from manyways.models.streams.neighbours import NeighboursHead, NeighboursState

ROOM = 2
"""There is room for so many times the rows that are remembered, so that they seldom have to be moved."""


class NeighbourReader(Reader[NeighboursState]):
    """The rows that are remembered, and those to come."""

    def __init__(
        self, begun: Begun, data: Data, positions: RowNumbers, labels: NDArray[Any], settings: NeighbourSettings
    ) -> None:
        self.settings = settings
        super().__init__(begun, data, positions, labels, settings.window)

    @property
    def operations(self) -> int:
        """Floating-point operations of a row, about: distances to all that are remembered."""
        return self.settings.remembered * (3 * self.width + 1)

    def state_of(self, head: StreamHead) -> NeighboursState:
        assert isinstance(head, NeighboursHead)
        arrays = {name: array.copy() for name, array in head.state._asdict().items()}
        rows = min(len(head.labels), self.settings.remembered)
        room = ROOM * self.settings.remembered
        memory, labels = np.zeros((len(arrays["mean"]), room)), np.zeros(room)
        memory[:, :rows] = arrays["memory"][:, len(head.labels) - rows :]
        labels[:rows] = arrays["labels"][len(head.labels) - rows :]
        return NeighboursState(**{**arrays, "memory": memory, "labels": labels, "span": np.array([0, rows])})

    def learn(self, rows: NDArray[np.float32], labels: NDArray[Any], positions: RowNumbers) -> int:
        run = neighbour_class_pass if self.begun.target.classification else neighbour_number_pass
        return self.through(run, rows, labels, self.state, self.settings)

    def compile(self) -> None:
        self.learn(np.empty((0, self.width), np.float32), self.labels[:0], self.positions[:0])

    def saved(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        begin, end = self.state.span.tolist()
        arrays = {name: array for name, array in self.state._asdict().items() if name != "span"}
        kept = {"memory": self.state.memory[:, begin:end], "labels": self.state.labels[begin:end]}
        return {"rows": end - begin}, {**arrays, **kept}
