"""BADGE: rows whose gradients are large and unlike one another."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.targets import Target
from manyways.methods.bases.acquisition import Acquisition
from manyways.methods.bases.acquisition.committee import has_probabilities
from manyways.methods.bases.acquisition.pool import Pool

Values = NDArray[np.float32]


class Badge(Acquisition):
    """k-means++ on the gradients of the last layer for the predicted labels (Ash et al., ICLR 2020).

    The gradient of a row is the outer product of its residual, probabilities minus the predicted answer, and its
    features h. It is never built: the product of two of them is <p_i - e_i, p_j - e_j> <h_i, h_j>.
    """

    name: ClassVar = "badge"

    def suits(self, kind: type[Target]) -> bool:
        return has_probabilities(kind)

    def choose(self, pool: Pool, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        return gradient_centres(residuals(pool.probabilities), pool.features, count, rng)


def residuals(probabilities: NDArray[np.float64]) -> Values:
    """The probabilities [rows, questions, answers] minus the most probable answer, [rows, questions * answers]."""
    predicted = probabilities.argmax(axis=-1)[..., None]
    out = probabilities.astype(np.float32)
    np.put_along_axis(out, predicted, np.take_along_axis(out, predicted, -1) - 1, -1)
    return out.reshape(len(out), -1)


def gradient_centres(
    errors: NDArray[np.float32], features: NDArray[np.float32], count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """`count` rows by k-means++ on the outer products of `errors` [rows, a] and `features` [rows, b].

    The first is that of the longest gradient; each further one is drawn in proportion to its squared distance from the
    nearest that was chosen.
    """
    errors = np.ascontiguousarray(errors, np.float32)
    features = np.ascontiguousarray(features, np.float32)
    norms = np.einsum("ia,ia->i", errors, errors) * np.einsum("ib,ib->i", features, features)
    chosen = np.empty(min(count, len(norms)), np.int64)
    nearest = norms.copy()
    for place in range(len(chosen)):
        row = int(norms.argmax()) if place == 0 else drawn(nearest, rng)
        chosen[place] = row
        products = (errors @ errors[row]) * (features @ features[row])
        apart = norms + norms[row] - 2 * products
        nearest = np.maximum(apart, 0) if place == 0 else np.minimum(nearest, np.maximum(apart, 0))
        nearest[chosen[: place + 1]] = -1
    return chosen


def drawn(weights: Values, rng: np.random.Generator) -> int:
    """A row in proportion to its weight, of those of -1 none; where all others weigh nothing, any of them."""
    open_rows = weights >= 0
    ends = np.cumsum(np.where(open_rows, weights, 0), dtype=np.float64)
    if not ends[-1] > 0:
        return int(rng.choice(np.flatnonzero(open_rows)))
    row = int(np.searchsorted(ends, rng.random() * ends[-1], side="right"))
    return min(row, len(weights) - 1) if weights[min(row, len(weights) - 1)] > 0 else int(weights.argmax())
