"""Trees of scikit-learn as arrays of nodes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.models.estimators.base import put
from manyways.models.estimators.trees import CATEGORIES, TreesHead

NO_SETS = np.zeros((0, CATEGORIES), np.uint8)


@dataclass(frozen=True, eq=False)
class Tree:
    """One tree: arrays [nodes] as `TreesHead` has them, with nodes counted from 0; `values` [nodes, columns]."""

    feature: NDArray[Any]
    threshold: NDArray[Any]
    left: NDArray[Any]
    right: NDArray[Any]
    missing_left: NDArray[Any]
    leaf: NDArray[np.bool_]
    values: NDArray[Any]
    column: int = 0
    category_set: NDArray[Any] | None = None
    sets: NDArray[Any] = field(default_factory=lambda: NO_SETS)


def histogram_trees(estimator: Any) -> list[Tree]:
    """The trees of a fitted histogram gradient boosting, in the order that they were added."""
    trees = []
    for stage in estimator._predictors:
        for column, predictor in enumerate(stage):
            nodes = predictor.nodes
            bits = np.asarray(predictor.raw_left_cat_bitsets, "<u4").reshape(-1, CATEGORIES // 32)
            sets = np.unpackbits(np.ascontiguousarray(bits).view(np.uint8), axis=1, bitorder="little")
            trees.append(
                Tree(
                    nodes["feature_idx"],
                    nodes["num_threshold"],
                    nodes["left"],
                    nodes["right"],
                    nodes["missing_go_to_left"],
                    nodes["is_leaf"] > 0,
                    nodes["value"][:, None],
                    column,
                    np.where(nodes["is_categorical"] > 0, nodes["bitset_idx"].astype(np.int64), -1),
                    sets,
                )
            )
    return trees


def forest_trees(estimators: Sequence[Any]) -> list[Tree]:
    """The trees of a fitted forest."""
    trees = []
    for each in estimators:
        tree = each.tree_
        trees.append(
            Tree(
                tree.feature,
                tree.threshold,
                tree.children_left,
                tree.children_right,
                tree.missing_go_to_left,
                tree.children_left < 0,
                tree.value[:, 0] if tree.n_outputs == 1 else tree.value[:, :, 0],
            )
        )
    return trees


def joined(trees: Sequence[Tree], *, outputs: int, learned: int, raw: int, mean: bool) -> TreesHead:
    """The head of `trees`.

    Args:
        trees: Trees, in the order in which their values are added.
        outputs: Outputs of the head.
        learned: Classes that were learned.
        raw: Sums that are kept.
        mean: True to take the mean of the values of all trees, False for their sum.
    """
    sizes = [len(tree.leaf) for tree in trees]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    leaf = np.concatenate([tree.leaf for tree in trees])
    leaves, sets = int(leaf.sum()), np.concatenate([tree.sets for tree in trees])
    first_set = np.concatenate([[0], np.cumsum([len(tree.sets) for tree in trees])])
    head = TreesHead(outputs, learned, len(leaf), leaves, len(sets), len(trees), raw, mean)

    def of_nodes(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(tree, name) for tree in trees])

    category = [
        np.full(size, -1)
        if tree.category_set is None
        else np.where(tree.category_set >= 0, tree.category_set + first, -1)
        for tree, size, first in zip(trees, sizes, first_set[:-1], strict=True)
    ]
    start_of = np.repeat(starts[:-1], sizes)
    put(
        head,
        feature=np.where(leaf, -np.cumsum(leaf), of_nodes("feature").astype(np.int64)),
        threshold=np.where(leaf, 0.0, of_nodes("threshold")),
        left=np.where(leaf, 0, of_nodes("left").astype(np.int64) + start_of),
        right=np.where(leaf, 0, of_nodes("right").astype(np.int64) + start_of),
        missing_left=of_nodes("missing_left").astype(np.uint8),
        category_set=np.concatenate(category),
        sets=sets,
        values=of_nodes("values")[leaf],
        roots=starts[:-1],
        column=np.array([tree.column for tree in trees]),
    )
    return head
