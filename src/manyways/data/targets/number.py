"""Number: a label that is an amount."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import mse_loss

from manyways.checked_json import described
from manyways.data.data import Data
from manyways.data.notation import as_numbers
from manyways.data.phrases import count_of, listed
from manyways.data.targets.base import CONSISTENCY, DISTILLATION, Review, Target
from manyways.errors import DataError, ModelError
from manyways.metrics import NUMBER_METRICS, number_metrics
from manyways.pseudo_values import number_pseudo_values


@dataclass(frozen=True)
class NumberTarget(Target):
    """A number a row, standardised: codes float32 [rows], NaN where there is none; outputs [rows, 1]."""

    kind = "number"
    column_kind = "number"
    gives = "regress"
    task = "regression"
    metrics = NUMBER_METRICS
    activation = "identity"
    supports = frozenset({CONSISTENCY, DISTILLATION})

    mean: float = 0.0
    scale: float = 1.0

    @property
    def width(self) -> int:
        return 1

    @classmethod
    def fitted(cls, data: Data) -> Self:
        training, name = data.training, data.label.name
        if (shape := data.label.values.shape)[1:]:
            raise DataError(
                f"The label {name!r} of {data.name} has {shape[1]} values a row; it must have one. Of one-hot or soft "
                "labels give the class, labels.argmax(1); several labels are columns of their own: label=[…]."
            )
        values = np.asarray(training.take(name)[training.labelled], np.float64)
        _refuse_infinite(name, training.select(training.labelled), values, "training ")
        return cls(name, float(values.mean()), float(values.std()) or 1.0)

    def unlabelled(self, count: int) -> NDArray[Any]:
        return np.full(count, np.nan, np.float32)

    def codes_of(self, values: NDArray[Any], rows: Data) -> NDArray[Any]:
        numbers, odd = as_numbers(values)
        if len(odd):
            raise DataError(
                f"The model predicts the number {self.name!r}, and {rows.name} holds {values[odd[0]]!r} there in row "
                f"{rows.source_rows[odd[0]]} (rows count from 0). Correct the cell, or leave it empty."
            )
        _refuse_infinite(self.name, rows, numbers)
        return np.asarray((numbers - self.mean) / self.scale)

    def decode(self, codes: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(codes, np.float64) * self.scale + self.mean

    def best(self, outputs: NDArray[Any]) -> NDArray[Any]:
        return outputs[:, 0]

    def scores(self, outputs: NDArray[Any], codes: NDArray[Any]) -> dict[str, float]:
        return number_metrics(self.predict(outputs), self.decode(codes))

    def pseudo_values(self, metric: str, outputs: NDArray[Any], codes: NDArray[Any]) -> NDArray[np.float64] | None:
        return number_pseudo_values(metric, self.predict(outputs), self.decode(codes))

    def review(self, outputs: NDArray[Any], codes: NDArray[Any], most: int, spread: int) -> Review:
        truth, predicted = self.decode(codes), self.predict(outputs)
        rows = np.argsort(-np.abs(predicted - truth), kind="stable")[:most]
        sample = np.linspace(0, len(truth) - 1, min(spread, len(truth))).astype(int)
        return Review(
            rows,
            [float(truth[row]) for row in rows],
            [float(predicted[row]) for row in rows],
            [None] * len(rows),
            pairs=tuple((float(truth[row]), float(predicted[row])) for row in sample),
        )

    def known(self, labels: Tensor) -> Tensor:
        return ~labels.isnan()

    def losses(self, outputs: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        return mse_loss(outputs[..., 0].float(), labels.float(), reduction="none")

    def loss(self, outputs: Tensor, labels: Tensor, weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
        if weights is None:
            return mse_loss(outputs[:, 0].float(), labels.float())
        return super().loss(outputs, labels, weights)

    def constant(self, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """The mean."""
        numbers = labels.double()
        return (numbers.mean() if weights is None else (weights * numbers).sum() / weights.sum()).float()[None]

    def consistency_loss(self, student: Tensor, teacher: Tensor) -> Tensor:
        return mse_loss(student.float(), teacher.float())

    def distillation_loss(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        return mse_loss(student.float(), teacher)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "mean": self.mean, "scale": self.scale}

    @classmethod
    def read(cls, saved: Mapping[str, Any]) -> Self:
        given = described(saved, "the target", ModelError)
        return cls(given.get("name", str), given.get("mean", float), given.get("scale", float))


def unit_of(target: Target) -> tuple[float, float]:
    """The mean and the scale by which a target's numbers are standardised; 0 and 1 for classes."""
    return (target.mean, target.scale) if isinstance(target, NumberTarget) else (0.0, 1.0)


def _refuse_infinite(name: str, rows: Data, values: NDArray[np.float64], which: str = "") -> None:
    if not (odd := rows.source_rows[~np.isfinite(values)]).size:
        return
    raise DataError(
        f"The label {name!r} is infinite in {count_of(len(odd), f'{which}row')} of {rows.name} ({listed(odd)}; rows "
        "count from 0). Correct those labels, or leave them empty: a row without a label is unlabelled."
    )
