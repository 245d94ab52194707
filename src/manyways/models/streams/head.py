"""StreamHead: the state of a learner of a stream between two rows, as arrays that compiled code reads and writes."""

from abc import abstractmethod
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.checked_json import DAMAGED
from manyways.errors import ModelError
from manyways.models.heads import Head

LEVELS = 48
"""Sizes of ADWIN's buckets: 2⁰ … 2⁴⁷ rows."""
PER_LEVEL = 5
"""ADWIN's M: of more buckets of one size the two oldest become one. There is room for one more."""
UNSEEN = 50.0
"""The logit of a class that no row has had yet lies so far below those of the others."""

COUNTS = np.dtype(
    [
        ("rows", np.int64),  # learned since the stream began
        ("standardised", np.int64),  # in the running mean and variance
        ("first", np.int64),  # the class that was seen first, -1 before
        ("second", np.int64),  # the next other class, -1 before
        ("window_rows", np.int64),  # in the window of the curve that is not full yet
    ]
)
NUMBERS = np.dtype(
    [
        ("error", np.float64),  # sum of the errors: 1 where a class was wrong, the distance of a number
        ("squared_error", np.float64),
        ("label_mean", np.float64),
        ("label_squares", np.float64),  # sum of squared distances of the labels to their mean
        ("window_error", np.float64),
        ("gain", np.float64),  # multiple of the learning rate
        ("ticks", np.float64),  # errors that the detector was told
        ("width", np.float64),  # rows in its window
        ("total", np.float64),  # sum of the errors in it
        ("spread", np.float64),  # sum of their squared distances to their mean
        ("lowest", np.float64),  # Page-Hinkley's lowest sum
    ]
)
OF_DETECTOR = ("ticks", "width", "total", "spread", "lowest")


class Tallies(Protocol):
    """The part of the state that all learners of streams have: how well rows were predicted, and a drift detector.

    counts, numbers: a record of COUNTS and one of NUMBERS, each [1]. levels, totals, spreads: ADWIN's buckets, how many
    there are of 2^level rows, their sums and squared distances; of length 0 without ADWIN.
    """

    @property
    def counts(self) -> NDArray[Any]: ...
    @property
    def numbers(self) -> NDArray[Any]: ...
    @property
    def levels(self) -> NDArray[np.int64]: ...
    @property
    def totals(self) -> NDArray[np.float64]: ...
    @property
    def spreads(self) -> NDArray[np.float64]: ...


class StreamHead(Head):
    """The state of a learner of a stream, and the predictions that follow from it.

    A subclass adds its own buffers, and gives them as arrays that share their memory by `state`. All hold `drifts`
    int64 [drifts], the rows after which a drift was found, and `curve` float64 [windows, 2], rows and summed errors.
    `detector` is the drift detector's name, of which only "adwin" has buckets.
    """

    method: ClassVar[str]
    """The name of the method that goes on from it."""
    classes: bool
    detector: str
    counts: Tensor
    numbers: Tensor
    levels: Tensor
    totals: Tensor
    spreads: Tensor
    drifts: Tensor
    curve: Tensor

    def __init__(self, config: dict[str, Any], classes: bool, detector: str, drifts: int, windows: int) -> None:
        super().__init__()
        self.config = {**config, "classes": classes, "detector": detector, "drifts": drifts, "windows": windows}
        self.classes, self.detector = classes, detector
        levels = LEVELS if detector == "adwin" else 0
        double = torch.float64
        self.register_buffer("counts", torch.zeros(len(COUNTS.names or ()), dtype=torch.int64))
        self.register_buffer("numbers", torch.zeros(len(NUMBERS.names or ()), dtype=double))
        self.register_buffer("levels", torch.zeros(levels, dtype=torch.int64))
        self.register_buffer("totals", torch.zeros(levels, PER_LEVEL + 1, dtype=double))
        self.register_buffer("spreads", torch.zeros(levels, PER_LEVEL + 1, dtype=double))
        self.register_buffer("drifts", torch.zeros(drifts, dtype=torch.int64))
        self.register_buffer("curve", torch.zeros(windows, 2, dtype=double))
        self.counts[2:4] = -1
        self.numbers[5] = 1.0

    @property
    @abstractmethod
    def state(self) -> Tallies:
        """The state, a NamedTuple of arrays that share the buffers' memory."""

    @property
    def tallies(self) -> dict[str, NDArray[Any]]:
        """The arrays that all learners have, by their names in `state`."""
        return {
            "counts": self.counts.numpy().view(COUNTS),
            "numbers": self.numbers.numpy().view(NUMBERS),
            **{name: getattr(self, name).numpy() for name in ("levels", "totals", "spreads")},
        }

    @property
    def facts(self) -> dict[str, Any]:
        """Facts of the stream so far besides the scores."""
        return {} if self.detector == "none" else {"drifts": len(self.drifts)}

    def check(self) -> None:
        """Check the numbers that compiled code takes as places in arrays.

        Raises:
            ModelError: One is no such place: the file is damaged.
        """
        levels, counts = self.levels.numpy(), self.counts.numpy()
        require(bool(((levels >= 0) & (levels <= PER_LEVEL + 1)).all()), "buckets of the drift detector")
        require(bool(counts[0] >= 0) and bool(counts[4] >= 0), "numbers of rows")

    def take_over(self, before: "StreamHead") -> None:
        """Take the scores, the drifts and, if it is the same, the detector of the head `before`."""
        old, new = before.tallies, self.tallies
        new["counts"][:], new["numbers"][:] = old["counts"], old["numbers"]
        self.drifts.copy_(before.drifts)
        self.curve.copy_(before.curve)
        if self.detector == before.detector:
            for name in ("levels", "totals", "spreads"):
                new[name][...] = old[name]
        else:
            for name in OF_DETECTOR:
                new["numbers"][name] = 0.0


def require(sound: bool, what: str) -> None:
    """Raise ModelError where the state of a stream in a file is not sound; `what` is wrong in it."""
    if not sound:
        raise ModelError(f"The state of the stream holds impossible {what}; {DAMAGED}.")


def logits_of_seen(outputs: Tensor, seen: Tensor) -> Tensor:
    """`outputs` with those of classes that no row has had yet far below those of the others."""
    if bool(seen.all()):
        return outputs
    known = seen.bool()
    lowest = outputs.masked_fill(~known, torch.inf).amin(1, keepdim=True)
    return torch.where(known, outputs, torch.where(lowest.isfinite(), lowest, 0.0) - UNSEEN)


def prequential_scores(state: Tallies, classes: bool) -> dict[str, float]:
    """Scores of the predictions of rows before they were learned; empty before there were any."""
    count, numbers = int(state.counts["rows"][0]), state.numbers[0]
    if not count:
        return {}
    error, squared = float(numbers["error"]), float(numbers["squared_error"])
    if classes:
        return {"accuracy": 1 - error / count}
    spread = float(numbers["label_squares"])
    return {
        "mean_absolute_error": error / count,
        "root_mean_squared_error": (squared / count) ** 0.5,
        "r2": 1 - squared / spread if spread > 0 else float("nan"),
    }
