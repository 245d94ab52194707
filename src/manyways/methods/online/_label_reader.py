"""Predictions that look at labels alone: the last one, or the most frequent class and the mean so far."""

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.storage import RowNumbers
from manyways.methods.online._reader import Reader, StateT
from manyways.models.streams.head import StreamHead
from manyways.models.streams.labels import LabelHead, LabelState, MajorityState, RunningMajorityHead

TOGETHER = 1024
"""Rows whose classes are counted at a time."""


class OfLabels(Reader[StateT]):
    """Labels one after the other, all of a piece at once."""

    @abstractmethod
    def guesses(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the prediction before each of `values`, codes of classes or numbers, which are learned."""

    def read(self, start: int, stop: int) -> None:
        self.learn(np.empty((stop - start, 0), np.float32), self.labels[start:stop], self.positions[start:stop])

    def learn(self, rows: NDArray[np.float32], labels: NDArray[Any], positions: RowNumbers) -> int:
        values = labels.astype(np.float64)
        guesses = self.guesses(values)
        if self.begun.target.classification:
            errors = (guesses != values).astype(np.float64)
        else:
            errors = np.abs(guesses - values)
            self._take_numbers(values)
        self._tally(errors)
        return len(labels)

    def _take_numbers(self, values: NDArray[np.float64]) -> None:
        """Bring mean and squared distances of the labels up to `values`, one by one (Welford 1962)."""
        number, count = self.state.numbers[0], int(self.state.counts["rows"][0])
        mean, squares = float(number["label_mean"]), float(number["label_squares"])
        for value in values.tolist():
            count += 1
            apart = value - mean
            mean += apart / count
            squares += apart * (value - mean)
        number["label_mean"], number["label_squares"] = mean, squares

    def _tally(self, errors: NDArray[np.float64]) -> None:
        """Count `errors`; windows of the curve that are full by them are put behind the others."""
        count, number = self.state.counts[0], self.state.numbers[0]
        count["rows"] += len(errors)
        number["error"] = _added(number["error"], errors)
        number["squared_error"] = _added(number["squared_error"], errors * errors)
        full, done = [], 0
        while done < len(errors):
            part = errors[done : done + self.window - int(count["window_rows"])]
            done += len(part)
            count["window_rows"] += len(part)
            number["window_error"] = _added(number["window_error"], part)
            if count["window_rows"] >= self.window:
                full.append([float(count["window_rows"]), float(number["window_error"])])
                count["window_rows"], number["window_error"] = 0, 0.0
        self.windows.append(np.array(full, np.float64).reshape(-1, 2))


class LabelReader(OfLabels[LabelState]):
    """The label of the row before."""

    def state_of(self, head: StreamHead) -> LabelState:
        assert isinstance(head, LabelHead)
        return LabelState(**{name: array.copy() for name, array in head.state._asdict().items()})

    def guesses(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        before = np.concatenate([self.state.last, values[:-1]])
        self.state.last[:] = values[-1]
        return before


class MajorityReader(OfLabels[MajorityState]):
    """The class that most rows before had, the first of equals; or the mean of their numbers."""

    def state_of(self, head: StreamHead) -> MajorityState:
        assert isinstance(head, RunningMajorityHead)
        return MajorityState(**{name: array.copy() for name, array in head.state._asdict().items()})

    def guesses(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        weights, first = self.state.weights, int(self.state.counts["rows"][0])
        if not self.begun.target.classification:
            sums = np.cumsum(np.concatenate([weights, values]))
            weights[:] = sums[-1]
            return np.asarray(sums[:-1] / np.maximum(np.arange(first, first + len(values)), 1))
        before = np.empty(len(values))
        for start in range(0, len(values), TOGETHER):
            codes = values[start : start + TOGETHER].astype(np.int64)
            ones = np.zeros((len(codes), len(weights)))
            ones[np.arange(len(codes)), codes] = 1.0
            after = weights + np.cumsum(ones, axis=0)
            before[start : start + len(codes)] = (after - ones).argmax(1)
            weights[:] = after[-1]
        if first == 0:
            before[0] = -1.0
        return before


def _added(total: float, values: NDArray[np.float64]) -> float:
    """`total` and the `values` added one after the other: the sum does not depend on where a stream is cut."""
    return float(np.cumsum(np.concatenate([[total], values]))[-1])
