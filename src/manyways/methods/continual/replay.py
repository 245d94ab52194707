"""Experience replay: a few rows of earlier tasks are kept, and learned again with every batch."""

from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.data.columns import id_text
from manyways.data.data import Data
from manyways.data.storage import RowNumbers
from manyways.methods.bases.tasks_in_order import ContinualLearner, ContinualMethod
from manyways.methods.fields import Count, Interval
from manyways.methods.method import Ablations
from manyways.models.model import Model
from manyways.randomness import mix

EMPTY = -1


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
    # Of each class the first, then the second, …: classes take turns until the memory is full.
    turn = np.empty(len(pool), np.int64)
    for name in np.unique(labels[pool]):
        of_class = np.flatnonzero(labels[pool] == name)
        turn[of_class] = np.arange(len(of_class))
    kept = pool[np.argsort(turn, kind="stable")[: len(memory)]]
    return np.concatenate([kept, np.full(len(memory) - len(kept), EMPTY)])


class ReplayLearner(ContinualLearner):
    """A continual learner with the positions of the rows that are kept, -1 where there is still room."""

    memory: Tensor


@dataclass(frozen=True, kw_only=True)
class Replay(ContinualMethod[ReplayLearner]):
    """Keep a few rows of every task, and let a share of each later batch be of them.

    Which rows are kept stands in the model's lineage (`facts["memory"]`, their ids): they are held as long as it
    learns.
    """

    memory: Count = 500
    """Rows that are kept, of all tasks together."""
    selection: Literal["balanced", "reservoir"] = "balanced"
    """Choice of the rows: as many of each class as fit, drawn at random (of each task, where labels have a structure);
    or each row with the same probability."""
    memory_share: Annotated[float, Interval("(0, 1)")] = 0.5
    """Share of a batch that is of the memory, once a task has ended."""

    paper: ClassVar = "Chaudhry et al., On tiny episodic memories in continual learning, arXiv:1902.10486 (2019)"

    def ablations(self, data: Data) -> Ablations:
        from manyways.methods.continual.sequential_fine_tune import SequentialFineTune

        own = {"memory", "selection", "memory_share"}
        shared = {spec.name: getattr(self, spec.name) for spec in fields(self) if spec.name not in own}
        return {**super().ablations(data), "its memory": (SequentialFineTune(**shared), data)}

    def begin(self, data: Data, model: Model | None, seed: int) -> ReplayLearner:
        learner = super().begin(data, model, seed)
        learner.register_buffer("memory", torch.full((self.memory,), EMPTY))
        return learner

    def choose(self, learner: ReplayLearner, task: int, step: int) -> RowNumbers:
        """Rows of `task`, and of the memory those that are their share."""
        kept = _memory(learner)
        size = self.rows_in_batch(learner)
        count = round(self.memory_share * size) if len(kept) else 0
        count = min(max(count, int(len(kept) > 0)), size - 1)
        since = learner.since(step)
        new = learner.pick(learner.tasks.rows[task], size - count, since)
        return np.concatenate([new, learner.pick(kept, count, since, stream=1)]) if count else new

    def end_of_task(self, learner: ReplayLearner, task: int) -> None:
        rng = np.random.Generator(np.random.Philox(mix(learner.seed, task, 5)))
        memory, rows = learner.memory.cpu().numpy(), learner.tasks.rows[task]
        if self.selection == "balanced":
            codes = learner.labels.numpy() if learner.target.classification else learner.task_of
            memory = balanced(memory, rows, codes, rng)
        else:
            seen = sum(len(each) for each in learner.tasks.rows[:task])
            memory = reservoir(memory, seen, rng.permutation(rows), rng)
        learner.memory.copy_(torch.from_numpy(memory))

    def facts(self, learner: ReplayLearner, steps: int) -> dict[str, Any]:
        """The tasks in their order, and the ids of the rows that are kept."""
        if not steps:
            return {}
        ids = learner.training_data.ids[np.sort(_memory(learner))]
        return {**super().facts(learner, steps), "memory": [id_text(each) for each in ids]}


def _memory(learner: ReplayLearner) -> RowNumbers:
    """The positions of the rows that are kept."""
    memory = learner.memory.cpu().numpy()
    kept: RowNumbers = memory[memory != EMPTY]
    return kept
