"""The task of putting rows together again from a few numbers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.comparison.exhibits import Exhibit
from manyways.comparison.layouts import flat, hidden, spread
from manyways.comparison.tasks.base import TEST_ROWS
from manyways.comparison.tasks.unlabelled import SCORED_ON_THE_WAY, Unlabelled, labels_of, mapped_rows, scattered
from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.models.evaluation import Evaluation
from manyways.models.generator import modelled
from manyways.models.model import Model
from manyways.models.principal_components import reconstruction_scores

TITLE = "The code on a map"
NOTE = "Test rows by the first two principal components of the numbers that each entry keeps of them."
SOME = 5000
"""Training rows whose mean the variance is about, at most."""


class Reconstruction(Unlabelled):
    """Reconstruction: by the share of the variance of test rows that is explained, with how many numbers of each."""

    name = "reconstruction"
    precedence = 97
    gives = frozenset({"reconstruct"})
    metrics = ("explained_variance", "reconstruction_error")
    beside = ("reconstruction_error", "dimensions")
    units = TEST_ROWS

    def allowed(self, data: Data) -> bool:
        return super().allowed(data) and modelled(data) is None

    def score(self, model: Model, data: Data, rows: int | None) -> dict[str, float]:
        some = spread(data.test, len(data.test) if rows is None else SCORED_ON_THE_WAY)
        return dict(self._evaluation(model, data, some, "").scores)

    def evaluate(self, model: Model, data: Data, metric: str) -> Evaluation:
        return self._evaluation(model, data, data.test, metric)

    def _evaluation(self, model: Model, data: Data, some: Data, metric: str) -> Evaluation:
        if "reconstruct" not in model.gives:
            return Evaluation({})
        known = hidden(data)
        about = spread(known.training if len(known.training) else known, SOME)
        encoding = InputEncoding.fit(known)
        rows, again = _values(encoding, some), _values(encoding, model.reconstruct(some))
        lost = np.square(rows - again).sum(1)
        whole = np.square(rows - _values(encoding, about).mean(0)).sum(1)
        width = model.embed(spread(some, 1)).shape[1] if "embed" in model.gives else rows.shape[1]
        scores, contributed = reconstruction_scores(lost, whole, rows.shape[1], width)
        return Evaluation(scores, contributed.get(metric))

    def exhibits(self, model: Model, test: Data) -> tuple[Exhibit, ...]:
        if "embed" not in model.gives or not len(test):
            return ()
        places = flat(model.embed(mapped_rows(test)))
        return (
            scattered(TITLE, NOTE, test, places, labels_of(mapped_rows(test)), test.label.name if test.labels else ""),
        )


def _values(encoding: InputEncoding, rows: Data) -> NDArray[np.float64]:
    """`rows` as they are encoded, [rows, numbers]; pixels in [0, 1]."""
    encoded = encoding.encode(rows)
    (values,) = encoded.batch(np.arange(len(encoded))).values()
    numbers: NDArray[Any] = values.flatten(1).numpy()
    return numbers / 255.0 if numbers.dtype == np.uint8 else numbers.astype(np.float64)
