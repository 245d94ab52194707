"""Ensembles of decision trees as arrays of nodes, gone through for all rows and trees at once."""

from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.errors import ModelError
from manyways.models.estimators.base import Array, EstimatorHead, Matrix, log

AT_ONCE = 1 << 18
"""Pairs of a row and a tree that are followed at a time."""
CATEGORIES = 256
"""Categories that a split can tell apart."""


class TreesHead(EstimatorHead):
    """Sums of the leaves that a row falls into, one of each tree: gradient boosting, or the mean of a random forest.

    A row goes left at a node where its feature is at most the threshold, or, of a category, where it is in the set of
    the node; one that lacks the feature goes where the node says. Categories are codes from 0.

    Attributes:
        feature: The feature that a node looks at, int32 [nodes]; a leaf has -1 - its number.
        threshold: float64 [nodes].
        left, right: The nodes after it, int32 [nodes].
        missing_left: uint8 [nodes], 1 where rows without the feature go left.
        category_set: The row of `sets` of a node that looks at a category, int32 [nodes]; -1 elsewhere.
        sets: uint8 [sets, 256], 1 for each category that goes left.
        values: What the leaves add to the outputs, float64 [leaves, columns].
        roots: The first node of each tree, int32 [trees].
        column: The output that the tree adds to, int32 [trees]; unused where leaves have a value for each.
        baseline: float64 [raw].
    """

    name = "trees"
    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    missing_left: Tensor
    category_set: Tensor
    sets: Tensor
    values: Tensor
    roots: Tensor
    column: Tensor
    baseline: Tensor

    def __init__(
        self, outputs: int, learned: int, nodes: int, leaves: int, sets: int, trees: int, raw: int, mean: bool
    ) -> None:
        super().__init__(
            outputs, learned, nodes=nodes, leaves=leaves, sets=sets, trees=trees, raw=raw, mean=mean
        )  # fmt: skip
        self.raw, self.mean = raw, mean
        integers = {"feature": nodes, "left": nodes, "right": nodes, "category_set": nodes, "roots": trees}
        for name, size in {**integers, "column": trees}.items():
            self.register_buffer(name, torch.zeros(size, dtype=torch.int32))
        self.register_buffer("threshold", torch.zeros(nodes, dtype=torch.float64))
        self.register_buffer("missing_left", torch.zeros(nodes, dtype=torch.uint8))
        self.register_buffer("sets", torch.zeros(sets, CATEGORIES, dtype=torch.uint8))
        self.register_buffer("values", torch.zeros(leaves, raw if mean else 1, dtype=torch.float64))
        self.register_buffer("baseline", torch.zeros(raw, dtype=torch.float64))

    def decide(self, features: Matrix) -> Array:
        raw = self.sums(np.asarray(features))
        if not len(self.codes):
            return raw
        if self.mean:
            return log(raw)
        return np.hstack([np.zeros_like(raw), raw]) if self.raw == 1 else raw

    def probabilities(self, features: Matrix) -> Array:
        return self.spread(self.sums(np.asarray(features)), 0.0) if self.mean else super().probabilities(features)

    def sums(self, features: NDArray[np.floating]) -> Array:
        """The sums of the leaves' values, or their means, float64 [rows, raw]: as scikit-learn adds them, in order."""
        out = np.tile(self.baseline.numpy(), (len(features), 1))
        # scikit-learn's forests look at features in single precision, its histogram trees in double.
        known = features.astype(np.float32) if self.mean else features
        size, values, column = max(1, AT_ONCE // max(1, len(self.roots))), self.values.numpy(), self.column.numpy()
        for start in range(0, len(features), size):
            leaves = self._leaves(known[start : start + size])
            for tree in range(leaves.shape[1]):
                if self.mean:
                    out[start : start + size] += values[leaves[:, tree]]
                else:
                    out[start : start + size, column[tree]] += values[leaves[:, tree], 0]
        return out / len(self.roots) if self.mean else out

    @cached_property
    def _whole(self) -> bool:
        """True if every inner node leads to later ones that are there, so that every row ends in a leaf."""
        inner = np.flatnonzero(self.feature.numpy() >= 0)
        after = np.stack([self.left.numpy()[inner], self.right.numpy()[inner]])
        leaves, sets = -1 - self.feature.numpy(), self.category_set.numpy()
        return bool(
            (after > inner).all() and (after < len(self.feature)).all() and leaves.max() < len(self.values)
            and sets.max(initial=-1) < len(self.sets)
            and ((self.roots >= 0) & (self.roots < len(self.feature))).all()
            and ((self.column >= 0) & (self.column < self.raw)).all()
        )  # fmt: skip

    @cached_property
    def _after(self) -> NDArray[np.int32]:
        """The left and the right node after each, one after the other, [2 · nodes]."""
        return np.stack([self.left.numpy(), self.right.numpy()], axis=1).ravel()

    def _leaves(self, features: NDArray[np.floating]) -> NDArray[np.int64]:
        """The leaf of each row in each tree, [rows, trees]."""
        if not self._whole:
            raise ModelError("The nodes of the trees lead nowhere; the model is damaged.")
        trees, width = len(self.roots), features.shape[1]
        feature, threshold, values = (
            self.feature.numpy(),
            self.threshold.numpy(),
            np.ascontiguousarray(features).ravel(),
        )
        after = self._after
        missing_right, category_set, sets = self.missing_left.numpy() == 0, self.category_set.numpy(), self.sets.numpy()
        categorical, gaps = len(sets) > 0, bool(np.isnan(values).any())
        leaves = np.empty(len(features) * trees, np.int64)
        # Pairs of a row and a tree, tree by tree, as neighbouring nodes are then looked up together.
        pairs = np.arange(len(leaves))
        nodes, first = np.repeat(self.roots.numpy(), len(features)), np.tile(np.arange(len(features)) * width, trees)
        while len(pairs):
            looked_at = feature.take(nodes)
            inner = looked_at >= 0
            if not inner.all():
                ended = ~inner
                leaves[pairs[ended]] = -1 - looked_at[ended]
                pairs, nodes, first, looked_at = pairs[inner], nodes[inner], first[inner], looked_at[inner]
            seen = values.take(first + looked_at)
            goes_right = ~(seen <= threshold.take(nodes))
            missing = np.isnan(seen) if gaps else None
            if categorical:
                chosen = category_set.take(nodes)
                told = chosen >= 0 if missing is None else (chosen >= 0) & ~missing
                goes_right[told] = sets[chosen[told], seen[told].astype(np.int64)] == 0
            if missing is not None:
                goes_right[missing] = missing_right[nodes[missing]]
            nodes = after.take(2 * nodes + goes_right)
        return leaves.reshape(trees, len(features)).T
