"""Forecasts by estimators of scikit-learn: lags and the calendar, and each value ahead relative to the last one."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.targets.forecast import ForecastTarget
from manyways.models.estimators.base import Array, EstimatorHead, Matrix
from manyways.models.estimators.features import RowFeatures
from manyways.models.estimators.forecasting import ForecastFeatures, ForecastHead
from manyways.models.estimators.lags import ends_of

Fit: TypeAlias = "Callable[[Matrix, NDArray[np.float64], NDArray[np.float64] | None], EstimatorHead]"
"""The head of features, labels [rows] or [rows, horizon], and sample weights."""


def forecaster(
    rows: Data, target: ForecastTarget, features: RowFeatures, matrix: Matrix, fit: Fit,
    *, several_outputs: bool, weighted: bool,
) -> tuple[ForecastFeatures, ForecastHead]:  # fmt: skip
    """The features and the head of an estimator fitted to the next values of series.

    Labels are what a value ahead is more than the last one, in deviations of its history, so that a series that rises
    is forecast beyond what it ever was (NLinear, Zeng et al., AAAI 2023). Rows weigh by the square of that unit, so
    that errors count as they do in deviations of the whole series.

    Args:
        rows: Labelled rows.
        target: Their label.
        features: What was fitted to read features of them.
        matrix: Those features.
        fit: Makes a head of features, labels and sample weights.
        several_outputs: True if it takes labels of all values ahead at once.
        weighted: True to weigh rows so; False: only as the data say.
    """
    codes = target.encode(rows)
    last, spread = ends_of(rows).T
    labels = (codes[:, : target.horizon] - last[:, None]) / spread[:, None]
    weights: Array | None = rows.sample_weights
    if weighted:
        own = np.square(spread / codes[:, target.horizon])
        weights = own / own.mean() if weights is None else own * weights / own.mean()
    heads = [fit(matrix, labels, weights)] if several_outputs else [fit(matrix, each, weights) for each in labels.T]
    return ForecastFeatures(features), ForecastHead(heads)
