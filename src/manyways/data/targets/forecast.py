"""Forecast: a label that is the next values of a series."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.checked_json import described
from manyways.data.categories import as_objects
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.targets.base import CONSISTENCY, DISTILLATION, Recipe
from manyways.data.targets.structured import Prediction, Structure, StructuredTarget
from manyways.errors import DataError, ModelError
from manyways.metrics import Metric

MASE = Metric("mase", higher_is_better=False, low=0.0)
SMAPE = Metric("smape", higher_is_better=False, low=0.0, high=200.0)
QUANTILE_LOSS = Metric("quantile_loss", higher_is_better=False, low=0.0)
STANDARDISED_MSE = Metric("standardised_mean_squared_error", higher_is_better=False, low=0.0)
STANDARDISED_MAE = Metric("standardised_mean_absolute_error", higher_is_better=False, low=0.0)

QUANTILES = (0.1, 0.5, 0.9)
UNITS = 2
"""Numbers behind the values of an encoded label: the deviation of its series, and its seasonal naive error."""
LEAST = 1e-9


@dataclass(frozen=True, eq=False)
class ForecastOutputs(Structure):
    """Quantiles of the next values, in units of the stretch before them.

    values: float32 [rows, horizon, quantiles]. level, spread: the mean and deviation of that stretch, float64 [rows].
    """

    values: Tensor
    level: Tensor
    spread: Tensor

    @property
    def quantiles(self) -> Tensor:
        """The quantiles in the series' own unit, float64 [rows, horizon, quantiles]."""
        return self.values.double() * self.spread[:, None, None] + self.level[:, None, None]


