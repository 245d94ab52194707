"""StreamPredictor: a model of a stream, all that the next row needs, and how well rows were predicted."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.checked_json import DAMAGED, brief, described
from manyways.errors import ModelError
from manyways.models.lineage import Lineage
from manyways.models.predictor import Predictor
from manyways.models.streams.head import StreamHead, prequential_scores


@dataclass(frozen=True, eq=False, kw_only=True)
class StreamPredictor(Predictor):
    """A model of a stream as far as it was read; `method.fit(more, model)` goes on with the next row.

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
        if not isinstance(model.network.head, StreamHead):
            raise ModelError(f"The model in {folder} is of a stream, and its head is none; {DAMAGED}.")
        model.head.check()
        description = described(saved["stream"], "`stream` of the model", ModelError)
        last = description.members.get("last_time")
        if not isinstance(last, int | float | None):
            raise ModelError(f"The model in {folder} states {brief(last)} for the time of its last row; {DAMAGED}.")
        return replace(
            model, time=description.get("time", str, None), last_time=last, dates=description.get("dates", bool),
            own_inputs=description.get("own_inputs", bool),
        )  # fmt: skip
