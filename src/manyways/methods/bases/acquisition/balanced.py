"""Class-balanced acquisition: unsure rows of classes that have few labels."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.targets import Target
from manyways.methods.bases.acquisition import Acquisition
from manyways.methods.bases.acquisition.pool import Pool
from manyways.methods.bases.acquisition.uncertainty import entropy

WEIGHT = 1.0
"""The weight of balance beside the entropy, which is divided by its largest value."""


class Balanced(Acquisition):
    """Rows that the model is unsure of, and whose predicted classes are rare among the labels.

    After Bengar et al. (Class-balanced active learning, WACV 2022): the batch is to have a high entropy, and labels of
    all classes as often; row by row in place of their linear programme, each row that adds most.
    """

    name: ClassVar = "balanced"

    def suits(self, kind: type[Target]) -> bool:
        return kind.gives == "classify"

    def choose(self, pool: Pool, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        codes = np.asarray(pool.target.encode(pool.labelled))
        return balancing(pool.probabilities[:, 0], np.bincount(codes, minlength=len(pool.target.classes)), count)


def balancing(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], count: int, weight: float = WEIGHT
) -> NDArray[np.int64]:
    """`count` rows of high entropy whose expected classes raise those with few `labels` [classes] to an even share."""
    classes = probabilities.shape[1]
    count = min(count, len(probabilities))
    share = (labels.sum() + count) / classes
    unsure = entropy(probabilities) / max(np.log(classes), 1e-12)
    expected = labels.astype(np.float64)
    chosen = np.empty(count, np.int64)
    for place in range(count):
        missing = np.maximum(share - expected, 0)
        value = unsure + weight * (probabilities @ (missing / max(missing.max(), 1e-12)))
        value[chosen[:place]] = -np.inf
        chosen[place] = int(value.argmax())
        expected += probabilities[chosen[place]]
    return chosen
