"""Forecasts by estimators of scikit-learn: lags and the calendar, relative to the last value, each value ahead direct."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.targets.forecast import ForecastTarget
from manyways.models.estimators.base import Array, EstimatorHead, Matrix
from manyways.models.estimators.features import RowFeatures
from manyways.models.estimators.forecasting import ForecastFeatures, ForecastHead
from manyways.models.estimators.lags import ends_of

Fit: TypeAlias = "Callable[[Matrix, NDArray[np.float64], NDArray[np.float64]], EstimatorHead]"
"""The head of features, labels [rows] or [rows, horizon], and sample weights."""


def forecaster(
    rows: Data, encoding: InputEncoding, target: ForecastTarget, features: RowFeatures, matrix: Matrix, fit: Fit,
    *, several_outputs: bool,
) -> tuple[ForecastFeatures, ForecastHead]:  # fmt: skip
    """The features and the head of an estimator fitted to the next values of series.

    Labels are what a value ahead is more than the last one, in deviations of its history, so that a series that rises
    is forecast beyond what it ever was (NLinear, Zeng et al., AAAI 2023). Rows weigh by the square of that unit, so
    that errors count as they do in deviations of the whole series.

    Args:
        rows: Labelled rows.
        encoding: The encoding of their columns.
        target: Their label.
        features: What was fitted to read features of them.
        matrix: Those features.
        fit: Makes a head of features, labels and sample weights.
        several_outputs: True if it takes labels of all values ahead at once.
    """
    codes = target.encode(rows)
    last, spread = ends_of(rows).T
    labels = (codes[:, : target.horizon] - last[:, None]) / spread[:, None]
    own: Array = np.square(spread / codes[:, target.horizon])
    given = rows.sample_weights
    weights = own if given is None else own * given
    weights = weights / weights.mean()
    heads = [fit(matrix, labels, weights)] if several_outputs else [fit(matrix, each, weights) for each in labels.T]
    return ForecastFeatures(features), ForecastHead(heads)