@dataclass(frozen=True)
class ForecastTarget(StructuredTarget):
    """The next values of a series: codes float64 [rows, horizon + 2], NaN where they are not known.

    The last two numbers of a code are what its series is measured by: the standard deviation of its training part, and
    the mean absolute error of the seasonal naive forecast within that part. Networks say quantiles of each value, and
    are fitted by the pinball loss (Koenker & Bassett 1978); the middle one is the forecast.
    """

    kind = "forecast"
    column_kind = "forecast"
    gives = "forecast"
    task = "forecasting"
    metrics = (
        "mase", "smape", "quantile_loss", "standardised_mean_squared_error", "standardised_mean_absolute_error",
    )  # fmt: skip
    head = "forecast"
    references: ClassVar[Mapping[str, str]] = {"naive-forecast": "last value", "seasonal-naive": "last season"}
    recipe: ClassVar[Recipe] = Recipe(batch_size=64)
    supports: ClassVar[frozenset[str]] = frozenset({CONSISTENCY, DISTILLATION})

    horizon: int = 1
    season: int = 1
    series: tuple[str, ...] = ()
    deviations: tuple[float, ...] = ()
    naive_errors: tuple[float, ...] = ()
    quantiles: tuple[float, ...] = QUANTILES

    @classmethod
    def fitted(cls, data: Data) -> Self:
        label = _windows(data.label)
        training = data.training.select(data.training.labelled)
        names = _series_of(training)
        known = tuple(sorted(set(names.tolist())))
        measured = [_measures(training.select(names == name), label) for name in known]
        reading = label.windows
        assert reading is not None
        return cls(
            label.name,
            reading.horizon,
            reading.season,
            known,
            tuple(deviation for deviation, _ in measured),
            tuple(error for _, error in measured),
        )

    def unlabelled(self, count: int) -> NDArray[Any]:
        return np.full((count, self.horizon + UNITS), np.nan)

    def codes_of(self, values: NDArray[Any], rows: Data) -> NDArray[Any]:
        if values.shape[1:] != (self.horizon,):
            raise DataError(
                f"The model forecasts {self.horizon} values of {self.name!r}, and {rows.name} has {values.shape[1:]} "
                f"a row: read it with horizon={self.horizon}."
            )
        return np.concatenate([values, self._units(rows)], axis=1)

    def _units(self, rows: Data) -> NDArray[np.float64]:
        """The deviation and the naive error of each row's series, float64 [rows, 2]; where unknown, of its history."""
        units = np.empty((len(rows), UNITS))
        names = _series_of(rows)
        for name in set(names.tolist()):
            which = names == name
            if name in self.series:
                place = self.series.index(name)
                units[which] = self.deviations[place], self.naive_errors[place]
            else:
                units[which] = _measures(rows.select(which), rows.columns[self.name], inside=True)
        return units

    def decode(self, codes: NDArray[Any]) -> NDArray[Any]:
        points = self.points(codes) if codes.ndim == 3 else codes[:, : self.horizon]
        return as_objects([row.tolist() for row in points])

    def recoded(self, codes: Sequence[NDArray[Any]], other: StructuredTarget, rows: Data) -> Sequence[NDArray[Any]]:
        return codes  # quantiles are in the unit of the series, whoever learned them

    def vote(self, predictions: Sequence[Prediction]) -> Prediction:
        """The mean of the members' quantiles."""
        quantiles = np.mean([each.code for each in predictions], axis=0)
        return Prediction(quantiles, float(np.mean([each.confidence for each in predictions])))

    def points(self, quantiles: NDArray[Any]) -> NDArray[Any]:
        """The forecasts themselves, of quantiles [..., quantiles]: the middle ones."""
        return quantiles[..., quantiles.shape[-1] // 2]

    def predictions(self, outputs: ForecastOutputs) -> list[Prediction]:
        quantiles = outputs.quantiles.cpu().numpy()
        width = (outputs.values[..., -1] - outputs.values[..., 0]).mean(dim=1).cpu().numpy()
        return [Prediction(row, float(1 / (1 + each))) for row, each in zip(quantiles, width, strict=True)]

    def statistics(self, predicted: Sequence[NDArray[Any]], truth: NDArray[Any], rows: Data) -> NDArray[np.float64]:
        return forecast_sums(np.stack(predicted), truth, self.quantiles)

    def scores_of(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        means = sums[..., 1:] / sums[..., :1]
        return {name: means[..., place] for place, name in enumerate(self.metrics)}

    def example(self, row: Data, truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, Any]:
        """A forecast with its band, after the history that it was made from."""
        bands = predicted if predicted.ndim == 2 else predicted[:, None]
        edges = (bands[:, 0].tolist(), bands[:, -1].tolist()) if bands.shape[1] > 1 else ([], [])
        return {
            "history": history_of(row)[0].tolist(),
            "truth": truth[: self.horizon].tolist(),
            "predicted": self.points(bands).tolist(),
            "low": edges[0],
            "high": edges[1],
        }

    def known(self, labels: Tensor) -> Tensor:
        return ~labels[:, : self.horizon].isnan().any(dim=1)

    def losses(self, outputs: ForecastOutputs, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """The pinball loss in deviations of the series, the mean over values and quantiles."""
        truth = ((labels[:, : self.horizon] - outputs.level[:, None]) / outputs.spread[:, None]).float()
        levels = torch.tensor(self.quantiles, device=truth.device)
        error = truth[..., None] - outputs.values
        pinball = torch.maximum(levels * error, (levels - 1) * error).mean(dim=(1, 2))
        return pinball * (outputs.spread / labels[:, self.horizon]).float()

    def consistency_loss(self, student: ForecastOutputs, teacher: ForecastOutputs) -> Tensor:
        return self._apart(student, teacher)

    def distillation_loss(self, student: ForecastOutputs, teacher: ForecastOutputs, temperature: float) -> Tensor:
        return self._apart(student, teacher)

    def _apart(self, student: ForecastOutputs, teacher: ForecastOutputs) -> Tensor:
        """The mean squared distance of two networks' quantiles, in units of the stretch as the teacher saw it."""
        wanted = (teacher.quantiles.detach() - student.level[:, None, None]) / student.spread[:, None, None]
        return (student.values - wanted.float()).square().mean()

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "name": self.name, "horizon": self.horizon, "season": self.season,
            "series": list(self.series), "deviations": list(self.deviations), "naive_errors": list(self.naive_errors),
            "quantiles": list(self.quantiles),
        }  # fmt: skip

    @classmethod
    def read(cls, saved: Mapping[str, Any]) -> Self:
        given = described(saved, "the target", ModelError)
        lists: Any = {name: tuple(given.all(name, float)) for name in ("deviations", "naive_errors", "quantiles")}
        series = tuple(given.all("series", str))
        if not len(series) == len(lists["deviations"]) == len(lists["naive_errors"]) or not lists["quantiles"]:
            raise ModelError(f"The target {given.get('name', str)!r} is damaged: its series and their units differ.")
        return cls(given.get("name", str), given.get("horizon", int), given.get("season", int), series, **lists)


def forecast_sums(
    predicted: NDArray[np.float64], truth: NDArray[np.float64], levels: Sequence[float]
) -> NDArray[np.float64]:
    """Sums that forecasts are scored by, float64 [rows, 6]: values, then the metrics of `ForecastTarget` added up.

    Args:
        predicted: Forecasts [rows, horizon], or quantiles of them [rows, horizon, quantiles].
        truth: Codes [rows, horizon + 2].
        levels: The levels of the quantiles.
    """
    horizon = predicted.shape[1]
    values, deviation, naive = truth[:, :horizon], truth[:, horizon, None], truth[:, horizon + 1, None]
    bands = predicted if predicted.ndim == 3 else np.repeat(predicted[..., None], len(levels), axis=2)
    point = bands[..., bands.shape[2] // 2]
    error = values - point
    size = np.abs(values) + np.abs(point)
    percent = 200 * np.divide(np.abs(error), size, out=np.zeros_like(error), where=size > 0)
    apart = (values[..., None] - bands) / deviation[..., None]
    pinball = np.maximum(np.asarray(levels) * apart, (np.asarray(levels) - 1) * apart).mean(axis=2)
    parts = [
        np.ones_like(error),
        np.abs(error) / naive,
        percent,
        pinball,
        np.square(error / deviation),
        np.abs(error / deviation),
    ]
    return np.stack([part.sum(axis=1) for part in parts], axis=1)


def _windows(label: Column) -> Column:
    if label.windows is None:
        raise DataError(
            f"The label {label.name!r} has the kind 'forecast', which read makes of a table in time: horizon=24, "
            'time="…".'
        )
    return label


def _series_of(rows: Data) -> NDArray[np.object_]:
    """The name of the series that each row forecasts; empty where there is one."""
    if not rows.has("series"):
        return np.full(len(rows), "", object)
    return np.asarray([str(value) for value in rows.take(rows.roles["series"][0])], object)


def history_of(rows: Data) -> NDArray[np.float64]:
    """The history of the series that each row forecasts, float64 [rows, steps].

    Raises:
        DataError: No input is a stretch of series.
    """
    column = next((column for column in rows.inputs if column.kind == "series"), None)
    if column is None:
        raise DataError(
            f"{rows.name} has no input that is a stretch of series, from which forecasts are made; its inputs are "
            f"{', '.join(each.name for each in rows.inputs) or 'none'}. Read the table with horizon=…."
        )
    return np.asarray(column.take(rows.rows)[:, 0], np.float64)


def _measures(rows: Data, label: Column, inside: bool = False) -> tuple[float, float]:
    """The standard deviation of a series over `rows`, and the mean absolute error of its seasonal naive forecast.

    inside: True to look at what came before the rows alone, as of a series that no row was learned from.
    """
    reading = label.windows
    assert reading is not None
    history = history_of(rows)
    values, before = history.ravel(), history
    if not inside:
        first = label.take(rows.rows)
        values = np.concatenate([history[0], first[:, 0], first[-1, 1:]])
        before = np.concatenate([history, first[:, :1]], axis=1)[:, -reading.season - 1 :]
    errors = np.abs(before[:, reading.season :] - before[:, : -reading.season])
    deviation, error = float(values.std()), float(errors.mean())
    least = LEAST * max(1.0, float(np.abs(values).max()))
    deviation = deviation if deviation > least else 1.0
    return deviation, error if error > least else deviation
