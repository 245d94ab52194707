"""Classes: a label that is one of several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, mse_loss

from manyways.checked_json import brief, described
from manyways.data.categories import places_in
from manyways.data.data import Data
from manyways.data.targets.base import Review, Target
from manyways.errors import DataError, ModelError
from manyways.metrics import CLASS_METRICS, class_metrics
from manyways.pseudo_values import class_pseudo_values

UNLABELLED = -1
"""The code of a class that is missing or hidden."""
NEVER = -30.0
"""The logarithm of the probability of a class that no labelled row has."""


def kl_distillation(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T² KL(teacher ‖ student) of class probabilities at temperature T (Hinton et al. 2015); logits [rows, classes]."""
    divergence = kl_div(
        (student.float() / temperature).log_softmax(1),
        (teacher.float() / temperature).log_softmax(1),
        reduction="batchmean",
        log_target=True,
    )
    return divergence * temperature**2


@dataclass(frozen=True)
class ClassTarget(Target):
    """One of several classes a row: codes int64 [rows], -1 where there is none; outputs are logits [rows, classes]."""

    kind = "classes"
    column_kind = "category"
    gives = "classify"
    task = "classification"
    metrics = CLASS_METRICS
    activation = "softmax"

    classes: tuple[Any, ...] = ()

    @property
    def width(self) -> int:
        return len(self.classes)

    @property
    def classification(self) -> bool:
        return True

    @classmethod
    def fitted(cls, data: Data) -> Self:
        name = data.label.name
        if len(data.classes) < 2:
            raise DataError(
                f"All labels in the column {name!r} of {data.name} are {data.classes[0]!r}; two classes are "
                "the least there is to tell apart."
            )
        return cls(name, data.classes)

    def unlabelled(self, count: int) -> NDArray[Any]:
        return np.full(count, UNLABELLED, np.int64)

    def codes_of(self, values: NDArray[Any], rows: Data) -> NDArray[Any]:
        codes = places_in(values, self.classes)
        if (strange := codes < 0).any():
            refuse_strange(self.name, values[strange].tolist(), self.classes, rows)
        return codes

    def decode(self, codes: NDArray[Any]) -> NDArray[Any]:
        classes: NDArray[Any] = np.asarray(self.classes, dtype=object if isinstance(self.classes[0], str) else None)
        return np.asarray(classes[codes])

    def best(self, outputs: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(outputs.argmax(axis=1))

    def scores(self, outputs: NDArray[Any], codes: NDArray[Any]) -> dict[str, float]:
        return class_metrics(torch.from_numpy(outputs).softmax(1).numpy(), codes)

    def pseudo_values(self, metric: str, outputs: NDArray[Any], codes: NDArray[Any]) -> NDArray[np.float64] | None:
        return class_pseudo_values(metric, torch.from_numpy(outputs).softmax(1).numpy(), codes)

    def review(self, outputs: NDArray[Any], codes: NDArray[Any], most: int, spread: int) -> Review:
        probabilities = torch.from_numpy(outputs).softmax(1).numpy()
        guess = probabilities.argmax(axis=1)
        confusion = np.zeros((self.width, self.width), np.int64)
        np.add.at(confusion, (codes, guess), 1)
        wrong = np.flatnonzero(codes != guess)
        # The surest mistakes tell most: of the data, of its labels, of the model.
        rows = wrong[np.argsort(-probabilities[wrong, guess[wrong]], kind="stable")[:most]]
        titles = tuple(map(str, self.classes))
        return Review(
            rows,
            [titles[codes[row]] for row in rows],
            [titles[guess[row]] for row in rows],
            [float(probabilities[row, guess[row]]) for row in rows],
            titles,
            confusion,
        )

    def known(self, labels: Tensor) -> Tensor:
        return labels >= 0

    def losses(self, outputs: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        flat = cross_entropy(
            outputs.flatten(0, -2).float(), labels.flatten(), reduction="none", label_smoothing=smoothing
        )
        return flat.view(labels.shape)

    def loss(self, outputs: Tensor, labels: Tensor, weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
        if weights is None:
            return cross_entropy(outputs.float(), labels, label_smoothing=smoothing)
        return super().loss(outputs, labels, weights, smoothing)

    def constant(self, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """The logarithms of the shares of the classes; -30 for a class without rows."""
        counts = torch.bincount(labels, weights, minlength=self.width).double()
        return torch.where(counts > 0, (counts / counts.sum()).log(), NEVER).float()

    def consistency_loss(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The sum over classes of the squared difference of probabilities, as in the authors' code of Mean Teacher."""
        return self.width * mse_loss(student.float().softmax(1), teacher.float().softmax(1))

    def distillation_loss(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        return kl_distillation(student, teacher, temperature)

    def pseudo_labels(self, probabilities: Tensor, threshold: float | Tensor) -> Tensor:
        confidence, guess = probabilities.max(1, keepdim=True)
        return guess.where(confidence >= threshold, UNLABELLED)[:, 0]

    def shares(self, labels: Tensor) -> Tensor:
        return torch.bincount(labels, minlength=self.width) / len(labels)

    def aligned(self, probabilities: Tensor, wanted: Tensor, guessed: Tensor) -> Tensor:
        aligned = probabilities * (wanted / guessed.clamp_min(1e-6))
        return aligned / aligned.sum(1, keepdim=True)

    def class_weights(self, labels: Tensor) -> Tensor:
        counts = torch.bincount(labels, minlength=self.width)
        present = int((counts > 0).sum())
        return len(labels) / (present * counts[labels].float())

    def pack(self, codes: NDArray[Any]) -> NDArray[np.float32]:
        return np.where(codes < 0, np.nan, codes).astype(np.float32)[:, None]

    def unpack(self, packed: Tensor) -> Tensor:
        return packed[:, 0].nan_to_num(nan=UNLABELLED).long()

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "classes": list(self.classes)}

    @classmethod
    def read(cls, saved: Mapping[str, Any]) -> Self:
        given = described(saved, "the target", ModelError)
        return cls(given.get("name", str), classes_from_json(given.get("classes", list)))


def classes_from_json(saved: Sequence[Any]) -> tuple[Any, ...]:
    """The classes in a saved target. Raises ModelError for one that is neither a word nor a number."""
    if odd := [each for each in saved if not isinstance(each, str | int | float)]:
        raise ModelError(f"The classes of the target must be words or numbers; one is {brief(odd[0])}.")
    return tuple(saved)


def refuse_strange(name: str, strange: Sequence[Any], classes: Sequence[Any], rows: Data) -> None:
    """Raise DataError for `strange` labels, which are none of `classes`."""
    new, count = sorted(set(strange), key=str), len(strange)
    raise DataError(
        f"{rows.name} has {count} row{'s' if count > 1 else ''} of {', '.join(map(repr, new[:5]))} in "
        f"{name!r}, a class that no training row has; the model knows "
        f"{', '.join(map(repr, classes[:10]))}{', …' if len(classes) > 10 else ''}. Add training "
        "rows of it, or leave those rows out."
    )
