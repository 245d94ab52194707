"""The task of saying how probable rows are."""

from math import log

import numpy as np

from manyways.comparison.layouts import spread
from manyways.comparison.tasks.base import TEST_ROWS
from manyways.comparison.tasks.unlabelled import MOST_SCORED, SCORED_ON_THE_WAY, Unlabelled
from manyways.data.data import Data
from manyways.models.evaluation import Evaluation
from manyways.models.generator import modelled
from manyways.models.model import Model


class Density(Unlabelled):
    """Density estimation: by the log-likelihood of test rows, which are images, or tables of numbers."""

    name = "density"
    precedence = 96
    gives = frozenset({"density"})
    metrics = ("log_likelihood", "bic")
    beside = ("bic",)
    units = TEST_ROWS

    def allowed(self, data: Data) -> bool:
        numbers = all(column.kind in ("image", "number") for column in data.inputs)
        return super().allowed(data) and modelled(data) is None and numbers

    def score(self, model: Model, data: Data, rows: int | None) -> dict[str, float]:
        """The mean log-likelihood of test rows in nats; the criterion is of training rows."""
        some = spread(data.test, MOST_SCORED if rows is None else SCORED_ON_THE_WAY // 2)
        return dict(self._evaluation(model, data, some, whole=rows is None).scores)

    def evaluate(self, model: Model, data: Data, metric: str) -> Evaluation:
        found = self._evaluation(model, data, data.test, whole=True)
        return found if metric == "log_likelihood" else Evaluation(found.scores)

    def _evaluation(self, model: Model, data: Data, some: Data, *, whole: bool) -> Evaluation:
        if "density" not in model.gives:
            return Evaluation({})
        scored = spread(some, MOST_SCORED)  # an autoencoder decodes each row many times
        likelihoods = np.asarray(model.log_likelihood(scored), np.float64)
        scores = {"log_likelihood": float(likelihoods.mean())}
        count, parameters = len(data.training), model.lineage.facts.get("free_parameters")
        if whole and parameters is not None and count:
            mean = float(model.log_likelihood(spread(data.training, MOST_SCORED)).mean())
            scores["bic"] = parameters * log(count) - 2 * count * mean
        rows = np.full(len(some), np.nan)
        rows[np.linspace(0, len(some) - 1, len(scored)).astype(int)] = likelihoods
        return Evaluation(scores, rows)
