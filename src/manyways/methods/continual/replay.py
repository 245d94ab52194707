"""Experience replay: a few rows of earlier tasks are kept, and learned again with every batch."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch

from manyways.data.storage import RowNumbers
from manyways.methods.bases.rehearsal import RehearsalLearner, RehearsalMethod, balanced, reservoir
from manyways.methods.fields import Interval


@dataclass(frozen=True, kw_only=True)
class Replay(RehearsalMethod[RehearsalLearner]):
    """Keep a few rows of every task, and let a share of each later batch be of them.

    Which rows are kept stands in the model's lineage (`facts["memory"]`, their ids): they are held as long as it
    learns.
    """

    selection: Literal["balanced", "reservoir"] = "balanced"
    """Choice of the rows: as many of each class as fit, drawn at random (of each task, where labels have a structure);
    or each row with the same probability."""
    memory_share: Annotated[float, Interval("(0, 1)")] = 0.5
    """Share of a batch that is of the memory, once a task has ended."""

    paper: ClassVar = "Chaudhry et al., On tiny episodic memories in continual learning, arXiv:1902.10486 (2019)"

    def choose(self, learner: RehearsalLearner, task: int, step: int) -> RowNumbers:
        """Rows of `task`, and of the memory those that are their share."""
        kept = learner.kept
        size = self.rows_in_batch(learner)
        count = round(self.memory_share * size) if len(kept) else 0
        count = min(max(count, int(len(kept) > 0)), size - 1)
        since = learner.since(step)
        new = learner.pick(learner.tasks.rows[task], size - count, since)
        return np.concatenate([new, learner.pick(kept, count, since, stream=1)]) if count else new

    def end_of_task(self, learner: RehearsalLearner, task: int) -> None:
        rng = learner.keeping_rng(task)
        memory, rows = learner.memory.cpu().numpy(), learner.tasks.rows[task]
        if self.selection == "balanced":
            codes = learner.labels.numpy() if learner.target.classification else learner.task_of
            memory = balanced(memory, rows, codes, rng)
        else:
            seen = sum(len(each) for each in learner.tasks.rows[:task])
            memory = reservoir(memory, seen, rng.permutation(rows), rng)
        learner.memory.copy_(torch.from_numpy(memory))
