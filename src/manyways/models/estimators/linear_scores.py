"""Linear models as arrays: logistic and ridge regression, linear support vector machines."""

import numpy as np
import torch
from torch import Tensor

from manyways.models.estimators.base import Array, EstimatorHead, Matrix


class LinearScoresHead(EstimatorHead):
    """Products with weights: logits of classes, or a number; of two classes one product, the logit of the second.

    Attributes:
        weights: float64 [width, products].
        bias: float64 [products].
    """

    name = "linear-scores"
    weights: Tensor
    bias: Tensor

    def __init__(self, outputs: int, learned: int, features: int, products: int) -> None:
        super().__init__(outputs, learned, features=features, products=products)
        self.register_buffer("weights", torch.zeros(features, products, dtype=torch.float64))
        self.register_buffer("bias", torch.zeros(products, dtype=torch.float64))

    def decide(self, features: Matrix) -> Array:
        scores = np.asarray(features @ self.weights.numpy()) + self.bias.numpy()
        return np.hstack([np.zeros_like(scores), scores]) if len(self.codes) == 2 else scores
