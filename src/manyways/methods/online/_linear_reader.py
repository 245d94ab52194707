"""A linear model that reads a stream by compiled passes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.storage import RowNumbers
from manyways.methods.online._begin import Begun
from manyways.methods.online._passes import Settings, linear_pass, logistic_pass, multinomial_pass
from manyways.methods.online._reader import Reader
from manyways.models.streams.head import StreamHead
from manyways.models.streams.linear import LinearStreamHead, State


class LinearReader(Reader[State]):
    """Logistic regression until a third class comes up, and multinomial after; or linear regression."""

    def __init__(
        self,
        begun: Begun,
        data: Data,
        positions: RowNumbers,
        labels: NDArray[Any],
        settings: Settings,
        multinomial: bool,
    ) -> None:
        self.settings, self.multinomial = settings, multinomial
        super().__init__(begun, data, positions, labels, settings.window)

    @property
    def operations(self) -> int:
        """Floating-point operations of a row, about: it is standardised and predicted twice, and learned."""
        return self.width * (13 + 8 * len(self.state.bias))

    def state_of(self, head: StreamHead) -> State:
        assert isinstance(head, LinearStreamHead)
        return copied(head.state)

    def learn(self, rows: NDArray[np.float32], labels: NDArray[Any], positions: RowNumbers) -> int:
        if not self.begun.target.classification:
            return self._pass(linear_pass, rows, labels)
        third = 0 if self.multinomial else third_class(labels, self.state)
        done = self._pass(logistic_pass, rows[:third], labels[:third]) if third else 0
        if done == third < len(rows):
            done += self._pass(multinomial_pass, rows[third:], labels[third:])
        return done

    def compile(self) -> None:
        kept, nothing = self.state, np.empty((0, self.width), np.float32)
        self.state = copied(kept)
        for run in (multinomial_pass, logistic_pass) if self.begun.target.classification else (linear_pass,):
            self._pass(run, nothing, self.labels[:0])
        self.state = kept

    def _pass(self, run: Any, rows: NDArray[np.float32], labels: NDArray[Any]) -> int:
        return self.through(run, rows, labels, self.state, self.settings)


def copied(state: State) -> State:
    """The same in memory of its own."""
    arrays: list[Any] = [array.copy() for array in state]
    return State(*arrays)


def third_class(labels: NDArray[np.int64], state: State) -> int:
    """Before which of `labels` a third class has come up, in `state` or among them; their number where none does."""
    if len(state.seen) < 3:
        return len(labels)
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
