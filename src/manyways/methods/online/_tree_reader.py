"""Hoeffding trees that read a stream by a compiled pass, in pools that grow as they are needed."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.sample_weights import weights_of
from manyways.data.storage import RowNumbers
from manyways.methods.online._begin import Begun
from manyways.methods.online._reader import Reader
from manyways.methods.online._tree_passes import TreeSettings, plant_trees
from manyways.models.streams.head import StreamHead
from manyways.models.streams.trees import TreesHead, TreesState

OF_NODES, OF_SLOTS = ("nodes", "thresholds"), (
    "leaves", "class_weights", "subsets", "estimates", "categories", "varieties",
)  # fmt: skip
"""The arrays of a pool, by what a place in them is for."""
FREE = {"free_nodes": "nodes", "free_slots": "slots"}
FIRST_ROOM = 16


class TreeReader(Reader[TreesState]):
    """One tree or several; `run` is their compiled pass."""

    def __init__(
        self, begun: Begun, data: Data, positions: RowNumbers, labels: NDArray[Any], settings: TreeSettings, run: Any
    ) -> None:
        assert isinstance(begun.head, TreesHead)
        self.settings, self.run, self.attributes = settings, run, begun.head.attributes
        self.weights: NDArray[np.float64] | None = None
        if data.has("weight"):
            self.weights = np.zeros(len(data))
            self.weights[positions] = weights_of(data.select(positions))
        super().__init__(begun, data, positions, labels, settings.window)

    @property
    def operations(self) -> int:
        """Floating-point operations of a row, about: densities of all classes in a leaf of each tree, and learning."""
        trees, classes, subset = len(self.state.roots), len(self.state.seen), self.state.subsets.shape[1]
        return int(trees * subset * (4 * classes + 16))

    def state_of(self, head: StreamHead) -> TreesState:
        assert isinstance(head, TreesHead)
        state = TreesState(**{name: array.copy() for name, array in head.state._asdict().items()})
        state = with_room(state, FIRST_ROOM + 4 * len(state.roots))
        if state.roots[0, 0] < 0:
            plant_trees(self.settings, state)
        return state

    def learn(self, rows: NDArray[np.float32], labels: NDArray[Any], positions: RowNumbers) -> int:
        attributes = self.attributes.of(rows)
        weights = np.ones(len(rows)) if self.weights is None else self.weights[positions]
        done = 0
        while True:
            part = slice(done, len(rows))
            done += self.through(self.run, attributes[part], labels[part], weights[part], self.state, self.settings)
            if done == len(rows) and (self.state.due < 0).all():
                return done
            self.state = with_room(self.state, 1 + self._places())

    def compile(self) -> None:
        kept, nothing = self.state, np.empty((0, len(self.attributes.cardinalities)), np.float32)
        self.through(self.run, nothing, self.labels[:0], np.empty(0), kept, self.settings)

    def saved(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        pool = self.state.pool[0]
        sizes = {name: int(pool[name]) for name in ("nodes", "slots", "free_nodes", "free_slots")}
        arrays = {name: array for name, array in self.state._asdict().items() if name != "due"}
        for name in (*OF_NODES, *OF_SLOTS, *FREE):
            arrays[name] = arrays[name][: sizes[name if name in FREE else "nodes" if name in OF_NODES else "slots"]]
        return sizes, arrays

    def _places(self) -> int:
        """Places that are wanted free: for the branches of a split, and for new trees."""
        return max(2, int(self.attributes.cardinalities.max(initial=0))) + 2 * len(self.state.roots)


def with_room(state: TreesState, more: int) -> TreesState:
    """The same state with room for `more` further nodes and leaves; pools grow by half at least where there is none."""
    pool, arrays = state.pool[0], state._asdict()
    for what, names, places in (("nodes", OF_NODES, len(state.nodes)), ("slots", OF_SLOTS, len(state.leaves))):
        used = int(pool[what] - pool[f"free_{what}"])
        room = places if places - used >= more else max(used + more, places + places // 2)
        for name in (*names, f"free_{what}"):
            if len(arrays[name]) < room:
                grown = np.zeros((room, *arrays[name].shape[1:]), arrays[name].dtype)
                grown[: len(arrays[name])] = arrays[name]
                arrays[name] = grown
    return TreesState(**arrays)
