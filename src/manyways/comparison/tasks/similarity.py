"""The task of saying how alike two texts are."""

import numpy as np

from manyways.comparison.tasks.base import TEST_ROWS, Task
from manyways.correlations import CORRELATIONS, correlation_pseudo_values, correlations
from manyways.data.data import Data
from manyways.models.evaluation import Evaluation, of_all_rows
from manyways.models.model import Model


class Similarity(Task):
    """Saying how alike the two texts of a row are: the cosine of their vectors, or a prediction of the score itself."""

    name, rows = "similarity", ("pair", "pairs")
    precedence = 55
    gives = frozenset({"similarity", "regress"})
    metrics = CORRELATIONS
    labelled = True
    units = TEST_ROWS

    def applies(self, data: Data) -> bool:
        """True if rows are two texts with one label that is a number."""
        texts = [column.kind == "text" for column in data.inputs]
        return texts == [True, True] and len(data.labels) == 1 and data.label.kind == "number"

    def score(self, model: Model, data: Data, rows: int | None) -> dict[str, float]:
        test = data.test
        if rows is not None:
            test = test.select(np.arange(0, len(test), max(1, len(test) // rows)))
        return dict(self._of(model, test, "").scores)

    def evaluate(self, model: Model, data: Data, metric: str) -> Evaluation:
        return self._of(model, data.test, metric)

    def _of(self, model: Model, test: Data, metric: str) -> Evaluation:
        if "similarity" in model.gives:
            return model.evaluate_rows(test, metric)
        if "regress" not in model.gives:
            return Evaluation({})
        known = test.select(test.known)
        guess, truth = np.asarray(model.predict(known), np.float64), known.take(known.label.name).astype(np.float64)
        own = model.evaluate(test)
        values = of_all_rows(correlation_pseudo_values(metric, guess, truth), test.known)
        return Evaluation({**correlations(guess, truth), **own}, values)
