"""Rehearsal: a few rows of the tasks so far are kept in a memory, and learned again."""

from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.data.columns import id_text
from manyways.data.data import Data
from manyways.data.storage import RowNumbers
from manyways.methods.bases.tasks_in_order import ContinualLearner, ContinualMethod
from manyways.methods.fields import Count
from manyways.methods.method import Ablations
from manyways.models.model import Model
from manyways.randomness import mix

EMPTY = -1
KEEPING_STREAM = 5


def reservoir(memory: NDArray[np.int64], seen: int, rows: RowNumbers, rng: np.random.Generator) -> NDArray[np.int64]:
    """`memory` after `rows` came by one after the other, `seen` having come before (Vitter 1985, algorithm R).

    Every row that came by is in it with the same probability; places that are still empty hold -1.
    """
    memory, before = memory.copy(), seen + np.arange(len(rows))
    places = np.where(before < len(memory), before, rng.integers(before + 1))
    for at in np.flatnonzero(places < len(memory)):
        memory[places[at]] = rows[at]
    return memory


def balanced(
    memory: NDArray[np.int64], rows: RowNumbers, labels: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """`memory` with `rows` added, and as many rows of each class as fit; `labels` are those of all positions.

    Rows that were not kept before are not looked for again. Places that stay empty hold -1.
    """
    pool = np.concatenate([memory[memory != EMPTY], rng.permutation(rows)])
    return taking_turns(pool, labels[pool], len(memory))


def taking_turns(pool: RowNumbers, labels: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """The first of each class in `pool`, then the second of each, … until `size` are kept; `labels` are those of pool.

    Of each class its earliest are kept. Places that stay empty hold -1.
    """
    turn = np.empty(len(pool), np.int64)
    for name in np.unique(labels):
        of_class = np.flatnonzero(labels == name)
        turn[of_class] = np.arange(len(of_class))
    kept = pool[np.argsort(turn, kind="stable")[:size]]
    return np.concatenate([kept, np.full(size - len(kept), EMPTY)])


class RehearsalLearner(ContinualLearner):
    """A continual learner with the positions of the rows that are kept, -1 where there is still room."""

    memory: Tensor

    @property
    def kept(self) -> RowNumbers:
        """The positions of the rows that are kept, in the order of their places."""
        memory = self.memory.cpu().numpy()
        rows: RowNumbers = memory[memory != EMPTY]
        return rows

    def keeping_rng(self, number: int) -> np.random.Generator:
        """The random numbers by which rows are kept, the `number`-th time."""
        return np.random.Generator(np.random.Philox(mix(self.seed, number, KEEPING_STREAM)))


RehearsalT = TypeVar("RehearsalT", bound=RehearsalLearner)


@dataclass(frozen=True, kw_only=True)
class RehearsalMethod(ContinualMethod[RehearsalT], Generic[RehearsalT]):
    """Keeps a few rows of the tasks so far to learn from them again.

    Which rows are kept stands in the model's lineage (`facts["memory"]`, their ids): they are held as long as it
    learns.
    """

    memory: Count = 500
    """Rows that are kept, of all tasks together."""

    def ablations(self, data: Data) -> Ablations:
        from manyways.methods.continual.sequential_fine_tune import SequentialFineTune

        names = {spec.name for spec in fields(SequentialFineTune)}
        shared = {spec.name: getattr(self, spec.name) for spec in fields(self) if spec.name in names}
        return {**super().ablations(data), "its memory": (SequentialFineTune(**shared), data)}

    def begin(self, data: Data, model: Model | None, seed: int) -> RehearsalT:
        learner = super().begin(data, model, seed)
        learner.register_buffer("memory", torch.full((self.memory,), EMPTY))
        return learner

    def facts(self, learner: RehearsalT, steps: int) -> dict[str, Any]:
        """The tasks in their order, and the ids of the rows that are kept."""
        if not steps:
            return {}
        ids = learner.training_data.ids[np.sort(learner.kept)]
        return {**super().facts(learner, steps), "memory": [id_text(each) for each in ids]}
