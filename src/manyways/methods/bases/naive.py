"""Forecasts that repeat what was seen last."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.parts import TRAINING
from manyways.data.targets import Target
from manyways.data.targets.forecast import ForecastTarget
from manyways.errors import NeedsError
from manyways.methods.method import Learned, Method
from manyways.methods.needs import Input, Need
from manyways.models.estimator import Estimator, EstimatorNetwork
from manyways.models.estimators.forecasting import LastValues, NaiveHead
from manyways.models.model import Model
from manyways.training.budget import Budget
from manyways.training.run import Run


def _series(data: Data) -> str | None:
    if len(data.labels) == 1 and data.label.kind == ForecastTarget.column_kind and data.training.labelled.any():
        return None
    return (
        'a series in time to forecast, of which some values are known: read(…, label="sales", time="date", horizon=24)'
    )


Forecast = Need("forecast", "a series to forecast", _series, labelled=True)


@dataclass(frozen=True, kw_only=True)
class NaiveMethod(Method):
    """A method that learns nothing: a forecast is what stood at a place of the history."""

    needs: ClassVar = (Input, Forecast)
    gives: ClassVar = frozenset({ForecastTarget.gives})
    suggests: ClassVar = ()

    @abstractmethod
    def season(self, target: ForecastTarget) -> int:
        """The steps that are repeated."""

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        target = Target.fit(data)
        if not isinstance(target, ForecastTarget):
            raise NeedsError(f"{self.method_name()} forecasts series, and the label {target.name!r} is none.")
        season = self.season(target)
        network = EstimatorNetwork(LastValues(season), NaiveHead(target.horizon, season))
        used: NDArray[np.bool_] = (data.part[data.rows] == TRAINING) & data.labelled
        return Learned(Estimator(network=network, inputs=InputEncoding.fit(data, plain=True), target=target), used)
