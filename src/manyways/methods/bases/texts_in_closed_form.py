"""Closed forms that read texts as sparse TF-IDF, and other inputs as other closed forms do."""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.methods.bases.closed_form import ClosedForm, shaping
from manyways.methods.bases.estimator import Fitting, fitted_on
from manyways.methods.features import AUTO
from manyways.methods.forgetting import forgetting, remade
from manyways.methods.method import Learned
from manyways.models.estimator import Estimator
from manyways.models.estimators.base import EstimatorHead, Matrix
from manyways.models.estimators.features import RowFeatures
from manyways.models.model import Model
from manyways.training.budget import Budget
from manyways.training.run import Run


@dataclass(frozen=True, kw_only=True)
class TextsInClosedForm(ClosedForm):
    """A closed form whose model of texts is an estimator over their TF-IDF.

    Which terms there are, and how rare each is, follows from all rows; so rows are forgotten by counting those that
    stay, which gives bitwise the model of these alone, in the seconds that it takes to learn.
    """

    @abstractmethod
    def features_of(self, data: Data, encoding: InputEncoding) -> tuple[RowFeatures, Matrix]:
        """The features of `data`, all of whose rows are learned from, and their matrix."""

    @abstractmethod
    def head_of(self, fitting: Fitting) -> EstimatorHead:
        """The closed form of texts as arrays; of classes there are two at least."""

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        texts = any(column.kind == "text" for column in data.inputs)
        if model is not None or self.backbone != AUTO or not texts:
            return super().learn(data, model, budget, seed, run)
        return fitted_on(data, seed, self.features_of, self.head_of)

    def forget(
        self, model: Model, data: Data, rows: NDArray[np.bool_], *, budget: Budget | str | int | None = None,
        seed: int | None = None, run: Run | None = None,
    ) -> Model:  # fmt: skip
        if not isinstance(model, Estimator):
            return super().forget(model, data, rows, budget=budget, seed=seed, run=run)
        task = forgetting(
            self, model, data, rows, shaping(data), own=model.lineage.rows, before=model.lineage.parents,
            budget=budget, seed=seed,
        )  # fmt: skip
        self.check(task.rest)
        return remade(self, fitted_on(task.rest, task.seed, self.features_of, self.head_of), task, model, run)
