"""The task of embedding rows so that those of one class are near each other."""

import numpy as np

from manyways.comparison.exhibits import Exhibit
from manyways.comparison.layouts import flat, spread
from manyways.comparison.tasks.base import TEST_ROWS
from manyways.comparison.tasks.unlabelled import (
    SCORED_ON_THE_WAY,
    Unlabelled,
    has_classes,
    known_classes,
    labels_of,
    mapped_rows,
    scattered,
)
from manyways.data.data import Data
from manyways.models.evaluation import Evaluation, of_all_rows
from manyways.models.model import Model

NEIGHBOURS, MOST_NEAR = 20, 10_000
"""Neighbours that vote, and training rows that they are among, at most: evenly spread."""
TITLE = "The features on a map"
NOTE = "Test rows by the first two principal components of the features of each entry."


class Representation(Unlabelled):
    """Representation: by how often the nearest training rows, by their features, are of the class of a test row.

    Methods see no label; those of training rows are known to the score alone.
    """

    name = "representation"
    precedence = 99
    gives = frozenset({"embed"})
    metrics = ("knn_accuracy",)
    beside = ("dimensions",)
    of_labels = frozenset({"knn_accuracy"})
    units = TEST_ROWS

    def allowed(self, data: Data) -> bool:
        return data.environment is None and bool(data.inputs) and has_classes(data) and bool(data.training.known.any())

    def score(self, model: Model, data: Data, rows: int | None) -> dict[str, float]:
        some = spread(data.test, len(data.test) if rows is None else SCORED_ON_THE_WAY)
        return dict(self._evaluation(model, data, some).scores)

    def evaluate(self, model: Model, data: Data, metric: str) -> Evaluation:
        return self._evaluation(model, data, data.test)

    def _evaluation(self, model: Model, data: Data, some: Data) -> Evaluation:
        """By cosine (Wu et al., CVPR 2018, without its temperature)."""
        from sklearn.neighbors import KNeighborsClassifier

        if "embed" not in model.gives or not some.known.any():
            return Evaluation({})
        near = spread(data.training.select(np.flatnonzero(data.training.known)), MOST_NEAR)
        features = model.embed(near)
        classes, _ = known_classes(near)
        neighbours = KNeighborsClassifier(min(NEIGHBOURS, len(near)), metric="cosine", algorithm="brute")
        truth, known = known_classes(some)
        found = neighbours.fit(features, classes).predict(model.embed(some.select(np.flatnonzero(known))))
        right = (found == truth).astype(np.float64)
        scores = {"knn_accuracy": float(right.mean()), "dimensions": float(features.shape[1])}
        return Evaluation(scores, of_all_rows(right, known))

    def exhibits(self, model: Model, test: Data) -> tuple[Exhibit, ...]:
        if "embed" not in model.gives or not len(test):
            return ()
        rows = mapped_rows(test)
        return (scattered(TITLE, NOTE, test, flat(model.embed(rows)), labels_of(rows), test.label.name),)
