"""Windows of series, and the values that follow them: what forecasts are made from, and what they say."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.kinds.base import ColumnKind
from manyways.data.notation import Decimal
from manyways.data.phrases import count_of
from manyways.data.storage import Rows
from manyways.errors import DataError


class Series(ColumnKind):
    """Stretches of several series that run side by side: float64 [n, series, steps]."""

    name = modality = "series"
    words, decoded = ("stretch of series", "stretches of series"), True

    def detail(self, shape: tuple[int, ...], rate: int | None) -> str:
        return f"{count_of(shape[2], 'step')} of {shape[1]} series"


class Forecast(ColumnKind):
    """The next values of a series: float64 [n, horizon], NaN where they are not known yet."""

    name = modality = "forecast"
    words = ("forecast", "forecasts")

    def stored(self, name: str, values: Rows, decimal: Decimal | None = None, *, learned: bool = False) -> Rows:
        if len(values.shape) != 2 or values.dtype.kind not in "iuf":
            raise DataError(
                f"The column {name!r} cannot have the kind 'forecast', which read makes of a series: horizon=24 with "
                'its time column, time="…".'
            )
        return values

    def missing(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        return np.asarray(np.isnan(values).any(axis=1))

    def labels(self, name: str, values: Any) -> Any:
        try:
            return np.array([np.asarray(value, np.float64) for value in values])
        except (TypeError, ValueError) as error:
            raise DataError(f"A forecast of {name!r} must be the next values, numbers; got {values[0]!r}.") from error

    def detail(self, shape: tuple[int, ...], rate: int | None) -> str:
        return f"the next {count_of(shape[1], 'value')}"


SERIES, FORECAST = Series(), Forecast()
