"""Naive Bayes over a design matrix."""

import numpy as np
import torch
from torch import Tensor

from manyways.models.estimators.base import Array, EstimatorHead, Matrix


class BayesHead(EstimatorHead):
    """log p(class) + Σ log p(feature | class): numbers are Gaussian, and stand first; all others are counted.

    Attributes:
        prior: The log-probability of each class, float64 [learned].
        mean, variance: Of the numbers in each class, float64 [learned, numbers].
        weights: The log-probability of a word or a category in each class, float64 [counted, learned].
    """

    name = "bayes"
    prior: Tensor
    mean: Tensor
    variance: Tensor
    weights: Tensor

    def __init__(self, outputs: int, learned: int, numbers: int, counted: int) -> None:
        super().__init__(outputs, learned, numbers=numbers, counted=counted)
        self.numbers = numbers
        self.register_buffer("prior", torch.zeros(learned, dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(learned, numbers, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(learned, numbers, dtype=torch.float64))
        self.register_buffer("weights", torch.zeros(counted, learned, dtype=torch.float64))

    def decide(self, features: Matrix) -> Array:
        joint = np.asarray(features[:, self.numbers :] @ self.weights.numpy()) + self.prior.numpy()
        if not self.numbers:
            return np.asarray(joint)
        numbers = features[:, : self.numbers]
        dense = numbers if isinstance(numbers, np.ndarray) else numbers.toarray()
        mean, variance = self.mean.numpy(), self.variance.numpy()
        for place in range(len(self.codes)):
            apart = np.square(dense - mean[place]) / variance[place] + np.log(2 * np.pi * variance[place])
            joint[:, place] -= 0.5 * apart.sum(axis=1)
        return np.asarray(joint)
