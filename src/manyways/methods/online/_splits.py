"""Splits of Hoeffding trees, compiled: by how much each would make the classes purer, and if that is sure enough."""

from math import erf, inf, log, log2, sqrt

import numpy as np

from manyways.methods.online._compiling import Array, compiled
from manyways.methods.online._leaves import free_slot, has_room, new_leaf
from manyways.models.streams.trees import (
    COUNT,
    HIGHEST,
    LOWEST,
    MEAN,
    ON_ALL_CATEGORIES,
    ON_NUMBER,
    ON_ONE_CATEGORY,
    SQUARES,
    TreesState,
)

THRESHOLDS = 10
"""Thresholds of a number that are tried, evenly spaced in its range."""
LEAST_BRANCH = 0.01
"""Of the branches at least two must have more than this share of the weight."""
MOST_MAJORITY = 0.99
"""A leaf in which one class has more than this share is not split."""
NO_SPLIT, SPLIT, NO_ROOM = 0, 1, 2


@compiled
def hoeffding_bound(spread: float, delta: float, count: float) -> float:
    """The distance of a mean of `count` values, in a range of `spread`, from the true one, but for chance `delta`."""
    return sqrt(spread * spread * log(1.0 / delta) / (2.0 * count))


@compiled
def entropy(weights: Array) -> tuple[float, float]:
    """The entropy of the shares of `weights` in bits, and their sum."""
    total, logs = 0.0, 0.0
    for k in range(len(weights)):
        if weights[k] > 0:
            total += weights[k]
            logs += weights[k] * log2(weights[k])
    return (log2(total) - logs / total if total > 0 else 0.0), total


@compiled
def information_gain(before: float, branches: Array) -> float:
    """The bits that branches [branches, classes] are purer than `before`; -inf where all weight is in one of them."""
    after, total, heaviest, second = 0.0, 0.0, 0.0, 0.0
    for at in range(len(branches)):
        bits, weight = entropy(branches[at])
        after += bits * weight
        total += weight
        if weight > heaviest:
            heaviest, second = weight, heaviest
        elif weight > second:
            second = weight
    return before - after / total if second > LEAST_BRANCH * total else -inf


@compiled
def below(threshold: float, one: Array) -> float:
    """The weight of the values up to `threshold`, by a Gaussian estimator within the range of what it saw."""
    if threshold < one[LOWEST]:
        return 0.0
    if threshold >= one[HIGHEST]:
        return float(one[COUNT])
    deviation = sqrt(one[SQUARES] / (one[COUNT] - 1.0)) if one[COUNT] > 1 else 0.0
    if deviation <= 0:
        return float(one[COUNT]) if threshold >= one[MEAN] else 0.0
    return float(0.5 * (1.0 + erf((threshold - one[MEAN]) / (deviation * sqrt(2.0)))) * one[COUNT])


@compiled
def parted(threshold: float, estimates: Array, j: int, out: Array) -> None:
    """The class weights on both sides of a threshold of the j-th attribute, into `out` [2, classes]."""
    for k in range(len(estimates)):
        left = below(threshold, estimates[k, j]) if estimates[k, j, COUNT] > 0 else 0.0
        out[0, k], out[1, k] = left, estimates[k, j, COUNT] - left


@compiled
def best_threshold(before: float, estimates: Array, j: int, out: Array) -> tuple[float, float]:
    """The gain of the best threshold of the j-th attribute, -inf for none, and the threshold. `out` is overwritten."""
    lowest, highest, best, gain = inf, -inf, 0.0, -inf
    for k in range(len(estimates)):
        if estimates[k, j, COUNT] > 0:
            lowest, highest = min(lowest, estimates[k, j, LOWEST]), max(highest, estimates[k, j, HIGHEST])
    for step in range(1, THRESHOLDS + 1):
        threshold = lowest + (highest - lowest) / (THRESHOLDS + 1.0) * step
        if lowest < threshold < highest:
            parted(threshold, estimates, j, out)
            other = information_gain(before, out)
            if other > gain:
                gain, best = other, threshold
    return gain, best


@compiled
def apart_from(category: int, counts: Array, out: Array) -> None:
    """The class weights of one category and of all others, of counts [classes, categories], into `out` [2, classes]."""
    for k in range(len(counts)):
        total = 0.0
        for code in range(counts.shape[1]):
            total += counts[k, code]
        out[0, k], out[1, k] = counts[k, category], total - counts[k, category]


@compiled
def best_category(before: float, counts: Array, out: Array) -> tuple[float, int]:
    """The gain of the best test of a category, and the category; -1 for a branch for each (only if that is as good)."""
    gain, best = information_gain(before, counts.T), -1
    for category in range(counts.shape[1]):
        apart_from(category, counts, out)
        other = information_gain(before, out)
        if other > gain:
            gain, best = other, category
    return gain, best


