"""Notes of active learning on its way: the score at each number of labels, and the area under that curve."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from manyways.comparison.exhibits import Exhibit, Matrix
from manyways.metrics import AREA_UNDER_LABEL_CURVE
from manyways.models.model import Model
from manyways.training.events import Event

LABELS = "labels"
"""The value of a milestone that says how many labels a model learned from."""
NOTE = "The score of the model of each round on the test rows, at most 2,000 of them, by the labels it learned from."


class LabelCurveNotes:
    """Scores by number of labels, of the outermost method that asks for them.

    Args:
        score: Returns the usual score of a model, None where it has none.
    """

    def __init__(self, score: Callable[[Model], float | None]) -> None:
        self._score = score
        self._points: dict[str, dict[int, float]] = {}

    def __call__(self, event: Event) -> None:
        """Score the model of a round."""
        if event.model is None or LABELS not in event.values:
            return
        points, labels = self._points.setdefault(event.stage, {}), int(event.values[LABELS])
        if labels not in points and (score := self._score(event.model())) is not None:
            points[labels] = score

    def finish(self, model: Model) -> None:
        """Do nothing: the last model was one of those on the way."""

    @property
    def curve(self) -> list[tuple[int, float]]:
        """Labels and scores of the outermost stage, the fewest labels first."""
        if not self._points:
            return []
        return sorted(self._points[min(self._points, key=len)].items())

    def scores(self) -> dict[str, float]:
        """The area under the curve, divided by the labels that were asked for: the mean score on the way."""
        curve = self.curve
        if len(curve) < 2:
            return {}
        labels, values = np.array(curve).T
        return {AREA_UNDER_LABEL_CURVE.name: float(np.trapezoid(values, labels) / (labels[-1] - labels[0]))}

    def exhibits(self) -> tuple[Exhibit, ...]:
        """The curve as a table."""
        if len(self.curve) < 2:
            return ()
        labels, values = zip(*self.curve, strict=True)
        matrix = Matrix(("score",), tuple(f"{count:,} labels" for count in labels), (values,), percent=False)
        return (Exhibit("Scores on the way", NOTE, matrix=matrix),)

    def to_json(self) -> dict[str, Any]:
        """The notes as JSON values."""
        return {stage: [list(point) for point in points.items()] for stage, points in self._points.items()}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `to_json` gave."""
        self._points = {stage: {int(at): float(value) for at, value in points} for stage, points in saved.items()}
