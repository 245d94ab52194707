"""Forecasts of estimators: rows relative to the end of their history, and answers in the unit of the series again."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.targets.forecast import history_of
from manyways.errors import ModelError
from manyways.models.estimators.base import Array, EstimatorHead, Matrix
from manyways.models.estimators.features import FEATURES, RowFeatures
from manyways.models.estimators.lags import ends_of
from manyways.models.heads import HEADS


class ForecastFeatures(RowFeatures):
    """The features of rows, and behind them the last value and the deviation of each history: what is relative to what.

    Args:
        inner: The features before them.
    """

    name = "forecast"

    def __init__(self, inner: RowFeatures | Mapping[str, Any]) -> None:
        super().__init__()
        self.inner = inner if isinstance(inner, RowFeatures) else FEATURES.rebuild(inner)
        self.config = {"inner": {"name": self.inner.name, **self.inner.config}}

    def of(self, data: Data, encoding: InputEncoding) -> Matrix:
        return with_ends(self.inner.of(data, encoding), data)


class LastValues(RowFeatures):
    """The last values of each history in their own unit, float64 [rows, steps]."""

    name = "last-values"

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.config = {"steps": steps}
        self.steps = steps

    def of(self, data: Data, encoding: InputEncoding) -> Array:
        return history_of(data)[:, -self.steps :]


class ForecastHead(EstimatorHead):
    """Answers relative to the last value of a history, in its deviations, turned into values of the series.

    It is the direct strategy: a head for each value ahead, or one for all (Ben Taieb et al., Expert Systems with
    Applications 2012).

    Args:
        members: The head of each value ahead, or one that answers for all.
    """

    name = "relative-forecast"

    def __init__(self, members: Sequence[EstimatorHead | Mapping[str, Any]]) -> None:
        heads = [each if isinstance(each, EstimatorHead) else _rebuilt(each) for each in members]
        super().__init__(sum(head.outputs for head in heads), 0)
        self.config = {"members": [{"name": head.name, **head.config} for head in heads]}
        self.members = nn.ModuleList(heads)

    def decide(self, features: Matrix) -> Array:
        inner, ends = features[:, :-2], np.asarray(features)[:, -2:]
        relative = np.hstack([head.answers(inner) for head in self.members if isinstance(head, EstimatorHead)])
        return np.asarray(relative * ends[:, 1:] + ends[:, :1])


class NaiveHead(EstimatorHead):
    """The last value again, or the last season, of which there are so many steps (season 1: the last value).

    Attributes:
        places: The place in the last season of each value ahead, int64 [horizon].
    """

    name = "naive-forecast"
    places: Tensor

    def __init__(self, horizon: int, season: int) -> None:
        super().__init__(horizon, 0)
        self.config = {"horizon": horizon, "season": season}
        self.register_buffer("places", torch.arange(horizon) % season)

    def decide(self, features: Matrix) -> Array:
        return np.asarray(features)[:, self.places.numpy()]


def with_ends(features: Matrix, data: Data) -> Array:
    """Features, and behind them the last value and the deviation of each row's history, float64 [rows, width + 2]."""
    dense = features if isinstance(features, np.ndarray) else features.toarray()
    return np.hstack([dense, ends_of(data)])


def _rebuilt(saved: Mapping[str, Any]) -> EstimatorHead:
    head = HEADS.rebuild(saved)
    if not isinstance(head, EstimatorHead):
        raise ModelError(f"A member of a forecast must be the head of an estimator; got {head.name!r}.")
    return head
