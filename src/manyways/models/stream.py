"""StreamPredictor: a linear model of a stream, all that the next row needs, and how well rows were predicted."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.checked_json import DAMAGED, brief, described
from manyways.errors import ModelError
from manyways.models.heads import Head
from manyways.models.lineage import Lineage
from manyways.models.predictor import Predictor

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


class State(NamedTuple):
    """State of a learner between two rows, as arrays that compiled code reads and writes.

    mean, variance: float64 [width], running. weight, bias: float64 [outputs, width] and [outputs]. seen: uint8
    [outputs], whether a row had the class. counts, numbers: a record of COUNTS and one of NUMBERS, each [1]. levels,
    totals, spreads: ADWIN's buckets, how many there are of 2^level rows, their sums and squared distances.
    """

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    seen: NDArray[np.uint8]
    counts: NDArray[Any]
    numbers: NDArray[Any]
    levels: NDArray[np.int64]
    totals: NDArray[np.float64]
    spreads: NDArray[np.float64]


class StreamHead(Head):
    """One affine map of features that are standardised as they were on the way, and the state of its learner.

    Besides the state of `State` it holds `drifts` int64 [drifts], the rows after which one was found, and `curve`
    float64 [windows, 2], rows and summed errors. `standardise` False takes features as they are; `detector` is the
    drift detector's name, of which only "adwin" has buckets.
    """

    name = "stream"
    mean: Tensor
    variance: Tensor
    weight: Tensor
    bias: Tensor
    seen: Tensor
    counts: Tensor
    numbers: Tensor
    levels: Tensor
    totals: Tensor
    spreads: Tensor
    drifts: Tensor
    curve: Tensor

    def __init__(
        self,
        width: int,
        outputs: int,
        classes: bool,
        standardise: bool = True,
        detector: str = "none",
        drifts: int = 0,
        windows: int = 0,
    ) -> None:
        super().__init__()
        self.config = {
            "width": width, "outputs": outputs, "classes": classes, "standardise": standardise, "detector": detector,
            "drifts": drifts, "windows": windows,
        }  # fmt: skip
        self.classes, self.standardise, self.detector = classes, standardise, detector
        levels = LEVELS if detector == "adwin" else 0
        double = torch.float64
        self.register_buffer("mean", torch.zeros(width, dtype=double))
        self.register_buffer("variance", torch.zeros(width, dtype=double))
        self.register_buffer("weight", torch.zeros(outputs, width, dtype=double))
        self.register_buffer("bias", torch.zeros(outputs, dtype=double))
        self.register_buffer("seen", torch.zeros(outputs, dtype=torch.uint8))
        self.register_buffer("counts", torch.zeros(len(COUNTS.names or ()), dtype=torch.int64))
        self.register_buffer("numbers", torch.zeros(len(NUMBERS.names or ()), dtype=double))
        self.register_buffer("levels", torch.zeros(levels, dtype=torch.int64))
        self.register_buffer("totals", torch.zeros(levels, PER_LEVEL + 1, dtype=double))
        self.register_buffer("spreads", torch.zeros(levels, PER_LEVEL + 1, dtype=double))
        self.register_buffer("drifts", torch.zeros(drifts, dtype=torch.int64))
        self.register_buffer("curve", torch.zeros(windows, 2, dtype=double))
        state = self.state
        state.counts["first"] = state.counts["second"] = -1
        state.numbers["gain"] = 1.0

    @property
    def state(self) -> State:
        """The state as arrays that share the buffers' memory."""
        return State(
            counts=self.counts.numpy().view(COUNTS),
            numbers=self.numbers.numpy().view(NUMBERS),
            **{name: getattr(self, name).numpy() for name in State._fields if name not in ("counts", "numbers")},
        )

    def forward(self, features: Tensor) -> Tensor:
        values = features.double()
        if self.standardise:
            varied = self.variance > 0
            values = (values - self.mean) * torch.where(varied, self.variance, 1.0).rsqrt() * varied
        outputs = values @ self.weight.T + self.bias
        if self.classes and not bool(self.seen.all()):
            seen = self.seen.bool()
            lowest = outputs.masked_fill(~seen, torch.inf).amin(1, keepdim=True)
            outputs = torch.where(seen, outputs, lowest - UNSEEN)
        return outputs.float()


def prequential_scores(state: State, classes: bool) -> dict[str, float]:
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


@dataclass(frozen=True, eq=False, kw_only=True)
class StreamPredictor(Predictor):
    """A model of a stream as far as it was read; `OnlineSGD.fit(more, model)` goes on with the next row.

    Attributes:
        last_time: The time of the last row in the column `time`, microseconds of a date; None where rows had no time.
        own_inputs: True if the inputs are the columns themselves, and not the features of another model.
    """

    kind: ClassVar[str] = "stream"
    time: str | None = None
    last_time: int | float | None = None
    dates: bool = False
    own_inputs: bool = True

    @property
    def head(self) -> StreamHead:
        """The head, which holds the state."""
        head = self.network.head
        assert isinstance(head, StreamHead)
        return head

    @property
    def rows(self) -> int:
        """Number of rows of the stream that were learned."""
        return int(self.head.state.counts["rows"][0])

    @property
    def prequential(self) -> dict[str, float]:
        """Prequential scores: each row is predicted, then learned (test, then train; Gama et al. 2013).

        `accuracy`, or for numbers `mean_absolute_error`, `root_mean_squared_error` and `r2`, by all rows so far.
        """
        return prequential_scores(self.head.state, self.head.classes)

    @property
    def prequential_curve(self) -> NDArray[np.float64]:
        """The same by windows, float64 [windows, 2]: rows up to its end; accuracy, or mean absolute error, in it.

        The last window may hold fewer rows.
        """
        counts, numbers = self.head.state.counts[0], self.head.state.numbers[0]
        windows = self.head.curve.numpy()
        if counts["window_rows"]:
            windows = np.vstack([windows, [counts["window_rows"], numbers["window_error"]]])
        ends, errors = np.cumsum(windows[:, 0]), windows[:, 1] / windows[:, 0]
        return np.stack([ends, 1 - errors if self.head.classes else errors], axis=1)

    @property
    def drifts(self) -> NDArray[np.int64]:
        """The rows at which a drift was found, int64 [drifts]; rows count from 0 where the stream began."""
        return self.head.drifts.numpy().copy()

    def copy(self) -> "StreamPredictor":
        """The same model in memory of its own."""
        return replace(self, network=self.copy_of_network())

    def write(self, folder: Path) -> dict[str, Any]:
        facts = {"time": self.time, "last_time": self.last_time, "dates": self.dates, "own_inputs": self.own_inputs}
        return {**super().write(folder), "stream": facts}

    @classmethod
    def read(cls, folder: Path, saved: Mapping[str, Any], gives: frozenset[str], lineage: Lineage) -> "StreamPredictor":
        model = super().read(folder, saved, gives, lineage)
        assert isinstance(model, StreamPredictor)
        if model.network.head is None or model.network.head.name != StreamHead.name:
            raise ModelError(f"The model in {folder} is of a stream, and its head is none; {DAMAGED}.")
        description = described(saved["stream"], "`stream` of the model", ModelError)
        last = description.members.get("last_time")
        if not isinstance(last, int | float | None):
            raise ModelError(f"The model in {folder} states {brief(last)} for the time of its last row; {DAMAGED}.")
        return replace(
            model, time=description.get("time", str, None), last_time=last, dates=description.get("dates", bool),
            own_inputs=description.get("own_inputs", bool),
        )  # fmt: skip
