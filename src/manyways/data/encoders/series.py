"""Stretches of series as they are: what scales them is the network, by each stretch itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import Column
from manyways.data.encoders.base import CheckpointTokenizer, Encoder
from manyways.data.specs import Spec
from manyways.data.storage import RowNumbers
from manyways.data.window_reading import WindowReading
from manyways.errors import DataError


@dataclass(frozen=True)
class SeriesSpec(Spec):
    """Stretches of series that run side by side as float64 [channels, steps]; the one that is forecast comes first."""

    kind: ClassVar[str] = "series"
    channels: int
    steps: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.channels, self.steps)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float64)

    @property
    def backbone(self) -> str:
        return "patch-transformer"


@dataclass(frozen=True)
class SeriesEncoder(Encoder):
    """The stretches in a column in their own units, and how they were made of a table."""

    kind: ClassVar[str] = "series"
    column: str
    reading: WindowReading

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def spec(self) -> SeriesSpec:
        return SeriesSpec(len(self.reading.channels), self.reading.history)

    @classmethod
    def fit(
        cls, columns: list[Column], rows: RowNumbers, known: CheckpointTokenizer | None = None, *, plain: bool = False
    ) -> "SeriesEncoder":
        (column,) = columns
        if column.windows is None:
            raise DataError(
                f"The column {column.name!r} has the kind 'series', which read makes of a table in time: horizon=24, "
                'time="…".'
            )
        return SeriesEncoder(column.name, column.windows)

    def encode(self, columns: list[Column], rows: RowNumbers) -> NDArray[np.float64]:
        self._check(columns[0])
        return np.asarray(columns[0].take(rows), np.float64)

    def already_encoded(self, columns: list[Column]) -> bool:
        self._check(columns[0])
        return columns[0].values.dtype == np.float64

    def _check(self, column: Column) -> None:
        if column.values.shape[1:] != self.spec.shape:
            channels, steps = (*column.values.shape[1:], 0, 0)[:2]
            raise DataError(
                f"The column {column.name!r} holds {steps} steps of {channels} series; the model learned from "
                f"{self.spec.steps} of {self.spec.channels}: read with history={self.spec.steps}, and the same columns "
                f"({', '.join(self.reading.channels)})."
            )

    def to_json(self) -> dict[str, Any]:
        return {"column": self.column, "reading": self.reading.to_json()}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "SeriesEncoder":
        return cls(saved["column"], WindowReading.from_json(saved["reading"]))
