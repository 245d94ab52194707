"""Labels with a structure (sequences, trees, spans, boxes, masks): structured prediction."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from manyways.data.categories import as_objects
from manyways.data.data import Data
from manyways.data.kinds import KINDS
from manyways.data.targets.base import Outputs, Review, Target
from manyways.errors import DataError, ModelError

STEP = 1e-3
"""Weight, of all rows together, that a row is given more to see what a score would change."""


@dataclass(frozen=True, eq=False)
class Structure:
    """Outputs for a batch that are several tensors [rows, ...]; what else a subclass holds is of all rows."""

    def __len__(self) -> int:
        return len(self.tensors[0][1])

    @property
    def tensors(self) -> list[tuple[str, Tensor]]:
        """The tensors by the names of their fields."""
        values = [(each.name, getattr(self, each.name)) for each in fields(self)]
        return [(name, value) for name, value in values if isinstance(value, Tensor)]

    def __getitem__(self, rows: Any) -> Self:
        """The outputs for some of the rows: a mask, positions or a slice."""
        return replace(self, **{name: value[rows] for name, value in self.tensors})

    def detach(self) -> Self:
        """The same without gradients."""
        return replace(self, **{name: value.detach() for name, value in self.tensors})


@dataclass(frozen=True, eq=False)
class Prediction:
    """The prediction for one row.

    Attributes:
        code: The predicted label, encoded; no longer than the row needs.
        confidence: The probability, in (0, 1), that the model gives it as a whole, or a score that stands for one.
    """

    code: NDArray[Any]
    confidence: float


@dataclass(frozen=True)
class StructuredTarget(Target, ABC):
    """A label that is no single class or number: encoded labels [rows, ...] of any shape, padded.

    Outputs are what its head gives for a batch: a tensor, or a `Structure`. A kind states its sums: `statistics` of
    each row, of which all its metrics are functions (`scores_of`), so that each score has an interval over rows.
    """

    activation = "identity"
    structured = True
    supports: ClassVar[frozenset[str]] = frozenset()
    endings: ClassVar[tuple[str, ...]] = ()
    """Endings of files that `write` writes; "" for a folder."""

    def decode_rows(self, codes: Sequence[NDArray[Any]], rows: Data) -> NDArray[Any]:
        """The labels that the predicted `codes` stand for, as the data have them, objects [rows].

        Here a kind goes by what is known of the rows, such as the size of a picture before it came to that of all.
        """
        return as_objects([self.decode(code[None])[0] for code in codes])

    def recoded(self, codes: Sequence[NDArray[Any]], other: "StructuredTarget", rows: Data) -> Sequence[NDArray[Any]]:
        """The codes of this target for what `codes` of the `other`, of the same kind, predict for `rows`."""
        labels = KINDS.find(self.column_kind).labels(self.name, other.decode_rows(codes, rows))
        return list(self.codes_of(labels, rows))

    @abstractmethod
    def predictions(self, outputs: Outputs) -> list[Prediction]:
        """The prediction for each row of a batch, of the outputs for it."""

    def vote(self, predictions: Sequence[Prediction]) -> Prediction:
        """The prediction of a committee for one row, of those of its members: here that of the surest one."""
        return max(predictions, key=lambda each: each.confidence)

    @abstractmethod
    def statistics(self, predicted: Sequence[NDArray[Any]], truth: NDArray[Any], rows: Data) -> NDArray[np.float64]:
        """Sums that the metrics are functions of, float64 [rows, sums].

        Args:
            predicted: The predicted code of each row.
            truth: The encoded labels of the rows, all known.
            rows: The rows, with their inputs.
        """

    @abstractmethod
    def scores_of(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """The metrics by name, each [...], of statistics [..., sums] added up over rows."""

    def example(self, row: Data, truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, Any]:
        """A row with its true and its predicted label as JSON values, for a report to draw.

        The drawing is that of its kind in `manyways.comparison.report.drawings`, which says what it takes. Here: both
        labels in words.

        Args:
            row: The row alone.
            truth: Its encoded label.
            predicted: The predicted code.
        """
        true, guess = (str(self.decode(np.asarray(code)[None])[0]) for code in (truth, predicted))
        return {"truth": true, "predicted": guess}

    def row_scores(self, predicted: Sequence[NDArray[Any]], truth: NDArray[Any], rows: Data) -> NDArray[np.float64]:
        """The usual score of each row by itself, float64 [rows], NaN where it has none: a report shows the worst."""
        return self.scores_of(self.statistics(predicted, truth, rows))[self.metric]

    def cell(self, label: Any) -> str:
        """A label, as `decode` gives it, as the cell of a table: text as it is, lists and objects as JSON."""
        return label if isinstance(label, str) else json.dumps(label, ensure_ascii=False)

    def write(self, rows: Data, labels: NDArray[Any], path: Path) -> None:
        """Write `labels`, as `predict` gives them for `rows`, to `path` in the format that its ending names.

        Raises:
            DataError: The file cannot be written.
        """
        raise DataError(f"Labels of the kind {self.kind} are written as CSV alone: name a file that ends with .csv.")

    @abstractmethod
    def losses(self, outputs: Outputs, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """The loss of each row, [rows]."""

    def pseudo_labels_of(self, outputs: Outputs, threshold: float) -> tuple[Tensor, Tensor]:
        """Guesses as encoded labels, unlabelled where unsure, and the share [rows] of a row's parts that are sure.

        Args:
            outputs: Outputs for rows.
            threshold: Least probability of a part (a word's tag, a pixel's class) that counts.
        """
        self._no_vector()

    def scores_of_rows(
        self, predicted: Sequence[NDArray[Any]], truth: NDArray[Any], rows: Data, metric: str = ""
    ) -> tuple[dict[str, float], NDArray[np.float64] | None]:
        """The metrics by name, and the pseudo-values [rows] of `metric`; None where it has none. Arguments as above."""
        if not len(rows):
            raise DataError("There is no row with a known label to compute a score on.")
        statistics = self.statistics(predicted, truth, rows)
        scores = {name: float(value) for name, value in self.scores_of(statistics.sum(axis=0)).items()}
        return scores, self._pseudo_values(metric, statistics) if metric in scores else None

    def _pseudo_values(self, metric: str, statistics: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """The score, and what it would change if a row weighed more: the infinitesimal jackknife (Jaeckel 1972)."""
        count, total = len(statistics), statistics.sum(axis=0)
        score = self.scores_of(total)[metric]
        direction = STEP * (statistics - total / count)
        up, down = (self.scores_of(total + sign * direction)[metric] for sign in (1, -1))
        values = score + count * (up - down) / (2 * STEP)
        return None if not np.isfinite(values).all() else np.asarray(values - values.mean() + score)

    # What follows is asked of labels of one vector of outputs a row; these have none.

    @property
    def width(self) -> int:
        return 0

    def best(self, outputs: NDArray[Any]) -> NDArray[Any]:
        self._no_vector()

    def scores(self, outputs: NDArray[Any], codes: NDArray[Any]) -> dict[str, float]:
        self._no_vector()

    def review(self, outputs: NDArray[Any], codes: NDArray[Any], most: int, spread: int) -> Review:
        self._no_vector()

    def consistency_loss(self, student: Outputs, teacher: Outputs) -> Tensor:
        self._no_vector()

    def distillation_loss(self, student: Outputs, teacher: Outputs, temperature: float) -> Tensor:
        self._no_vector()

    def _no_vector(self) -> NoReturn:
        raise ModelError(
            f"The label {self.name!r} is of the kind {self.kind}, which has no vector of outputs for each row; ask the "
            "model to predict or evaluate."
        )
