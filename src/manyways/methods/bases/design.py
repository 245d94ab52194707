"""Estimators over a design matrix: numbers standardised, categories one-hot, texts as sparse TF-IDF."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.methods.bases.estimator import EstimatorMethod
from manyways.models.estimators.base import Matrix, put
from manyways.models.estimators.design import DesignFeatures
from manyways.models.estimators.features import RowFeatures
from manyways.models.estimators.linear_scores import LinearScoresHead


@dataclass(frozen=True, kw_only=True)
class DesignMethod(EstimatorMethod):
    """A method that fits an estimator over a design matrix."""

    def features_of(self, data: Data, encoding: InputEncoding) -> tuple[RowFeatures, Matrix]:
        return DesignFeatures.fit(data, encoding)


def has_texts(encoding: InputEncoding) -> bool:
    """True if an input is text."""
    return any(encoder.spec.kind == "text" for encoder in encoding.encoders.values())


def linear_head(weights: NDArray[Any], bias: NDArray[Any] | float, outputs: int, learned: int) -> LinearScoresHead:
    """The head of a linear model with `weights` [products, width]."""
    weights = np.atleast_2d(np.asarray(weights, np.float64))
    head = LinearScoresHead(outputs, learned, weights.shape[1], weights.shape[0])
    put(head, weights=weights.T, bias=np.broadcast_to(np.asarray(bias, np.float64).ravel(), weights.shape[0]))
    return head
