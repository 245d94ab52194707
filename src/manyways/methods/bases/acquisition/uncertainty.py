"""Uncertainty sampling (Lewis & Gale 1994; Settles 2009): rows that a model is least sure of."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.targets import Target
from manyways.data.targets.base import CONFIDENCE
from manyways.methods.bases.acquisition import Ranking
from manyways.methods.bases.acquisition.pool import Pool


class Uncertainty(Ranking):
    """A score of the probabilities that a model gives the answers to a row's question: its class.

    Of a set of classes each is a question of its own, and the score is the mean over them. Of a label with a structure
    (tags, boxes, …) the question is whether the prediction as a whole is right: every score is as `least-confidence`.
    """

    def suits(self, kind: type[Target]) -> bool:
        return CONFIDENCE in kind.supports

    def scores(self, pool: Pool, rng: np.random.Generator) -> NDArray[np.float64]:
        if pool.target.structured:
            return np.asarray(1 - pool.model.confidences(pool.data))
        return np.asarray(self.uncertainty(pool.probabilities).mean(axis=1), np.float64)

    @abstractmethod
    def uncertainty(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """The uncertainty of probabilities [..., answers], over the last axis; higher is less sure."""


class LeastConfidence(Uncertainty):
    """One minus the probability of the most probable class."""

    name: ClassVar = "least-confidence"

    def uncertainty(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(1 - probabilities.max(axis=-1))


class Margin(Uncertainty):
    """Minus the lead of the most probable class over the second."""

    name: ClassVar = "margin"

    def uncertainty(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        top = np.partition(probabilities, -2, axis=-1)[..., -2:]
        return np.asarray(top[..., 0] - top[..., 1])


class Entropy(Uncertainty):
    """The entropy of the class, in nats."""

    name: ClassVar = "entropy"

    def uncertainty(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        return entropy(probabilities)


def entropy(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """The entropy of probabilities [..., answers] in nats, [...]."""
    return np.asarray(-np.einsum("...a,...a->...", probabilities, np.log(np.maximum(probabilities, 1e-12))))
