"""The naive forecast: every value ahead is the last one."""

from dataclasses import dataclass
from typing import ClassVar

from manyways.data.targets.forecast import ForecastTarget
from manyways.methods.bases.naive import NaiveMethod


@dataclass(frozen=True, kw_only=True)
class NaiveForecast(NaiveMethod):
    """Forecast the last value of the series: the reference on random walks, such as prices.

    It is what a forecast in the place of learning is worth. A model that is not better has learned nothing that the
    last value does not say.
    """

    paper: ClassVar = "Hyndman & Athanasopoulos, Forecasting: principles and practice, 3rd edition (2021), 5.2"

    def season(self, target: ForecastTarget) -> int:
        return 1
