"""Number and category columns side by side in one float vector."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import Column
from manyways.data.encoders.base import CheckpointTokenizer, Encoder
from manyways.data.encoders.categories import CategoryCode, category_codes, said_of_sharing
from manyways.data.notation import as_numbers
from manyways.data.specs import TableSpec
from manyways.data.storage import RowNumbers, chunks_of, row_bytes
from manyways.errors import DataError

FURTHEST = 8.0
"""Standardised numbers are cut at so many standard deviations: one wild cell must not blow up a network."""


@dataclass(frozen=True)
class NumberCode:
    """Standardisation of a column of numbers, by the training rows' mean and standard deviation.

    What lies further than `furthest` deviations is cut there; None cuts nothing.
    """

    column: str
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    furthest: float | None = FURTHEST

    @property
    def width(self) -> int:
        return len(self.mean)

    def encode(self, values: NDArray[Any]) -> NDArray[np.float32]:
        numbers = self.numbers(values)
        if not np.isfinite(numbers).all():
            bad = np.flatnonzero(~np.isfinite(numbers).all(axis=1))
            raise DataError(
                f"The column {self.column!r} is NaN or infinite in {len(bad)} rows, the first at {bad[0]}. "
                'Read the data with bad_rows="skip" or bad_rows="fill".'
            )
        standardised = (numbers - np.asarray(self.mean)) / np.asarray(self.scale)
        if self.furthest is not None:
            standardised = np.clip(standardised, -self.furthest, self.furthest)
        return np.asarray(standardised, np.float32)

    def numbers(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """The numbers of `values` in the column's own unit, float64 [rows, width]; NaN where missing.

        Raises:
            DataError: One is no number, or a row has too many or too few.
        """
        if values.dtype.kind in "iuf":
            numbers = np.asarray(values, np.float64).reshape(len(values), -1)
        else:
            numbers = self._parsed(values)[:, None]
        if numbers.shape[1] != self.width:
            raise DataError(
                f"The column {self.column!r} has {numbers.shape[1]} numbers a row; the model expects {self.width}."
            )
        return numbers

    def _parsed(self, values: NDArray[Any]) -> NDArray[Any]:
        """Text as numbers: a frame may hold them so."""
        numbers, odd = as_numbers(values) if values.ndim == 1 else (values, np.arange(len(values)))
        if len(odd):
            raise DataError(
                f"The column {self.column!r} must hold numbers, as the model learned from numbers there; in "
                f"{len(odd):,} of {len(values):,} rows it holds something else, the first is {values[odd[0]]!r} at "
                f"{odd[0]}. Correct the cells."
            )
        return numbers

    def decode(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Standardised numbers [rows, width] in the column's own unit, [rows] where it has one a row."""
        numbers = values.astype(np.float64) * np.asarray(self.scale) + np.asarray(self.mean)
        return np.asarray(numbers[:, 0] if self.width == 1 else numbers)


@dataclass(frozen=True)
class TableEncoder(Encoder):
    """The codes of all number and category columns, one after the other."""

    kind: ClassVar[str] = "table"
    codes: tuple[NumberCode | CategoryCode, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(code.column for code in self.codes)

    @property
    def shared(self) -> dict[str, str]:
        codes = [code for code in self.codes if isinstance(code, CategoryCode) and code.buckets]
        return {code.column: said_of_sharing(code) for code in codes}

    @property
    def spec(self) -> TableSpec:
        groups: list[tuple[int, int]] = []
        numeric: list[int] = []
        together: list[int] = []
        start = 0
        for code in self.codes:
            # The numbers of a wide column vary on their own; a one-hot code only makes sense as a whole.
            widths = [1] * code.width if isinstance(code, NumberCode) else code.widths
            first = len(groups)
            for width in widths:
                if isinstance(code, NumberCode):
                    numeric.append(len(groups))
                together.append(len(groups) if isinstance(code, NumberCode) else first)
                groups.append((start, start + width))
                start += width
        alone = together == list(range(len(groups)))
        return TableSpec(start, tuple(groups), tuple(numeric), () if alone else tuple(together))

    @classmethod
    def fit(
        cls, columns: list[Column], rows: RowNumbers, known: CheckpointTokenizer | None = None, *, plain: bool = False
    ) -> "TableEncoder":
        """The codes of `columns`, fitted on `rows`; `plain` leaves numbers as they are."""
        found = category_codes([column for column in columns if column.kind == "category"], rows)
        return TableEncoder(tuple(found.get(column.name) or _number_code(column, rows, plain) for column in columns))

    def encode(self, columns: list[Column], rows: RowNumbers) -> NDArray[np.float32]:
        parts = [code.encode(column.take(rows)) for code, column in zip(self.codes, columns, strict=True)]
        return np.concatenate(parts, axis=1)

    def decode(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        ends = np.cumsum([code.width for code in self.codes])[:-1]
        return [code.decode(part) for code, part in zip(self.codes, np.split(values, ends, axis=1), strict=True)]

    def to_json(self) -> dict[str, Any]:
        return {
            "codes": [
                {"column": code.column, "mean": list(code.mean), "scale": list(code.scale), "furthest": code.furthest}
                if isinstance(code, NumberCode)
                else code.to_json()
                for code in self.codes
            ]
        }

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "TableEncoder":
        return cls(
            tuple(
                CategoryCode.from_json(code)
                if "categories" in code
                else NumberCode(
                    code["column"], tuple(code["mean"]), tuple(code["scale"]), code.get("furthest", FURTHEST)
                )
                for code in saved["codes"]
            )
        )


def _number_code(column: Column, rows: RowNumbers, plain: bool) -> NumberCode:
    if plain:
        width = int(np.prod(column.values.shape[1:], dtype=np.int64))
        return NumberCode(column.name, (0.0,) * width, (1.0,) * width, None)
    mean, scale = _mean_and_scale(column, rows)
    return NumberCode(column.name, tuple(mean.tolist()), tuple(scale.tolist()))


def _mean_and_scale(column: Column, rows: RowNumbers) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each number over `rows`, what is not finite left out; 1 where constant."""

    def chunks() -> Iterator[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
        for positions in chunks_of(len(rows), 1 << 16, row_bytes=2 * row_bytes(column.values)):
            numbers = np.asarray(column.take(rows[positions]), np.float64).reshape(len(positions), -1)
            yield numbers, np.isfinite(numbers)

    count = np.maximum(sum(finite.sum(axis=0) for _, finite in chunks()), 1)
    mean = sum(np.where(finite, numbers, 0).sum(axis=0) for numbers, finite in chunks()) / count
    with np.errstate(over="ignore"):
        squares = sum(np.square(np.where(finite, numbers - mean, 0)).sum(axis=0) for numbers, finite in chunks())
    scale = np.sqrt(squares / count)
    constant = ~(scale > 1e-12 * np.maximum(np.abs(mean), 1))
    return mean, np.where(constant, 1.0, scale)
