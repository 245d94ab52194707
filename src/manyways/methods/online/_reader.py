"""Reading a stream: pieces of it go through a compiled pass, and what came of them is kept."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.storage import RowNumbers
from manyways.errors import TrainingError
from manyways.methods.online._begin import Begun
from manyways.methods.online._passes import (
    Learned,
    Settings,
    linear_pass,
    logistic_pass,
    multinomial_pass,
)
from manyways.models.network import Network
from manyways.models.stream import State, StreamHead, StreamPredictor, prequential_scores


@dataclass(eq=False)
class Reader:
    """The rows of a stream, its labels, and the state after those that were read."""

    begun: Begun
    data: Data
    positions: RowNumbers
    labels: NDArray[Any]
    settings: Settings
    multinomial: bool
    state: State = field(init=False)
    drift_steps: list[NDArray[np.int64]] = field(init=False)
    windows: list[NDArray[np.float64]] = field(init=False)

    def __post_init__(self) -> None:
        self.restore(self.begun.head)
        self._compile()

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return len(self.state.mean)

    @property
    def operations(self) -> int:
        """Floating-point operations of a row, about: it is standardised and predicted twice, and learned."""
        return self.width * (13 + 8 * len(self.state.bias))

    def scores(self) -> dict[str, float]:
        """Prequential scores: those of the predictions so far."""
        return prequential_scores(self.state, self.begun.target.classification)

    def restore(self, head: StreamHead) -> None:
        """Take up where `head` is."""
        self.state = copied(head.state)
        self.drift_steps, self.windows = [head.drifts.numpy().copy()], [head.curve.numpy().copy()]

    def read(self, start: int, stop: int) -> None:
        """Learn the rows of the stream from `start` to before `stop`. Raises TrainingError where outputs overflow."""
        rows, labels = self.begun.inputs.of(self.data, self.positions[start:stop]), self.labels[start:stop]
        if not self.begun.target.classification:
            done = self._through(linear_pass, rows, labels)
        else:
            third = 0 if self.multinomial else third_class(labels, self.state)
            done = self._through(logistic_pass, rows[:third], labels[:third]) if third else 0
            if done == third < len(rows):
                done += self._through(multinomial_pass, rows[third:], labels[third:])
        if done < len(rows):
            row = self.data.rows[self.positions[start + done]]
            raise TrainingError(
                f"The prediction for row {row} of {self.data.name} is not finite, or too far from its label "
                f"{self.labels[start + done]!r} to be squared. Scale the label, or try a tenth of the learning rate."
            )

    def head(self) -> StreamHead:
        """A head with a copy of the state."""
        drifts, curve = np.concatenate(self.drift_steps), np.concatenate(self.windows)
        head = StreamHead(**{**self.begun.head.config, "drifts": len(drifts), "windows": len(curve)})
        for name, values in self.state._asdict().items():
            getattr(head.state, name)[...] = values
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

    def _compile(self) -> None:
        """Have the passes compiled, or fetched from disk, before time is taken: no rows change nothing."""
        kept, nothing = self.state, np.empty((0, self.width), np.float32)
        self.state = copied(kept)
        for run in (multinomial_pass, logistic_pass) if self.begun.target.classification else (linear_pass,):
            self._through(run, nothing, self.labels[:0])
        self.state = kept

    def _through(self, run: Any, rows: NDArray[np.float32], labels: NDArray[Any]) -> int:
        drifts = np.empty(len(rows), np.int64)
        curve = np.empty((len(rows) // self.settings.window + 1, 2))
        learned: Learned = run(rows, labels, self.state, self.settings, drifts, curve)
        self.drift_steps.append(drifts[: learned[1]])
        self.windows.append(curve[: learned[2]])
        return learned[0]


def copied(state: State) -> State:
    """The same in memory of its own."""
    arrays: list[Any] = [array.copy() for array in state]
    return State(*arrays)


def third_class(labels: NDArray[np.int64], state: State) -> int:
    """Before which of `labels` a third class has come up, in `state` or among them; their number where none does."""
    if state.seen.sum() > 2:
        return 0
    first, second = int(state.counts["first"][0]), int(state.counts["second"][0])
    if first < 0 and len(labels):
        first = int(labels[0])
    others = labels != first
    if second < 0 and others.any():
        second = int(labels[others.argmax()])
    more = others & (labels != second)
    return int(more.argmax()) if more.any() else len(labels)
