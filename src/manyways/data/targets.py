"""Targets: what a model should say, as numbers a loss can use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.checked_json import described, held, shown
from manyways.data.categories import places_in
from manyways.data.data import Data
from manyways.data.notation import as_numbers, is_missing
from manyways.data.phrases import count_of, listed
from manyways.errors import DataError, ModelError

UNLABELLED = -1
"""The code of a class that is missing or hidden; for numbers it is NaN."""


@dataclass(frozen=True)
class Target:
    """A label column: its classes in order, or the mean and standard deviation that standardise its numbers."""

    name: str
    classes: tuple[Any, ...] = ()
    mean: float = 0.0
    scale: float = 1.0

    @property
    def classification(self) -> bool:
        """Whether the label is one of several classes; a number otherwise."""
        return bool(self.classes)

    @property
    def width(self) -> int:
        """Outputs a model needs: one per class, or one for a number."""
        return len(self.classes) if self.classification else 1

    @staticmethod
    def fit(data: Data) -> "Target":
        """The target of `data`'s label. Raises DataError where fewer than two classes or labels are there."""
        training = data.training
        name = data.label.name
        if (shape := data.label.values.shape)[1:]:
            raise DataError(
                f"The label {name!r} of {data.name} has {shape[1]} values a row; it must have one. Of one-hot or soft "
                "labels give the class, labels.argmax(1); several labels are columns of their own: label=[…]."
            )
        if not training.labelled.any():
            raise DataError(
                f"No training row of {data.name} has a label in the column {name!r}; label some rows, or use a "
                "method that needs none, such as SimCLR or KMeans."
            )
        if data.classification:
            if len(data.classes) < 2:
                raise DataError(
                    f"All labels in the column {name!r} of {data.name} are {data.classes[0]!r}; two classes are "
                    "the least there is to tell apart."
                )
            return Target(name, data.classes)
        values = np.asarray(training.take(name)[training.labelled], np.float64)
        _refuse_infinite(name, training.select(training.labelled), values, "training ")
        return Target(name, (), float(values.mean()), float(values.std()) or 1.0)

    def encode(self, data: Data, *, hidden: bool = False) -> NDArray[Any]:
        """Class codes int64 [rows], -1 unlabelled; or standardised float32 [rows], NaN unlabelled.

        `hidden` includes the labels that are not visible, for scores on the test rows. Raises DataError for a
        class that the target does not know, and where there are labels, but not in the target's column.
        """
        if self.name not in data.columns:
            if hidden or data.labelled.any():
                raise DataError(
                    f"The model predicts {self.name!r}, and {data.name} has no column of that name; its columns are "
                    f"{', '.join(data.columns)}. Rename the label column to {self.name!r}."
                )
            nothing = UNLABELLED if self.classification else np.nan
            return np.full(len(data), nothing, np.int64 if self.classification else np.float32)
        values = data.take(self.name)
        seen = ~is_missing(values) if hidden else data.labelled & ~is_missing(values)
        if not self.classification:
            out = np.full(len(values), np.nan, np.float32)
            numbers, odd = as_numbers(values[seen])
            if len(odd):
                raise DataError(
                    f"The model predicts the number {self.name!r}, and {data.name} holds {values[seen][odd[0]]!r} "
                    f"there in row {data.source_rows[seen][odd[0]]} (rows count from 0). Correct the cell, or leave it "
                    "empty."
                )
            _refuse_infinite(self.name, data.select(seen), numbers)
            out[seen] = (numbers - self.mean) / self.scale
            return out
        codes = np.full(len(values), UNLABELLED, np.int64)
        codes[seen] = places_in(values[seen], self.classes)
        if (strange := seen & (codes < 0)).any():
            new, count = sorted(set(values[strange].tolist()), key=str), int(strange.sum())
            raise DataError(
                f"{data.name} has {count} row{'s' if count > 1 else ''} of {', '.join(map(repr, new[:5]))} in "
                f"{self.name!r}, a class that no training row has; the model knows "
                f"{', '.join(map(repr, self.classes[:10]))}{', …' if len(self.classes) > 10 else ''}. Add training "
                "rows of it, or leave those rows out."
            )
        return codes

    def decode(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Labels as the data has them, from class codes or standardised numbers."""
        if not self.classification:
            return np.asarray(outputs, np.float64) * self.scale + self.mean
        classes: NDArray[Any] = np.asarray(self.classes, dtype=object if isinstance(self.classes[0], str) else None)
        return np.asarray(classes[outputs])

    def to_json(self) -> dict[str, Any]:
        """All that `from_json` needs."""
        return {"name": self.name, "classes": list(self.classes), "mean": self.mean, "scale": self.scale}

    @staticmethod
    def from_json(saved: Mapping[str, Any]) -> "Target":
        """The target that `to_json` wrote. Raises ModelError for anything else."""
        given = described(saved, "the target", ModelError)
        classes = tuple(given.get("classes", list))
        if odd := [each for each in classes if not isinstance(each, str | int | float)]:
            raise ModelError(f"The classes of the target must be words or numbers; one is {shown(odd[0])}.")
        return Target(given.get("name", str), classes, given.get("mean", float), given.get("scale", float))


def _refuse_infinite(name: str, rows: Data, values: NDArray[np.float64], which: str = "") -> None:
    if not (odd := rows.source_rows[~np.isfinite(values)]).size:
        return
    raise DataError(
        f"The label {name!r} is infinite in {count_of(len(odd), f'{which}row')} of {rows.name} ({listed(odd)}; rows "
        "count from 0). Correct those labels, or leave them empty: a row without a label is unlabelled."
    )


def check_labels(data: Data) -> None:
    """Raise DataError, before anything is trained, where the labels of `data` cannot be learned from and scored by.

    As `Target.fit`, and where test rows have a class that no training row has; each of several labels.
    """
    for label in data.labels:
        one = data.with_label(label.name)
        Target.fit(one).encode(one.test, hidden=True)


@dataclass(frozen=True)
class Targets:
    """Several label columns: what each says, and where its outputs stand among those of all, side by side."""

    each: tuple[Target, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The labels, in order."""
        return tuple(target.name for target in self.each)

    @property
    def width(self) -> int:
        """Outputs of all labels together."""
        return sum(self.widths)

    @property
    def widths(self) -> list[int]:
        """Outputs of each label."""
        return [target.width for target in self.each]

    @staticmethod
    def fit(data: Data) -> "Targets":
        """The targets of the labels of `data`. Raises DataError as `Target.fit` does, for any of them."""
        return Targets(tuple(Target.fit(data.with_label(label.name)) for label in data.labels))

    def encode(self, data: Data) -> NDArray[np.float32]:
        """Class codes and standardised numbers, float32 [rows, labels]; NaN where a label is missing or hidden."""
        out = np.full((len(data), len(self.each)), np.nan, np.float32)
        for at, target in enumerate(self.each):
            if target.name in data.roles.get("label", ()):
                one = data.with_label(target.name)
                seen = one.labelled
                out[seen, at] = target.encode(one)[seen]
        return out

    def decode(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Predictions from `outputs` [rows, width]: a structured array [rows] with a field for each label."""
        said = []
        for target, part in zip(self.each, np.split(outputs, np.cumsum(self.widths)[:-1], axis=1), strict=True):
            said.append(target.decode(part.argmax(axis=1) if target.classification else part[:, 0]))
        found = np.empty(len(outputs), [(name, each.dtype) for name, each in zip(self.names, said, strict=True)])
        for name, each in zip(self.names, said, strict=True):
            found[name] = each
        return found

    def to_json(self) -> list[dict[str, Any]]:
        """All that `from_json` needs."""
        return [target.to_json() for target in self.each]

    @staticmethod
    def from_json(saved: Sequence[Mapping[str, Any]]) -> "Targets":
        """The targets that `to_json` wrote. Raises ModelError for anything else."""
        return Targets(tuple(map(Target.from_json, held(saved, list, "the targets", ModelError))))
