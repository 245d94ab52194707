"""Batches that hold nothing twice."""

from typing import TYPE_CHECKING

import numpy as np
import torch

from manyways.data.storage import RowNumbers
from manyways.randomness import mix
from manyways.training.samplers.base import Sampler

if TYPE_CHECKING:
    from manyways.training.learner import Learner


class NoDuplicates(Sampler):
    """Uniform sampling without replacement in batches that hold nothing twice: such rows would be false negatives.

    Two rows that share an input, of whichever side, are never in one batch. Rows for which an epoch has no room are
    left out of it; another epoch has another order. A batch is smaller where too few rows differ.
    """

    name = "no-duplicates"
    identities: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self._epoch: tuple[tuple[int, int, int], RowNumbers, list[RowNumbers]] | None = None

    def look(self, learner: "Learner") -> None:
        self.register_buffer("identities", torch.from_numpy(learner.identities()))

    def positions(self, pool: RowNumbers, size: int, step: int, seed: int) -> RowNumbers:
        epoch, number = divmod(step, max(1, len(pool) // size))
        key = (seed, epoch, size)
        if self._epoch is None or self._epoch[0] != key or self._epoch[1] is not pool:
            batches = self._batches(pool, size, max(1, len(pool) // size), mix(seed, epoch, len(pool)))
            self._epoch = key, pool, batches
        return pool[self._epoch[2][number]]

    def _batches(self, pool: RowNumbers, size: int, count: int, seed: int) -> list[RowNumbers]:
        """The `count` batches of an epoch, as places in `pool`: each takes the first rows that share nothing."""
        order = np.random.Generator(np.random.Philox(seed)).permutation(len(pool)).tolist()
        identities = self.identities.cpu().numpy()[pool].tolist()
        waiting: list[int] = []
        at = 0
        batches: list[RowNumbers] = []
        for _ in range(count):
            batch: list[int] = []
            inside: set[int] = set()
            passed: list[int] = []
            while len(batch) < size and (waiting or at < len(order)):
                if waiting:
                    place = waiting.pop()
                else:
                    place, at = order[at], at + 1
                if inside.isdisjoint(identities[place]):
                    batch.append(place)
                    inside.update(identities[place])
                else:
                    passed.append(place)
            waiting += passed[::-1]
            batches.append(np.array(batch, np.int64))
        # Where nearly all rows share something, the last batches of an epoch find none: its first stand in for them.
        return [batch if len(batch) else batches[0] for batch in batches]
