"""TypiClust: rows that are like many others, one of each group, for the first labels of all."""

import warnings
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.methods.bases.acquisition import Acquisition
from manyways.methods.bases.acquisition.pool import Pool

NEIGHBOURS, MOST_CLUSTERS, SMALLEST = 20, 500, 5
"""Neighbours that typicality is the inverse mean distance of, the most clusters, and the fewest rows of one."""


class Typical(Acquisition):
    """The most typical row of each of the largest clusters without a label (Hacohen et al., TypiClust, ICML 2022).

    With few labels it beats uncertainty, which looks for rows that are like no others.
    """

    name: ClassVar = "typical"
    starts: ClassVar = True

    def choose(self, pool: Pool, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        return typical_rows(pool.features, pool.labelled_features, count, int(rng.integers(2**31)))


def typical_rows(
    features: NDArray[np.float32], labelled: NDArray[np.float32], count: int, seed: int
) -> NDArray[np.int64]:
    """`count` rows of `features`: of the largest cluster with the fewest labels the most typical, and so on."""
    everything = np.concatenate([labelled, features])
    count = min(count, len(features))
    clusters = clustered(everything, min(len(labelled) + count, MOST_CLUSTERS, len(everything)), seed)
    of_row = clusters[len(labelled) :]
    sizes = np.bincount(clusters, minlength=clusters.max() + 1)
    labels = np.bincount(clusters[: len(labelled)], minlength=len(sizes))
    ranked = [_by_typicality(features, np.flatnonzero(of_row == cluster)) for cluster in range(len(sizes))]
    chosen: list[int] = []
    while len(chosen) < count:
        open_clusters = [cluster for cluster, rows in enumerate(ranked) if rows]
        # Small clusters are outliers more often than groups: they come last.
        cluster = min(open_clusters, key=lambda each: (sizes[each] < SMALLEST, labels[each], -sizes[each]))
        chosen.append(ranked[cluster].pop(0))
        labels[cluster] += 1
    return np.array(chosen, np.int64)


def clustered(features: NDArray[np.float32], count: int, seed: int) -> NDArray[np.int64]:
    """The cluster of each row by k-means; in mini-batches where there are many clusters, as the paper has it."""
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    kind = KMeans if count <= 50 else MiniBatchKMeans
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # rows that are equal make fewer clusters
        return np.asarray(kind(count, n_init=3, random_state=seed).fit_predict(features), np.int64)


def _by_typicality(features: NDArray[np.float32], rows: NDArray[np.int64]) -> list[int]:
    """`rows`, from the one whose nearest neighbours among them are the nearest on."""
    from sklearn.neighbors import NearestNeighbors

    if len(rows) < 3:
        return list(map(int, rows))
    neighbours = min(NEIGHBOURS, len(rows) - 1)
    distances, _ = NearestNeighbors(n_neighbors=neighbours + 1).fit(features[rows]).kneighbors(features[rows])
    return list(map(int, rows[np.argsort(distances[:, 1:].mean(axis=1), kind="stable")]))
