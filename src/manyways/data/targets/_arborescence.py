"""Maximum spanning trees of directed graphs with one root."""

import numpy as np
from numpy.typing import NDArray

from manyways.data.sentences import fault_of

FAR = 1e6
"""Taken off the score of each arc from the root, so that a tree has no more of them than it must."""


def best_tree(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """The heads [words], 0 for the root, of the tree with one root whose arcs have the highest sum of scores.

    The heads that are best each for itself where they are a tree, else the algorithm of Chu & Liu (1965) and Edmonds
    (1967) with the root's arcs made costly (Zmigrod et al., EMNLP 2020, compare ways).

    Args:
        scores: The score of each head for each word [words, 1 + words], the root first.
    """
    count = len(scores)
    own = scores.astype(np.float64).copy()
    own[np.arange(count), np.arange(1, count + 1)] = -np.inf
    greedy: NDArray[np.int64] = own.argmax(1)
    if fault_of(greedy.tolist()) is None:
        return greedy
    square = np.full((count + 1, count + 1), -np.inf)
    square[1:] = own
    span = np.abs(own[np.isfinite(own)]).max(initial=1.0)
    square[1:, 0] -= FAR * span
    return _arborescence(square)[1:]


def _arborescence(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """The head of each node of the best arborescence from node 0, of scores [node, head]; that of the root is 0."""
    heads: NDArray[np.int64] = scores.argmax(1)
    heads[0] = 0
    cycle = _cycle(heads)
    if cycle is None:
        return heads
    inside = np.zeros(len(scores), bool)
    inside[cycle] = True
    outer = np.flatnonzero(~inside)
    # The cycle becomes one node, the last, that is entered where that costs least of the cycle's own arcs.
    gain = scores[cycle] - scores[cycle, heads[cycle]][:, None]
    entered = gain[:, outer].argmax(0)
    smaller = np.full((len(outer) + 1, len(outer) + 1), -np.inf)
    smaller[:-1, :-1] = scores[np.ix_(outer, outer)]
    left = scores[np.ix_(outer, cycle)]
    smaller[:-1, -1] = left.max(1)
    smaller[-1, :-1] = gain[entered, outer]
    outside = _arborescence(smaller)
    whole: NDArray[np.int64] = heads.copy()
    for node, head in zip(outer[1:], outside[1:-1], strict=True):
        whole[node] = outer[head] if head < len(outer) else cycle[left[np.searchsorted(outer, node)].argmax()]
    first = outside[-1]
    whole[cycle[entered[first]]] = outer[first]
    return whole


def _cycle(heads: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """The nodes of a cycle of `heads`; None where all lead to node 0."""
    state = np.zeros(len(heads), np.int64)
    state[0] = -1
    for start in range(1, len(heads)):
        node = start
        while state[node] == 0:
            state[node] = start
            node = heads[node]
        if state[node] == start:
            cycle = [node]
            while heads[cycle[-1]] != node:
                cycle.append(heads[cycle[-1]])
            return np.array(cycle)
    return None
