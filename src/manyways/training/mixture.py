"""Mixtures: how often each of several tasks is drawn."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from manyways.data.storage import RowNumbers
from manyways.randomness import endless_positions, mix
from manyways.training.samplers import Sampler

Mix = Literal["proportional", "equal"] | float
"""Shares by the rows of a task, the same for each, or by a temperature."""
CYCLE = 4096
"""Rows after which every task has been drawn as often as its share says, to less than a row."""


def shares_of(sizes: Sequence[int], how: Mix, cap: int | None = None) -> NDArray[np.float64]:
    """The shares p [tasks] of tasks of so many rows in a mixture (Raffel et al., T5, JMLR 2020, section 3.5.2).

    Args:
        sizes: Rows of each task, 1 or more.
        how: "proportional", p_i ∝ n_i; "equal", all the same; or a temperature T > 0, p_i ∝ n_i^(1/T): 1 is
            proportional, and the greater the more equal.
        cap: The most rows that a task counts with, T5's artificial limit of its size; None: all.
    """
    rows = np.minimum(np.asarray(sizes, np.float64), np.inf if cap is None else cap)
    if how == "equal":
        return np.full(len(rows), 1 / len(rows))
    exponent = 1.0 if how == "proportional" else 1 / float(how)
    powers = np.exp(exponent * (np.log(rows) - np.log(rows).max()))  # n^(1/T) itself may be too great a number
    shares: NDArray[np.float64] = powers / powers.sum()
    return shares


class Mixture(Sampler):
    """Rows of several tasks: each task as often as its share says, the rows of one in epochs of its own.

    In every cycle of 4,096 rows a task comes as often as its share says, up or down to a whole number, evenly spread at
    random places. Every row of a task comes once before any of it comes again, however often other tasks come.
    """

    name = "mixture"
    by_task = True
    tasks: torch.Tensor

    def __init__(self, tasks: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
        """A sampler of rows.

        Args:
            tasks: The task of each row, int64 [rows], from 0.
            shares: The share of each task, all above 0 and together 1.
        """
        super().__init__()
        self.register_buffer("tasks", torch.from_numpy(tasks), persistent=False)  # they follow from the data
        self.shares = shares
        self._cycle: tuple[int, int, NDArray[np.int64]] = (-1, -1, np.empty(0, np.int64))
        self._totals: dict[int, list[NDArray[np.int64]]] = {}

    def positions(self, pool: RowNumbers, size: int, step: int, seed: int) -> RowNumbers:
        tasks = self.tasks.cpu().numpy()[pool]
        drawn = np.empty(size, np.int64)
        first, filled = step * size, 0
        while filled < size:
            cycle, start = divmod(first + filled, CYCLE)
            order, drawn_before = self._order(cycle, seed), self._before(cycle, seed)
            piece = order[start : start + size - filled]
            for task in np.unique(piece):
                before = int(drawn_before[task] + (order[:start] == task).sum())
                here = np.flatnonzero(piece == task)
                rows = pool[tasks == task]
                own = endless_positions(len(rows), before, len(here), mix(seed, int(task)))
                drawn[filled + here] = rows[own]
            filled += len(piece)
        return drawn

    def _counts(self, cycle: int, seed: int) -> NDArray[np.int64]:
        """Rows of each task in a cycle: its share of them, up or down by chance (systematic sampling)."""
        offset = np.random.Generator(np.random.Philox(mix(seed, cycle, 1))).random()
        ends = np.floor(CYCLE * np.cumsum(self.shares) + offset).astype(np.int64)
        ends[-1] = CYCLE  # the sum of the shares is 1 but for rounding
        counts: NDArray[np.int64] = np.diff(ends, prepend=0)
        return counts

    def _before(self, cycle: int, seed: int) -> NDArray[np.int64]:
        """Rows of each task in all cycles before `cycle`, int64 [tasks]; kept, since they only ever grow."""
        totals = self._totals.setdefault(seed, [np.zeros(len(self.shares), np.int64)])
        while len(totals) <= cycle:
            totals.append(totals[-1] + self._counts(len(totals) - 1, seed))
        return totals[cycle]

    def _order(self, cycle: int, seed: int) -> NDArray[np.int64]:
        """The tasks of the rows of a cycle, int64 [CYCLE]: of q rows of a task one falls into each q-th of it."""
        if self._cycle[:2] != (cycle, seed):
            rng = np.random.Generator(np.random.Philox(mix(seed, cycle, 2)))
            counts = self._counts(cycle, seed)
            places = [(np.arange(count) + rng.random(count)) / max(1, count) for count in counts]
            names = np.repeat(np.arange(len(counts)), counts)
            self._cycle = (cycle, seed, names[np.argsort(np.concatenate(places), kind="stable")])
        return self._cycle[2]
