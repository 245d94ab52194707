"""TreesHead: Hoeffding trees in pools of nodes and leaves, and what they predict."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.models.streams.attributes import Attributes
from manyways.models.streams.head import LEVELS, PER_LEVEL, StreamHead, logits_of_seen, require

ON_NUMBER, ON_ALL_CATEGORIES, ON_ONE_CATEGORY = 0, 1, 2
"""Tests of a node: a number against a threshold, a branch for each category, one category against all others."""
ADAPTIVE, NAIVE_BAYES, MAJORITY = 0, 1, 2
"""Predictions of a leaf; adaptive takes whichever of the other two was right more often there."""
LEAF_PREDICTIONS = {"adaptive": ADAPTIVE, "naive_bayes": NAIVE_BAYES, "majority": MAJORITY}
COUNT, MEAN, SQUARES, LOWEST, HIGHEST, FACTOR, CONSTANT = range(7)
"""Of a Gaussian estimator: weight, mean, squared distances to it, range; the log density is FACTOR · (x - MEAN)² +
CONSTANT, both 0 while there is no variance."""
ESTIMATES = 7
LEAST_PROBABILITY = 1e-6

NODE = np.dtype(
    [
        ("test", np.int64),
        ("attribute", np.int64),
        ("category", np.int64),  # that of the test ON_ONE_CATEGORY
        ("child", np.int64),  # the first; -1 for a leaf
        ("sibling", np.int64),  # the next child of the same parent, -1 for the last
        ("branch", np.int64),  # the category that leads here from a test ON_ALL_CATEGORIES
        ("usual", np.int64),  # the child for a category that is missing or has no branch
        ("slot", np.int64),  # of the leaf's statistics; -1 for an inner node
    ]
)
LEAF = np.dtype(
    [
        ("tried", np.float64),  # the leaf's weight when a split was tried last
        ("majority_right", np.float64),  # weight of the rows that the majority class was right about
        ("bayes_right", np.float64),
    ]
)
POOL = np.dtype(
    [
        ("nodes", np.int64),  # places that were ever used; those behind are empty
        ("slots", np.int64),
        ("free_nodes", np.int64),  # places among them that are free again
        ("free_slots", np.int64),
        ("warnings", np.int64),  # background trees that were begun
    ]
)
MEMBER = np.dtype([("right", np.float64), ("rows", np.float64)])
DETECTOR = np.dtype([(name, np.float64) for name in ("ticks", "width", "total", "spread", "lowest")])


class TreesState(NamedTuple):
    """State of a learner of trees; the last five as `Tallies`.

    seen: uint8 [classes]. pool: POOL [1]. random: uint64 [1]. nodes: NODE [places], with thresholds float64 beside.
    leaves: LEAF [slots], with class_weights float64 [slots, classes], subsets int64 [slots, m] the attributes that are
    looked at, estimates float64 [slots, classes, m, ESTIMATES], categories float64 [slots, classes, categories] and
    varieties float64 [slots, m], how many categories came up. free_nodes, free_slots: stacks of places. members: MEMBER
    [trees]; roots int64 [trees, 2], of the tree and of its background tree, -1 for none. watch: DETECTOR [2 · trees]
    with buckets beside: the warning detector of each tree and its drift detector; of length 0 for a single tree. due:
    int64 [trees, 2], the leaf that is to be split as soon as there is room; it is -1 between two rows.
    """

    seen: NDArray[np.uint8]
    pool: NDArray[Any]
    random: NDArray[np.uint64]
    nodes: NDArray[Any]
    thresholds: NDArray[np.float64]
    leaves: NDArray[Any]
    class_weights: NDArray[np.float64]
    subsets: NDArray[np.int64]
    estimates: NDArray[np.float64]
    categories: NDArray[np.float64]
    varieties: NDArray[np.float64]
    free_nodes: NDArray[np.int64]
    free_slots: NDArray[np.int64]
    members: NDArray[Any]
    roots: NDArray[np.int64]
    watch: NDArray[Any]
    watch_levels: NDArray[np.int64]
    watch_totals: NDArray[np.float64]
    watch_spreads: NDArray[np.float64]
    due: NDArray[np.int64]
    counts: NDArray[Any]
    numbers: NDArray[Any]
    levels: NDArray[np.int64]
    totals: NDArray[np.float64]
    spreads: NDArray[np.float64]


VIEWS = {"pool": POOL, "random": np.dtype(np.uint64), "nodes": NODE, "leaves": LEAF, "members": MEMBER,
         "watch": DETECTOR}  # fmt: skip
OWN = [name for name in TreesState._fields if name not in ("due", "counts", "numbers", "levels", "totals", "spreads")]


class TreesHead(StreamHead):
    """Hoeffding trees that vote, and the state of their learner."""

    name = "stream-trees"
    method = "hoeffding-tree"
    seen: Tensor

    def __init__(
        self, width: int, outputs: int, nominal: Sequence[Sequence[int]], members: int, watched: bool, subset: int,
        leaf_prediction: str, classes: bool = True, nodes: int = 0, slots: int = 0, free_nodes: int = 0,
        free_slots: int = 0, detector: str = "none", drifts: int = 0, windows: int = 0,
    ) -> None:  # fmt: skip
        config = {
            "width": width, "outputs": outputs, "nominal": [list(block) for block in nominal], "members": members,
            "watched": watched, "subset": subset, "leaf_prediction": leaf_prediction, "nodes": nodes, "slots": slots,
            "free_nodes": free_nodes, "free_slots": free_slots,
        }  # fmt: skip
        super().__init__(config, classes, detector, drifts, windows)
        self.attributes = Attributes.of_json(width, nominal)
        require(leaf_prediction in LEAF_PREDICTIONS, "predictions of leaves")
        self.leaf_prediction = leaf_prediction
        watches = 2 * members * watched
        whole, double = torch.int64, torch.float64
        shapes: dict[str, tuple[torch.dtype, tuple[int, ...]]] = {
            "seen": (torch.uint8, (outputs,)),
            "pool": (whole, (len(POOL.names or ()),)),
            "random": (whole, (1,)),
            "nodes": (whole, (nodes, len(NODE.names or ()))),
            "thresholds": (double, (nodes,)),
            "leaves": (double, (slots, len(LEAF.names or ()))),
            "class_weights": (double, (slots, outputs)),
            "subsets": (whole, (slots, subset)),
            "estimates": (double, (slots, outputs, subset, ESTIMATES)),
            "categories": (double, (slots, outputs, self.attributes.categories)),
            "varieties": (double, (slots, subset)),
            "free_nodes": (whole, (free_nodes,)),
            "free_slots": (whole, (free_slots,)),
            "members": (double, (members, len(MEMBER.names or ()))),
            "roots": (whole, (members, 2)),
            "watch": (double, (watches, len(DETECTOR.names or ()))),
            "watch_levels": (whole, (watches, LEVELS)),
            "watch_totals": (double, (watches, LEVELS, PER_LEVEL + 1)),
            "watch_spreads": (double, (watches, LEVELS, PER_LEVEL + 1)),
        }
        for name, (dtype, shape) in shapes.items():
            self.register_buffer(name, torch.full(shape, -1 if name == "roots" else 0, dtype=dtype))

    @property
    def state(self) -> TreesState:
        own = {name: self._buffers[name] for name in OWN}
        arrays = {name: buffer.numpy() for name, buffer in own.items() if buffer is not None}
        for name, dtype in VIEWS.items():
            arrays[name] = arrays[name].view(dtype).reshape(-1)
        due = np.full(arrays["roots"].shape, -1, np.int64)
        return TreesState(**arrays, due=due, **self.tallies)

    @property
    def facts(self) -> dict[str, Any]:
        state = self.state
        warned = {"drifts": len(self.drifts), "warnings": int(state.pool["warnings"][0])} if len(state.watch) else {}
        leaves = int(state.pool["slots"][0] - state.pool["free_slots"][0])
        return {**super().facts, **warned, "leaves": leaves}

    def check(self) -> None:
        super().check()
        state, config = self.state, self.config
        pool, nodes, places, slots = state.pool[0], state.nodes, config["nodes"], config["slots"]
        sizes = [(pool["nodes"], places), (pool["slots"], slots), (pool["free_nodes"], config["free_nodes"]),
                 (pool["free_slots"], config["free_slots"])]  # fmt: skip
        require(all(int(stated) == size for stated, size in sizes), "sizes of its trees")
        inner = nodes["child"] >= 0
        for name in ("child", "sibling", "usual"):
            require(_within(nodes[name], -1, places), "branches")
        require(_within(nodes["slot"][~inner], -1, slots) and _within(nodes["usual"][inner], 0, places), "leaves")
        attributes, tests = nodes["attribute"][inner], nodes["test"][inner]
        require(_within(attributes, 0, len(self.attributes.cardinalities)), "attributes")
        require(_within(tests, 0, 3) and _within(state.subsets, 0, len(self.attributes.cardinalities)), "tests")
        binary = nodes[inner][tests != ON_ALL_CATEGORIES]["child"]
        require(bool((nodes["sibling"][binary] >= 0).all()), "branches")
        require(_within(state.roots[:, 0], 0, places) and _within(state.roots[:, 1], -1, places), "roots")
        require(_within(state.free_nodes, 0, places) and _within(state.free_slots, 0, slots), "free places")
        require(bool(((state.watch_levels >= 0) & (state.watch_levels <= PER_LEVEL + 1)).all()), "buckets")
        self._check_trees(state)

    def _check_trees(self, state: TreesState) -> None:
        """Each node hangs in one tree and once, and each slot on one leaf."""
        visits, uses = np.zeros(len(state.nodes), np.int64), np.zeros(len(state.leaves), np.int64)
        np.add.at(visits, state.free_nodes, 1)
        np.add.at(uses, state.free_slots, 1)
        heads = state.roots[state.roots >= 0]
        while len(heads):
            require(len(heads) <= len(visits), "branches")
            np.add.at(visits, heads, 1)
            require(bool((visits <= 1).all()), "branches")
            leaves = heads[state.nodes["child"][heads] < 0]
            slots = state.nodes["slot"][leaves]
            require(bool((slots >= 0).all()), "leaves")
            np.add.at(uses, slots, 1)
            below = np.concatenate([state.nodes["child"][heads], state.nodes["sibling"][heads]])
            heads = below[below >= 0]
        require(bool((uses == 1).all()) and bool((visits == 1).all()), "leaves")

    def forward(self, features: Tensor) -> Tensor:
        rows, state = self.attributes.of(features.float().numpy()), self.state
        votes = np.zeros((len(rows), len(state.seen)))
        for tree in range(len(state.roots)):
            member = state.members[tree]
            share = member["right"] / member["rows"] if member["rows"] > 0 and len(state.watch) else 1.0
            votes += (share if share > 0 else 1.0) * self._tree_probabilities(rows, int(state.roots[tree, 0]), state)
        totals = votes.sum(1, keepdims=True)
        shares = np.divide(votes, totals, out=np.full_like(votes, 1 / votes.shape[1]), where=totals > 0)
        outputs = torch.from_numpy(np.log(np.maximum(shares, LEAST_PROBABILITY)))
        return logits_of_seen(outputs, self.seen).float()

    def _tree_probabilities(self, rows: NDArray[np.float32], root: int, state: TreesState) -> NDArray[np.float64]:
        slots = state.nodes["slot"][leaves_of(rows, root, state)]
        out = np.zeros((len(rows), len(state.seen)))
        for slot in np.unique(slots):
            here = np.flatnonzero(slots == slot)
            leaf, weights = state.leaves[slot], state.class_weights[slot]
            by_bayes = self.leaf_prediction == "naive_bayes" or (
                self.leaf_prediction == "adaptive" and leaf["bayes_right"] >= leaf["majority_right"]
            )
            if not weights.any():
                continue
            out[here] = self._bayes(rows[here], slot, state) if by_bayes else weights / weights.sum()
        return out

    def _bayes(self, rows: NDArray[np.float32], slot: int, state: TreesState) -> NDArray[np.float64]:
        """Naive Bayes in a leaf: the probabilities of the classes, float64 [rows, classes]."""
        with np.errstate(divide="ignore"):
            scores = np.log(state.class_weights[slot])[None].repeat(len(rows), 0)
        for k, attribute in enumerate(state.subsets[slot]):
            values, estimates = rows[:, attribute].astype(np.float64), state.estimates[slot, :, k]
            if self.attributes.cardinalities[attribute] < 0:
                apart = values[:, None] - estimates[None, :, MEAN]
                scores += apart * apart * estimates[:, FACTOR] + estimates[:, CONSTANT]
                continue
            known = np.flatnonzero(values >= 0)
            codes = values[known].astype(np.int64) + self.attributes.offsets[attribute]
            counts = state.categories[slot][:, codes].T
            scores[known] += np.log((counts + 1.0) / (estimates[:, COUNT] + state.varieties[slot, k] + 1.0))
        scores = np.exp(scores - scores.max(1, keepdims=True))
        return np.asarray(scores / scores.sum(1, keepdims=True))


def leaves_of(rows: NDArray[np.float32], root: int, state: TreesState) -> NDArray[np.int64]:
    """The leaf of the tree at `root` that each of `rows` [rows, attributes] falls into."""
    nodes, places = state.nodes, np.full(len(rows), root, np.int64)
    moving = np.flatnonzero(nodes["child"][places] >= 0)
    while len(moving):
        node, thresholds = nodes[places[moving]], state.thresholds[places[moving]]
        values = rows[moving, node["attribute"]].astype(np.float64)
        first = node["child"]
        left = np.where(node["test"] == ON_NUMBER, values <= thresholds, values == node["category"])
        there = np.where(left, first, nodes["sibling"][first])
        several = np.flatnonzero(node["test"] == ON_ALL_CATEGORIES)
        there[several] = _branches(values[several], first[several], node["usual"][several], nodes)
        unknown = (node["test"] != ON_NUMBER) & (values < 0)
        places[moving] = np.where(unknown, node["usual"], there)
        moving = moving[nodes["child"][places[moving]] >= 0]
    return places


def _branches(
    values: NDArray[np.float64], first: NDArray[np.int64], usual: NDArray[np.int64], nodes: NDArray[Any]
) -> NDArray[np.int64]:
    """The child whose branch is the category in `values`, or the usual one."""
    places = first.copy()
    while True:
        passing = (places >= 0) & (nodes["branch"][places] != values)
        if not passing.any():
            return np.where(places >= 0, places, usual)
        places[passing] = nodes["sibling"][places[passing]]


def _within(places: NDArray[np.int64], lowest: int, stop: int) -> bool:
    return bool(((places >= lowest) & (places < stop)).all())