@compiled
def best_test(
    slot: int, cardinalities: Array, offsets: Array, state: TreesState, out: Array
) -> tuple[int, float, float, float, int]:
    """The best test in a leaf: the number of the attribute among those it looks at, or -1 where no split gains a bit.

    Beside it the gain, that of the best other attribute, the threshold, and the category, -1 for a branch for each.
    Where there is no other attribute to be split by, the second best is not to split, which gains 0.
    """
    estimates, subset = state.estimates[slot], state.subsets[slot]
    before = entropy(state.class_weights[slot])[0]
    best, gain, second, threshold, category = -1, -inf, -inf, 0.0, -1
    for j in range(len(subset)):
        other, cut, code = -inf, 0.0, -1
        if cardinalities[subset[j]] < 0:
            other, cut = best_threshold(before, estimates, j, out)
        else:
            other, code = best_category(before, counts_of(slot, subset[j], cardinalities, offsets, state), out)
        if other > gain:
            best, gain, second, threshold, category = j, other, gain, cut, code
        else:
            second = max(second, other)
    return best if gain > 0 else -1, gain, second if second > -inf else 0.0, threshold, category


@compiled
def counts_of(slot: int, attribute: int, cardinalities: Array, offsets: Array, state: TreesState) -> Array:
    """The class weights of the categories of an attribute in a leaf, [classes, categories]."""
    first = offsets[attribute]
    return state.categories[slot, :, first : first + cardinalities[attribute]]


@compiled
def is_sure(slot: int, gain: float, second: float, delta: float, tau: float, state: TreesState) -> bool:
    """True if a gain in a leaf is truly above the second, but for chance `delta`, or the two are as good as equal."""
    seen, total, weights = 0, 0.0, state.class_weights[slot]
    for k in range(len(weights)):
        seen += weights[k] > 0
        total += weights[k]
    bound = hoeffding_bound(log2(max(seen, 2)), delta, total)
    return gain - second > bound or bound < tau


@compiled
def is_mixed(weights: Array) -> bool:
    """True if there are several classes, of which none has nearly all the weight."""
    seen, most, total = 0, 0.0, 0.0
    for k in range(len(weights)):
        seen += weights[k] > 0
        most = max(most, weights[k])
        total += weights[k]
    return seen > 1 and most <= MOST_MAJORITY * total


@compiled
def try_split(
    place: int, delta: float, tau: float, most_leaves: int, cardinalities: Array, offsets: Array, state: TreesState
) -> int:
    """Split the leaf at `place` where the best test is better than all others but for chance `delta`.

    The bound of Hoeffding says how sure that is; where it has fallen below `tau`, the best of equals is taken. Gives
    NO_ROOM, and changes nothing, where the pools have no place for the branches.
    """
    node, pool = state.nodes[place], state.pool[0]
    slot, out = node.slot, np.empty((2, len(state.seen)))
    if not is_mixed(state.class_weights[slot]):
        return NO_SPLIT
    best, gain, second, threshold, category = best_test(slot, cardinalities, offsets, state, out)
    if best < 0 or not is_sure(slot, gain, second, delta, tau, state):
        return NO_SPLIT
    attribute = state.subsets[slot, best]
    numeric = cardinalities[attribute] < 0
    branches = 2 if numeric or category >= 0 else int(state.varieties[slot, best])
    if pool.slots - pool.free_slots - 1 + branches > most_leaves:
        return NO_SPLIT
    if not has_room(branches, state):
        return NO_ROOM
    node.attribute, node.category, state.thresholds[place] = attribute, category, threshold
    if numeric:
        node.test = ON_NUMBER
        parted(threshold, state.estimates[slot], best, out)
        add_branches(place, out, len(cardinalities), state)
    elif category >= 0:
        node.test = ON_ONE_CATEGORY
        apart_from(category, counts_of(slot, attribute, cardinalities, offsets, state), out)
        add_branches(place, out, len(cardinalities), state)
    else:
        node.test = ON_ALL_CATEGORIES
        counts = counts_of(slot, attribute, cardinalities, offsets, state)
        add_branches(place, counts.copy().T, len(cardinalities), state)
    free_slot(place, state)
    return SPLIT


@compiled
def add_branches(place: int, weights: Array, attributes: int, state: TreesState) -> None:
    """Hang a leaf under the node for each of `weights` [branches, classes], which it begins with.

    A test with a branch for each category has none for those that never came up.
    """
    node, last, most = state.nodes[place], -1, -1.0
    for branch in range(len(weights)):
        total = 0.0
        for k in range(weights.shape[1]):
            total += weights[branch, k]
        if node.test == ON_ALL_CATEGORIES and total == 0:
            continue
        leaf = new_leaf(attributes, state)
        slot = state.nodes[leaf].slot
        state.leaves[slot].tried, state.nodes[leaf].branch = total, branch
        state.class_weights[slot] = weights[branch]
        if last < 0:
            node.child = leaf
        else:
            state.nodes[last].sibling = leaf
        last = leaf
        if total > most:
            node.usual, most = leaf, total
