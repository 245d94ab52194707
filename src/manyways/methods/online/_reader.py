"""Reading a stream: pieces of it are predicted and learned, and what came of them is kept."""

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.storage import RowNumbers
from manyways.errors import TrainingError
from manyways.methods.online._begin import Begun
from manyways.models.network import Network
from manyways.models.stream import StreamPredictor
from manyways.models.streams.head import StreamHead, Tallies, prequential_scores

StateT = TypeVar("StateT", bound=Tallies)


class Reader(ABC, Generic[StateT]):
    """The rows of a stream, its labels, and the state after those that were read.

    A subclass says how rows are learned. What it does to `state` must not depend on where the stream is cut.
    """

    state: StateT

    def __init__(self, begun: Begun, data: Data, positions: RowNumbers, labels: NDArray[Any], window: int) -> None:
        self.begun, self.data, self.positions, self.labels, self.window = begun, data, positions, labels, window
        self.restore(begun.head)
        self.compile()

    @abstractmethod
    def learn(self, rows: NDArray[np.float32], labels: NDArray[Any], positions: RowNumbers) -> int:
        """Learn `rows` [rows, width], which are at `positions`; gives their number, or less where outputs overflow."""

    @abstractmethod
    def state_of(self, head: StreamHead) -> StateT:
        """The state of `head`, in memory of its own."""

    def compile(self) -> None:
        """Have the passes compiled, or fetched from disk, before time is taken: no rows change nothing."""

    def saved(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The numbers of things by which the config of a head changes, and the arrays of the state."""
        return {}, self.state._asdict()  # type: ignore[attr-defined]

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return self.begun.inputs.network.width

    @property
    def operations(self) -> int:
        """Floating-point operations of a row, about."""
        return max(1, self.width)

    def scores(self) -> dict[str, float]:
        """Prequential scores: those of the predictions so far."""
        return prequential_scores(self.state, self.begun.target.classification)

    def restore(self, head: StreamHead) -> None:
        """Take up where `head` is."""
        self.state = self.state_of(head)
        self.drift_steps, self.windows = [head.drifts.numpy().copy()], [head.curve.numpy().copy()]

    def read(self, start: int, stop: int) -> None:
        """Learn the rows of the stream from `start` to before `stop`. Raises TrainingError where outputs overflow."""
        positions, labels = self.positions[start:stop], self.labels[start:stop]
        done = self.learn(self.begun.inputs.of(self.data, positions), labels, positions)
        if done < len(labels):
            row = self.data.rows[positions[done]]
            raise TrainingError(
                f"The prediction for row {row} of {self.data.name} is not finite, or too far from its label "
                f"{labels[done]!r} to be squared. Scale the label, or try a tenth of the learning rate."
            )

    def head(self) -> StreamHead:
        """A head with a copy of the state."""
        drifts, curve = np.concatenate(self.drift_steps), np.concatenate(self.windows)
        sizes, arrays = self.saved()
        before = self.begun.head
        head = type(before)(**{**before.config, **sizes, "drifts": len(drifts), "windows": len(curve)})
        state = head.state._asdict()  # type: ignore[attr-defined]
        for name, values in arrays.items():
            state[name][...] = values
        head.drifts.numpy()[:], head.curve.numpy()[:] = drifts, curve
        return head

    def model(self) -> StreamPredictor:
        """The model as the stream stands."""
        inputs = self.begun.inputs
        names = inputs.network.names
        network = Network(dict(zip(names, inputs.network.parts, strict=True)), self.head())
        model = StreamPredictor(
            network=network, inputs=inputs.encoding, target=self.begun.target, own_inputs=self.begun.own_inputs
        )
        return model.copy()

    def through(self, run: Any, rows: NDArray[np.float32], labels: NDArray[Any], *more: Any) -> int:
        """Send rows through a compiled pass, and keep what it found; gives how many it learned."""
        drifts = np.empty(len(rows), np.int64)
        curve = np.empty((len(rows) // self.window + 1, 2))
        learned, drift_count, windows = run(rows, labels, *more, drifts, curve)
        self.drift_steps.append(drifts[:drift_count])
        self.windows.append(curve[:windows])
        return int(learned)
