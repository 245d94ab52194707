"""Retrieval, and its scores."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from manyways.data.storage import chunks_of
from manyways.metrics import metric_of
from manyways.models.evaluation import Evaluation

AT = (1, 5, 10)
"""Recall is how often a partner is among so many that are found first."""


@dataclass(frozen=True, eq=False)
class Found:
    """Rows found for each query, the nearest first: `rows`, positions int64 [queries, k], and their `similarity`.

    The similarity is a cosine, float32 [queries, k].
    """

    rows: NDArray[np.int64]
    similarity: NDArray[np.float32]


def nearest(queries: NDArray[np.float32], among: NDArray[np.float32], k: int) -> Found:
    """The `k` of `among` [rows, width] most similar to each of `queries` [queries, width]; vectors of length 1.

    All of them where there are fewer; the first of two that are as near.
    """
    k = min(k, len(among))
    rows, similarity = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
    for chunk in chunks_of(len(queries), row_bytes=8 * max(1, len(among))):
        found = queries[chunk] @ among.T
        rows[chunk] = np.argsort(-found, axis=1, kind="stable")[:, :k]
        similarity[chunk] = np.take_along_axis(found, rows[chunk], axis=1)
    return Found(rows, similarity)


def ranks(
    query_vectors: NDArray[np.float32],
    candidate_vectors: NDArray[np.float32],
    query_ids: NDArray[np.int64],
    candidate_ids: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rank of the first right one of each query, from 1; and the share of what could be found that is right.

    What is the same is a query, and a candidate, but once; all that are paired with the same are right. Of what is as
    near as the right one, half stands before it: a model that tells nothing apart ranks in the middle.

    Args:
        query_vectors: Vectors of the queries, float32 [pairs, width].
        candidate_vectors: Vectors of the candidates, float32 [pairs, width].
        query_ids: Numbers that are the same for the same query [pairs].
        candidate_ids: Numbers that are the same for the same candidate [pairs].
    """
    queries, first_asked, query_of = np.unique(query_ids, return_index=True, return_inverse=True)
    items, first_found, item_of = np.unique(candidate_ids, return_index=True, return_inverse=True)
    query_of, item_of = query_of.reshape(-1), item_of.reshape(-1)
    order = np.argsort(query_of, kind="stable")
    bounds = np.searchsorted(query_of[order], np.arange(len(queries) + 1))
    where, share = np.empty(len(queries)), np.empty(len(queries))
    vectors = candidate_vectors[first_found].T
    for chunk in chunks_of(len(queries), row_bytes=8 * max(1, len(items))):
        near = query_vectors[first_asked[chunk]] @ vectors
        right = np.zeros(near.shape, bool)
        for at, query in enumerate(chunk):
            right[at, item_of[order[bounds[query] : bounds[query + 1]]]] = True
        best = np.where(right, near, -np.inf).max(axis=1, keepdims=True)
        before, level = ((near > best) & ~right).sum(axis=1), ((near == best) & ~right).sum(axis=1)
        where[chunk], share[chunk] = 1 + before + level / 2, right.mean(axis=1)
    return where, share


def retrieval_metrics(where: NDArray[np.float64], share: NDArray[np.float64], items: int) -> dict[str, float]:
    """Recall at 1, 5 and 10, the median rank, and recall at 10 by chance, of what `ranks` gives among `items`."""
    recalls = {f"recall_at_{k}": float((where <= k).mean()) for k in AT}
    by_chance = recall_by_chance(share, items, AT[-1])
    return {**recalls, "median_rank": float(np.median(where)), "recall_at_10_by_chance": by_chance}


def hits_of_rows(metric: str, where: NDArray[np.float64], query_ids: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Pseudo-values [pairs] of a recall at 1, 5 or 10 of what `ranks` gives; None for another metric.

    A query that stands in several pairs counts but once, which is divided among them.
    """
    hits = {f"recall_at_{k}": where <= k for k in AT}.get(metric)
    if hits is None:
        return None
    _, query, pairs = np.unique(query_ids, return_inverse=True, return_counts=True)
    query = query.reshape(-1)
    mean = float(hits.mean())
    return np.asarray(mean + (hits[query] - mean) * len(query) / (len(where) * pairs[query]))


def of_pairs(
    vectors: Mapping[str, NDArray[np.float32]], same: Mapping[str, NDArray[np.int64]], metric: str
) -> Evaluation:
    """Retrieval scores of pairs among themselves, the mean of both directions and each alone; see `ranks`.

    Args:
        vectors: Vectors of the two sides of each pair, by the name of the side.
        same: Numbers that are the same for what is the same on a side.
        metric: The score whose pseudo-values are wanted.
    """
    first, second = vectors
    both, values = {}, []
    for by, name in ((first, second), (second, first)):
        where, share = ranks(vectors[by], vectors[name], same[by], same[name])
        both[f"{name} by {by}"] = retrieval_metrics(where, share, len(np.unique(same[name])))
        values.append(hits_of_rows(metric, where, same[by]))
    one, other = both.values()
    means = {metric: (one[metric] + other[metric]) / 2 for metric in one}
    scores = means | {metric_of(score, way): own[score] for way, own in both.items() for score in own}
    return Evaluation(scores, None if values[0] is None or values[1] is None else (values[0] + values[1]) / 2)


def recall_by_chance(share: NDArray[np.float64], items: int, k: int) -> float:
    """Probability of a right one among `k` of `items` drawn at random; `share` of the items are right [queries]."""
    from scipy.special import gammaln

    right = np.round(share * items)
    wrong, drawn = items - right, min(k, items)
    missed = np.zeros(len(share))
    can_miss = wrong >= drawn
    missed[can_miss] = np.exp(
        gammaln(wrong[can_miss] + 1) + gammaln(items - drawn + 1)
        - gammaln(wrong[can_miss] - drawn + 1) - gammaln(items + 1)
    )  # fmt: skip
    return float(1 - missed.mean())
