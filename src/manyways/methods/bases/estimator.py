"""Methods whose model is an estimator of scikit-learn, fitted there and written into arrays."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.groups import aside
from manyways.data.parts import TRAINING
from manyways.data.targets import Target, predictions
from manyways.data.targets.forecast import ForecastTarget
from manyways.methods.bases.forecasting import forecaster
from manyways.methods.method import Learned, Method
from manyways.methods.needs import Input, NumbersOrClasses
from manyways.models.estimator import Estimator, EstimatorNetwork
from manyways.models.estimators.base import ConstantHead, EstimatorHead, Matrix, OneVsRestHead, put
from manyways.models.estimators.features import RowFeatures
from manyways.models.model import Model
from manyways.training.budget import Budget
from manyways.training.run import Run

SET_ASIDE = 0.1
"""Share of the labelled rows by which early stopping ends: scikit-learn's validation_fraction."""


@dataclass(frozen=True, eq=False)
class Fitting:
    """The rows that an estimator is fitted on.

    Attributes:
        features: The features, [rows, width].
        labels: Class codes, int64 [rows], or numbers in the label's own unit, float64 [rows], or several of them a row.
        classes: The number of all classes, 0 where labels are numbers.
        weights: Sample weights, float64 [rows]; None: all 1.
        seed: Seed.
        encoding: The encoding of the columns.
        reader: What reads features of rows.
        aside: A mask of a tenth of the rows to stop early by, where some belong together and must be on one side; None
            where the estimator may draw them.
    """

    features: Matrix
    labels: NDArray[Any]
    classes: int
    weights: NDArray[np.float64] | None
    seed: int
    encoding: InputEncoding
    reader: RowFeatures
    aside: NDArray[np.bool_] | None = None

    @property
    def classification(self) -> bool:
        """True if labels are classes."""
        return self.classes > 0

    @property
    def sparse(self) -> bool:
        """True if features are a sparse matrix."""
        return not isinstance(self.features, np.ndarray)

    @property
    def outputs(self) -> int:
        """Outputs of the head."""
        return max(1, self.classes) if self.labels.ndim == 1 else int(self.labels.shape[1])


@dataclass(frozen=True, kw_only=True)
class EstimatorMethod(Method):
    """A method that fits an estimator of scikit-learn on the labelled rows, whatever the budget.

    Features are learned from the labelled rows alone, as a pipeline of scikit-learn would. What is fitted is written
    into a head's arrays, which say of rows what the estimator says. Label sets are learned one class against the rest.
    """

    needs: ClassVar = (Input, NumbersOrClasses)
    uses: ClassVar = ("weight",)
    gives: ClassVar = predictions(structured=False) | {ForecastTarget.gives}
    missing_values: ClassVar = True
    several_outputs: ClassVar[bool] = False
    """True if it learns several numbers of a row at once; else the values of a forecast are learned one by one."""
    weighs_forecasts: ClassVar[bool] = True
    """True if errors of a forecast count in deviations of the whole series; else in those of the stretch before."""

    @abstractmethod
    def features_of(self, data: Data, encoding: InputEncoding) -> tuple[RowFeatures, Matrix]:
        """The features of `data`, all of whose rows are learned from, and their matrix."""

    @abstractmethod
    def head_of(self, fitting: Fitting) -> EstimatorHead:
        """The fitted estimator as arrays; of classes there are two at least."""

    def lacks_of(self, data: Data) -> str | None:
        if reason := super().lacks_of(data):
            return reason
        if getattr(self, "class_weight", None) is not None and data.label_kind == "number":
            return f"the label {data.label.name!r} is a number, and has no classes to weigh. Leave class_weight out."
        return None

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        several, weighs = self.several_outputs, self.weighs_forecasts
        return fitted_on(data, seed, self.features_of, self.head_of, several_outputs=several, weighs_forecasts=weighs)


def fitted_on(
    data: Data,
    seed: int,
    features_of: Callable[[Data, InputEncoding], tuple[RowFeatures, Matrix]],
    head_of: Callable[[Fitting], EstimatorHead],
    *,
    several_outputs: bool = False,
    weighs_forecasts: bool = True,
) -> Learned:
    """The estimator of the labelled training rows of `data`, from which alone features are learned, too.

    Args:
        data: The rows.
        seed: Seed.
        features_of: As `EstimatorMethod.features_of`.
        head_of: As `EstimatorMethod.head_of`.
        several_outputs: As `EstimatorMethod.several_outputs`.
        weighs_forecasts: As `EstimatorMethod.weighs_forecasts`.
    """
    target = Target.fit(data)
    used: NDArray[np.bool_] = (data.part[data.rows] == TRAINING) & data.labelled
    rows = data.select(used)
    encoding = InputEncoding.fit(rows, plain=True)
    features, matrix = features_of(rows, encoding)
    kept_apart = aside(rows, SET_ASIDE, seed)

    def of_numbers(matrix: Matrix, labels: NDArray[Any], weights: NDArray[np.float64] | None) -> EstimatorHead:
        return head_of(Fitting(matrix, labels, 0, weights, seed, encoding, features, kept_apart))

    def head(labels: NDArray[Any], classes: int) -> EstimatorHead:
        fitting = Fitting(matrix, labels, classes, rows.sample_weights, seed, encoding, features, kept_apart)
        seen = np.unique(labels) if classes else np.empty(0, np.int64)
        fitted = ConstantHead(classes) if len(seen) == 1 else head_of(fitting)
        if classes:
            put(fitted, codes=seen)
        return fitted

    with threads(torch.get_num_threads()):
        if isinstance(target, ForecastTarget):
            ends = forecaster(
                rows, target, features, matrix, of_numbers,
                several_outputs=several_outputs, weighted=weighs_forecasts,
            )  # fmt: skip
            return Learned(Estimator(network=EstimatorNetwork(*ends), inputs=encoding, target=target), used)
        if target.activation == "identity":
            fitted = head(np.asarray(rows.take(target.name), np.float64), 0)
        elif target.activation == "softmax":
            fitted = head(target.encode(rows), target.width)
        else:
            fitted = OneVsRestHead([head(each.astype(np.int64), 2) for each in target.encode(rows).T])
    network = EstimatorNetwork(features, fitted)
    return Learned(Estimator(network=network, inputs=encoding, target=target), used)


@contextmanager
def threads(most: int) -> Iterator[None]:
    """Let compiled code of scikit-learn, SciPy and NumPy run on so many threads at most."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=most):
        yield
