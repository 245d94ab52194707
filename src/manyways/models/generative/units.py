"""Units: what encoded values are in the data's own columns, so that drawn rows look like those that were read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.checked_json import described
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.storage import chunks_of
from manyways.errors import ModelError


@dataclass(frozen=True)
class Bounds:
    """Bounds of a column of numbers: the smallest and the largest of the training rows, and whether all are whole."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    whole: bool

    @staticmethod
    def of(column: Column, data: Data) -> "Bounds":
        """Those of `column` over the rows of `data`."""
        low, high = np.inf, -np.inf
        for positions in chunks_of(len(data), 1 << 16):
            values = np.asarray(column.take(data.rows[positions]), np.float64).reshape(len(positions), -1)
            low, high = np.minimum(low, values.min(0)), np.maximum(high, values.max(0))
        return Bounds(tuple(np.atleast_1d(low)), tuple(np.atleast_1d(high)), column.values.dtype.kind in "iu")

    def within(self, values: NDArray[Any]) -> NDArray[Any]:
        """`values` cut to what training saw, whole where that was."""
        flat = np.clip(values.reshape(len(values), -1), np.asarray(self.low), np.asarray(self.high))
        cut = flat.reshape(values.shape)
        return np.asarray(cut.round(), np.int64) if self.whole else np.asarray(cut)


@dataclass(frozen=True, eq=False)
class Units:
    """The bounds of each column of numbers, by its name."""

    bounds: Mapping[str, Bounds]

    @staticmethod
    def of(data: Data) -> "Units":
        """Those of the inputs of `data`, over its training rows."""
        training = data.training
        return Units({each.name: Bounds.of(each, training) for each in data.inputs if each.kind == "number"})

    def columns(self, encoding: InputEncoding, encoded: Mapping[str, NDArray[Any]]) -> list[Column]:
        """`encoded` rows by modality as columns in their own units."""
        units = []
        for name, encoder in encoding.encoders.items():
            for column, values in zip(encoder.columns, encoder.decode(encoded[name]), strict=True):
                if column in self.bounds:
                    units.append(Column(column, "number", self.bounds[column].within(values)))
                else:
                    units.append(Column(column, "image" if encoder.kind == "image" else "category", values))
        return units

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` needs."""
        return {
            name: {"low": list(each.low), "high": list(each.high), "whole": each.whole}
            for name, each in self.bounds.items()
        }

    @staticmethod
    def from_json(saved: Mapping[str, Any]) -> "Units":
        """The units that `to_json` wrote.

        Raises:
            ModelError: They are anything else.
        """
        units = described(saved, "`units` of the model", ModelError)
        each = {name: units.object(name) for name in units.members}
        return Units(
            {
                name: Bounds(tuple(held.all("low", float)), tuple(held.all("high", float)), held.get("whole", bool))
                for name, held in each.items()
            }
        )
