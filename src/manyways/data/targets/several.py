"""Several: a label that is a set of classes, each of which a row may have or not (multi-label classification)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

from manyways.checked_json import described
from manyways.data.categories import as_objects
from manyways.data.data import Data
from manyways.data.kinds import SEVERAL, STROKE, classes_in
from manyways.data.targets.base import Review, Target
from manyways.data.targets.classes import classes_from_json, refuse_strange
from manyways.errors import DataError, ModelError
from manyways.metrics import Metric
from manyways.pseudo_values import label_set_pseudo_values

MEAN_AVERAGE_PRECISION = Metric("mean_average_precision", low=0.0, high=1.0)
MICRO_F1 = Metric("micro_f1", low=0.0, high=1.0)
MACRO_F1 = Metric("macro_f1", low=0.0, high=1.0)
HAMMING_LOSS = Metric("hamming_loss", higher_is_better=False, low=0.0, high=1.0)
SUBSET_ACCURACY = Metric("subset_accuracy", low=0.0, high=1.0)


@dataclass(frozen=True)
class SeveralTarget(Target):
    """A set of classes a row: codes float32 [rows, classes], 1 for each that it has, NaN where it has no label.

    Outputs are logits [rows, classes], each of its own: a class is predicted where its probability is above a half. Its
    loss is the binary cross-entropy, the mean over classes.
    """

    kind = "several"
    column_kind = SEVERAL.name
    gives = "label sets"
    task = "multi-label classification"
    metrics = ("mean_average_precision", "micro_f1", "macro_f1", "hamming_loss", "subset_accuracy")
    activation = "sigmoid"

    classes: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        return len(self.classes)

    @classmethod
    def fitted(cls, data: Data) -> Self:
        training, name = data.training, data.label.name
        values = training.take(name)
        # The set of classes is part of the task, as that of classes is: hidden labels name them, too.
        names = sorted({part for value in values.tolist() if value is not None for part in classes_in(value)})
        if not names:
            raise DataError(
                f"No label in the column {name!r} of {data.name} names a class. Write those of a row with a stroke "
                f"between them, a{STROKE}b, or as a list."
            )
        return cls(name, tuple(names))

    def unlabelled(self, count: int) -> NDArray[Any]:
        return np.full((count, self.width), np.nan, np.float32)

    def codes_of(self, values: NDArray[Any], rows: Data) -> NDArray[Any]:
        places = {name: at for at, name in enumerate(self.classes)}
        codes = np.zeros((len(values), self.width), np.float32)
        strange: list[str] = []
        for row, value in enumerate(values.tolist()):
            for part in classes_in(value):
                if part in places:
                    codes[row, places[part]] = 1
                else:
                    strange.append(part)
        if strange:
            refuse_strange(self.name, strange, self.classes, rows)
        return codes

    def decode(self, codes: NDArray[Any]) -> NDArray[Any]:
        names = np.asarray(self.classes, object)
        return as_objects([STROKE.join(names[row > 0.5]) or STROKE for row in np.asarray(codes)])

    def best(self, outputs: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(outputs > 0, np.float32)

    def scores(self, outputs: NDArray[Any], codes: NDArray[Any]) -> dict[str, float]:
        """Mean average precision (over classes that some row has), micro and macro F1, Hamming loss, exact matches."""
        from sklearn.metrics import average_precision_score, f1_score, hamming_loss

        if not len(codes):
            raise DataError("There is no row with a known label to compute a score on.")
        truth, guess, present = codes > 0.5, self.best(outputs) > 0.5, codes.any(axis=0)
        ranked = [average_precision_score(truth[:, at], outputs[:, at]) for at in np.flatnonzero(present)]
        return {
            "mean_average_precision": float(np.mean(ranked)) if ranked else float("nan"),
            "micro_f1": float(f1_score(truth, guess, average="micro", zero_division=0)),
            "macro_f1": float(f1_score(truth[:, present], guess[:, present], average="macro", zero_division=0))
            if ranked
            else float("nan"),
            "hamming_loss": float(hamming_loss(truth, guess)),
            "subset_accuracy": float((truth == guess).all(axis=1).mean()),
        }

    def pseudo_values(self, metric: str, outputs: NDArray[Any], codes: NDArray[Any]) -> NDArray[np.float64] | None:
        return label_set_pseudo_values(metric, outputs, codes)

    def review(self, outputs: NDArray[Any], codes: NDArray[Any], most: int, spread: int) -> Review:
        wrong = ((outputs > 0) != (codes > 0.5)).sum(axis=1)
        # Of rows with as many mistakes the surest first.
        surest = np.where((outputs > 0) != (codes > 0.5), np.abs(outputs), 0).max(axis=1)
        rows = np.lexsort((-surest, -wrong))[: min(most, int((wrong > 0).sum()))]
        truth, predicted = self.decode(codes[rows]).tolist(), self.predict(outputs[rows]).tolist()
        return Review(rows, truth, predicted, [None] * len(rows))

    def known(self, labels: Tensor) -> Tensor:
        return ~labels.isnan().all(-1)

    def losses(self, outputs: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        smooth = labels.float() * (1 - smoothing) + smoothing / 2
        each = binary_cross_entropy_with_logits(outputs.float(), smooth.nan_to_num(nan=0.5), reduction="none")
        told = ~labels.isnan()
        return (each * told).sum(-1) / told.sum(-1).clamp_min(1)

    def constant(self, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """The log odds of the share of the rows that have each class, within ±30."""
        counted = ~labels.isnan() if weights is None else weights[:, None] * ~labels.isnan()
        shares = (labels.nan_to_num() * counted).double().sum(0) / counted.double().sum(0)
        return shares.nan_to_num(nan=0.5).logit().clamp(-30, 30).float()

    def consistency_loss(self, student: Tensor, teacher: Tensor) -> Tensor:
        return self.width * mse_loss(student.float().sigmoid(), teacher.float().sigmoid())

    def distillation_loss(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """T² times the binary cross-entropy of each class at temperature T, the mean over classes."""
        wanted = (teacher.float() / temperature).sigmoid()
        return temperature**2 * binary_cross_entropy_with_logits(student.float() / temperature, wanted)

    def pseudo_labels(self, probabilities: Tensor, threshold: float | Tensor) -> Tensor:
        """A class of a row is on or off where the more probable of both is at least that probable, else unknown."""
        on, sure = (probabilities > 0.5).float(), probabilities.maximum(1 - probabilities) >= threshold
        return on.masked_fill(~sure, float("nan"))

    def where_known(self, labels: Tensor, known: Tensor) -> Tensor:
        return labels

    def shares(self, labels: Tensor) -> Tensor:
        return labels.mean(0)

    def aligned(self, probabilities: Tensor, wanted: Tensor, guessed: Tensor) -> Tensor:
        on = probabilities * (wanted / guessed.clamp_min(1e-6))
        off = (1 - probabilities) * ((1 - wanted) / (1 - guessed).clamp_min(1e-6))
        return on / (on + off).clamp_min(1e-12)

    def class_weights(self, labels: Tensor) -> Tensor:
        """The mean of the weights of the classes that a row has; 1 for a row of none."""
        counts = labels.sum(0).clamp_min(1)
        weights = labels.sum() / (self.width * counts)
        return torch.where(labels.sum(1) > 0, (labels * weights).sum(1) / labels.sum(1).clamp_min(1), 1.0)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "classes": list(self.classes)}

    @classmethod
    def read(cls, saved: Mapping[str, Any]) -> Self:
        given = described(saved, "the target", ModelError)
        return cls(given.get("name", str), tuple(map(str, classes_from_json(given.get("classes", list)))))
