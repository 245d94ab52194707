"""The seasonal naive forecast: every value ahead is that of the last season."""

from dataclasses import dataclass, replace
from typing import ClassVar

from manyways.data.data import Data
from manyways.data.targets.forecast import ForecastTarget
from manyways.methods.ablations import with_column
from manyways.methods.bases.naive import NaiveMethod
from manyways.methods.method import Ablations


@dataclass(frozen=True, kw_only=True)
class SeasonalNaive(NaiveMethod):
    """Forecast the value at the same place of the last season: the last day of hours, the last week of days.

    The season is that of the data (`read(…, season=…)`); where that is 1 it is the naive forecast. Its mean absolute
    error in the training part is the unit of the mean absolute scaled error (MASE).
    """

    paper: ClassVar = (
        "Hyndman & Athanasopoulos, Forecasting: principles and practice, 3rd edition (2021), 5.2; Hyndman & Koehler, "
        "Another look at measures of forecast accuracy, International Journal of Forecasting 2006 (MASE)"
    )

    def season(self, target: ForecastTarget) -> int:
        return target.season

    def ablations(self, data: Data) -> Ablations:
        """The same series without a season, too."""
        label = data.label
        if label.windows is None:
            return {}
        flat = replace(label, windows=replace(label.windows, season=1))
        return {**super().ablations(data), "its season": (self, with_column(data, flat))}
