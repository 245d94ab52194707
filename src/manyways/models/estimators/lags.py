"""Lags: the values before a forecast, relative to the last of them."""

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.targets.forecast import history_of
from manyways.models.estimators.base import Array

LEAST = 1e-9
"""Deviations that are smaller than this share of the largest value count as none."""


def ends_of(data: Data) -> Array:
    """The last value and the deviation of each row's history, float64 [rows, 2]; the deviation of a constant is 1."""
    history = history_of(data)
    return np.stack([history[:, -1], deviations_of(history)], axis=1)


def relative(windows: NDArray[np.float64]) -> Array:
    """Stretches [rows, channels, steps] less their last value, in their deviations, float64 [rows, channels * steps]."""
    spread = deviations_of(windows)[..., None]
    return ((windows - windows[..., -1:]) / spread).reshape(len(windows), -1)


def deviations_of(windows: NDArray[np.float64]) -> Array:
    """The standard deviation over the last axis; 1 where all values are the same."""
    spread = windows.std(axis=-1)
    return np.where(spread > LEAST * np.abs(windows).max(axis=-1), spread, 1.0)


