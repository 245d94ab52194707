"""Lags: the values before a forecast, relative to the last of them."""

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.targets.forecast import history_of
from manyways.models.estimators.base import Array

RECENT, LONGEST = 16, 64
"""Lags that trees see in any case, and the longest season of which they see every lag."""
EARLIER = 8
"""Earlier seasons that they see."""
LEAST = 1e-9
"""Deviations that are smaller than this share of the largest value count as none."""


def ends_of(data: Data) -> Array:
    """The last value and the deviation of each row's history, float64 [rows, 2]; the deviation of a constant is 1."""
    history = history_of(data)
    return np.stack([history[:, -1], deviations_of(history)], axis=1)


def relative(windows: NDArray[np.float64]) -> Array:
    """Stretches [rows, channels, steps] less their last value, in their deviations, float64 [rows, lags]."""
    spread = deviations_of(windows)[..., None]
    return ((windows - windows[..., -1:]) / spread).reshape(len(windows), -1)


def few_lags(windows: NDArray[np.float64], season: int) -> Array:
    """The lags that trees choose from: those of the last season or so, and what earlier seasons were, in few numbers.

    These are the value of every earlier season at the place of the last one, and its mean, as of lags in `relative`.
    """
    steps = windows.shape[-1]
    lags = relative(windows).reshape(windows.shape)
    recent = min(steps, max(RECENT, season if season <= LONGEST else 0))
    last = lags[..., steps - recent : -1]
    back = min(EARLIER, steps // season - 1) if season > 1 else 0
    earlier = lags[..., [steps - 1 - season * (number + 1) for number in range(back)]]
    blocks = lags[..., steps - season * (back + 1) : steps - season] if back else lags[..., :0]
    means = blocks.reshape(*lags.shape[:2], back, season).mean(axis=-1)
    whole = lags.mean(axis=-1, keepdims=True)
    return np.concatenate([last, earlier, means, whole], axis=-1).reshape(len(windows), -1)


def deviations_of(windows: NDArray[np.float64]) -> Array:
    """The standard deviation over the last axis; 1 where all values are the same."""
    spread = windows.std(axis=-1)
    return np.where(spread > LEAST * np.abs(windows).max(axis=-1), spread, 1.0)
