"""Trees of a stream, compiled: their nodes and leaves, and what a leaf counts and predicts (naive Bayes)."""

from math import inf, log, pi
from typing import Any

from manyways.methods.online._compiling import Array, compiled
from manyways.methods.online._random import choose
from manyways.models.streams.trees import (
    ADAPTIVE,
    CONSTANT,
    COUNT,
    FACTOR,
    HIGHEST,
    LOWEST,
    MEAN,
    NAIVE_BAYES,
    ON_NUMBER,
    ON_ONE_CATEGORY,
    SQUARES,
    TreesState,
)


@compiled
def new_node(state: TreesState) -> int:
    """A place for a node, which is a leaf without statistics. There must be room."""
    pool = state.pool[0]
    if pool.free_nodes > 0:
        pool.free_nodes -= 1
        place = int(state.free_nodes[pool.free_nodes])
    else:
        place = int(pool.nodes)
        pool.nodes += 1
    node = state.nodes[place]
    node.test, node.attribute, node.category, node.branch = 0, 0, 0, 0
    node.child, node.sibling, node.usual, node.slot = -1, -1, -1, -1
    state.thresholds[place] = 0.0
    return place


@compiled
def new_leaf(attributes: int, state: TreesState) -> int:
    """A place for a node with empty statistics, which looks at a random subset of the attributes."""
    place, pool = new_node(state), state.pool[0]
    if pool.free_slots > 0:
        pool.free_slots -= 1
        slot = state.free_slots[pool.free_slots]
    else:
        slot = pool.slots
        pool.slots += 1
    state.nodes[place].slot = slot
    leaf = state.leaves[slot]
    leaf.tried, leaf.majority_right, leaf.bayes_right = 0.0, 0.0, 0.0
    state.class_weights[slot] = 0.0
    state.estimates[slot] = 0.0
    state.categories[slot] = 0.0
    state.varieties[slot] = 0.0
    choose(state.subsets[slot], attributes, state.random)
    return place


@compiled
def free_slot(place: int, state: TreesState) -> None:
    """Give back the statistics of the node at `place`."""
    pool, node = state.pool[0], state.nodes[place]
    state.free_slots[pool.free_slots] = node.slot
    pool.free_slots += 1
    node.slot = -1


@compiled
def free_tree(root: int, state: TreesState) -> None:
    """Give back all nodes of the tree at `root`; the free places themselves are the stack of those yet to be seen."""
    pool, nodes = state.pool[0], state.nodes
    seen = pool.free_nodes
    state.free_nodes[pool.free_nodes] = root
    pool.free_nodes += 1
    while seen < pool.free_nodes:
        place = state.free_nodes[seen]
        seen += 1
        child = nodes[place].child
        while child >= 0:
            state.free_nodes[pool.free_nodes] = child
            pool.free_nodes += 1
            child = nodes[child].sibling
        if nodes[place].slot >= 0:
            free_slot(place, state)
        nodes[place].child, nodes[place].sibling = -1, -1


@compiled
def has_room(branches: int, state: TreesState) -> bool:
    """True if there is a place for so many further nodes and leaves."""
    pool = state.pool[0]
    nodes = len(state.nodes) - pool.nodes + pool.free_nodes
    slots = len(state.leaves) - pool.slots + pool.free_slots
    return bool(nodes >= branches and slots >= branches)


@compiled
def leaf_of(row: Array, root: int, nodes: Array, thresholds: Array) -> int:
    """The leaf of the tree at `root` that `row` falls into."""
    place = root
    while nodes[place].child >= 0:
        node = nodes[place]
        value = row[node.attribute]
        if node.test == ON_NUMBER:
            place = node.child if value <= thresholds[place] else nodes[node.child].sibling
        elif value < 0:
            place = node.usual
        elif node.test == ON_ONE_CATEGORY:
            place = node.child if value == node.category else nodes[node.child].sibling
        else:
            place, usual = node.child, node.usual
            while place >= 0 and nodes[place].branch != value:
                place = nodes[place].sibling
            if place < 0:
                place = usual
    return place


@compiled
def heaviest(weights: Array) -> int:
    """The class with the greatest weight, the first of equals; -1 where all are 0."""
    best, most = -1, 0.0
    for k in range(len(weights)):
        if weights[k] > most:
            best, most = k, weights[k]
    return best


@compiled
def bayes_scores(
    row: Array, weights: Array, subset: Array, estimates: Array, categories: Array, varieties: Array,
    cardinalities: Array, offsets: Array, scores: Array,
) -> int:  # fmt: skip
    """The logarithms of the joint probabilities of `row` and each class into `scores`; gives the likeliest class.

    A number has a Gaussian density, of which nothing is known before a class has varied; categories are smoothed by
    one (Laplace). -1 where no class has any weight. The statistics are those of one leaf.
    """
    best, highest = -1, -inf
    for k in range(len(weights)):
        if weights[k] <= 0:
            scores[k] = -inf
            continue
        total = log(weights[k])
        for j in range(len(subset)):
            attribute = subset[j]
            value = row[attribute]
            if cardinalities[attribute] < 0:
                apart = value - estimates[k, j, MEAN]
                total += apart * apart * estimates[k, j, FACTOR] + estimates[k, j, CONSTANT]
            elif value >= 0:
                count = categories[k, offsets[attribute] + int(value)]
                total += log((count + 1.0) / (estimates[k, j, COUNT] + varieties[j] + 1.0))
        scores[k] = total
        if total > highest or best < 0:
            best, highest = k, total
    return best


@compiled
def prefers_bayes(prediction: int, leaf: Any) -> bool:
    """True if `leaf` predicts by naive Bayes, rather than its majority class."""
    if prediction == ADAPTIVE:
        return bool(leaf.bayes_right >= leaf.majority_right)
    return prediction == NAIVE_BAYES


@compiled
def is_new(code: int, categories: Array) -> bool:
    """True if no class [classes, categories] has had the category whose place among all is `code`."""
    total = 0.0
    for k in range(len(categories)):
        total += categories[k, code]
    return total == 0


@compiled
def take_number(value: float, weight: float, one: Array) -> None:
    """Take a number into a Gaussian estimator (weighted: West 1979)."""
    if one[COUNT] == 0:
        one[LOWEST], one[HIGHEST] = value, value
    one[LOWEST], one[HIGHEST] = min(one[LOWEST], value), max(one[HIGHEST], value)
    one[COUNT] += weight
    apart = value - one[MEAN]
    one[MEAN] += apart * weight / one[COUNT]
    one[SQUARES] += weight * apart * (value - one[MEAN])
    if one[COUNT] > 1 and one[SQUARES] > 0:
        variance = one[SQUARES] / (one[COUNT] - 1.0)
        one[FACTOR], one[CONSTANT] = -0.5 / variance, -0.5 * log(2.0 * pi * variance)


@compiled
def learn_row(
    row: Array, label: int, weight: float, subset: Array, estimates: Array, categories: Array, varieties: Array,
    cardinalities: Array, offsets: Array,
) -> None:  # fmt: skip
    """Take `row` of the class `label` into the statistics of one leaf."""
    for j in range(len(subset)):
        attribute = subset[j]
        value = float(row[attribute])
        if cardinalities[attribute] < 0:
            take_number(value, weight, estimates[label, j])
        elif value >= 0:
            code = offsets[attribute] + int(value)
            if is_new(code, categories):
                varieties[j] += 1.0
            categories[label, code] += weight
            estimates[label, j, COUNT] += weight
