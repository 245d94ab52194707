"""Forecasts that repeat what was seen last."""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.parts import TRAINING
from manyways.data.targets import Target
from manyways.data.targets.forecast import ForecastTarget
from manyways.errors import NeedsError
from manyways.methods.ablations import with_column
from manyways.methods.method import Ablations, Learned, Method
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

    @classmethod
    def example_data(cls) -> Data:
        """A daily cycle of hours, and noise, 12 values ahead."""
        from manyways.data.read import read

        rng, hours = np.random.default_rng(0), np.arange(360)
        table = {
            "hour": [str(each) for each in np.datetime64("2024-01-01T00") + hours],
            "load": np.sin(2 * np.pi * hours / 24) + 0.2 * rng.normal(size=len(hours)),
        }
        return read(table, time="hour", label="load", horizon=12, history=48)

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

    def ablations(self, data: Data) -> Ablations:
        """The same series with one value ahead: how far ahead is all that is learned of it."""
        label = data.label
        if label.windows is None:
            return {}
        first = label.take(np.arange(len(label)))[:, :1]
        nearer = replace(label, values=first, windows=replace(label.windows, horizon=1))
        return {"how far ahead it is": (self, with_column(data, nearer))}
