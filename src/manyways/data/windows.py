"""Windows: stretches of series as rows, looked up in the series without being copied before."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.storage import RowNumbers


class WindowRows:
    """Rows float64 [channels, length], or [length] of one channel alone: stretches of `series`, one from each start.

    Args:
        series: Values of all series one after the other, float64 [steps, channels], or [steps].
        starts: The first step of each row, int64 [rows].
        length: Steps of a row.
    """

    def __init__(self, series: NDArray[np.float64], starts: NDArray[np.int64], length: int) -> None:
        self._series, self._starts, self._steps = series, starts, np.arange(length)
        self.dtype: np.dtype[Any] = series.dtype
        self.shape = (len(starts), *series.shape[1:], length)

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, numbers: RowNumbers) -> NDArray[Any]:
        windows = self._series[self._starts[numbers][:, None] + self._steps]
        return np.ascontiguousarray(np.moveaxis(windows, 1, -1))
