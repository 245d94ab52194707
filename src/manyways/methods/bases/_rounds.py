"""Rounds: who takes part in which, and which rows a local step of theirs sees. All of it follows from a seed."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from manyways.data.storage import RowNumbers
from manyways.randomness import mix

WHO, ORDER = 1, 2
"""Streams of randomness: who takes part in a round, and in which order clients read their rows."""


@dataclass(frozen=True)
class RoundPlan:
    """The plan of the rounds.

    Attributes:
        share: Share of the clients that are asked in a round, in (0, 1].
        poisson: True if each is asked by a throw of its own, so that their number varies.
        dropout_rate: Probability that one that was asked does not report.
        epochs: Passes of a client over its rows in a round.
        steps: Local steps in place of passes.
    """

    share: float = 1.0
    poisson: bool = False
    dropout_rate: float = 0.0
    batch_size: int = 10
    epochs: int = 1
    steps: int | None = None


@dataclass(frozen=True, eq=False)
class Round:
    """The clients that report, those with the most local steps first, and the rows that each reads, in order."""

    clients: NDArray[np.int64]
    steps: NDArray[np.int64]
    sizes: NDArray[np.int64]
    batch_size: int
    width: int
    order: RowNumbers
    starts: NDArray[np.int64]

    def batch(self, local: int) -> tuple[RowNumbers, NDArray[np.int64]]:
        """The rows of the local step `local`: positions [clients, width], and how many of each row of them count.

        Only clients that have so many steps are among them. The last batch of a pass may be smaller: it is filled up
        with its own rows again.
        """
        busy = int((self.steps > local).sum())
        sizes = self.sizes[:busy]
        epoch, number = np.divmod(local, -(-sizes // self.batch_size))
        counts = np.minimum(self.batch_size, sizes - number * self.batch_size)
        first = self.starts[:busy] + epoch * sizes + number * self.batch_size
        return self.order[first[:, None] + np.arange(self.width) % counts[:, None]], counts


class Rounds:
    """All rounds of a federation, made when they are asked for.

    held: the positions of the rows that each client holds, at least one; seed: what all chance follows from.
    """

    def __init__(self, client_rows: Sequence[RowNumbers], plan: RoundPlan, seed: int) -> None:
        self.plan, self.seed = plan, seed
        self.sizes = np.array([len(rows) for rows in client_rows], np.int64)
        self._rows = np.concatenate(client_rows)
        self._first = np.cumsum(self.sizes) - self.sizes
        self._starts = [0]
        self.reporting = lru_cache(maxsize=64)(self._reporting)
        self.round = lru_cache(maxsize=2)(self._round)

    @cached_property
    def steps(self) -> NDArray[np.int64]:
        """Local steps [clients] of each client in a round."""
        if self.plan.steps is not None:
            return np.full_like(self.sizes, self.plan.steps)
        return self.plan.epochs * -(-self.sizes // self.plan.batch_size)

    @property
    def width(self) -> int:
        """Rows in a batch of the client that has most: every batch is filled up to it."""
        return min(self.plan.batch_size, int(self.sizes.max()))

    @property
    def most(self) -> int:
        """The number of clients that may report in one round."""
        return len(self.sizes) if self.plan.poisson else _cohort_size(len(self.sizes), self.plan.share)

    def round_of(self, step: int) -> tuple[int, int]:
        """The round of `step`, and the local step in it."""
        while self._starts[-1] <= step:
            self._starts.append(self._starts[-1] + self.length(len(self._starts) - 1))
        number = bisect_right(self._starts, step) - 1
        return number, step - self._starts[number]

    def ends(self, step: int) -> bool:
        """True if `step` is the last of its round."""
        number, local = self.round_of(step)
        return local + 1 == self.length(number)

    def length(self, number: int) -> int:
        """Steps of the round `number`: as many as its busiest client takes, and one where nobody reports.

        Where clients are asked by throws and all take as many steps, so does every round: its length tells of nobody.
        """
        if self.plan.poisson and self.plan.steps is not None:
            return self.plan.steps
        return int(self.steps[self.reporting(number)].max(initial=1))

    def begun(self, steps: int) -> int:
        """The number of rounds that have begun in `steps`."""
        return self.round_of(steps - 1)[0] + 1 if steps else 0

    def rows_per_step(self, rounds: int = 20) -> float:
        """Rows that a step reads, on average over the first `rounds`."""
        clients = [self.reporting(number) for number in range(rounds)]
        passes, rest = np.divmod(self.steps, -(-self.sizes // self.plan.batch_size))
        rows = passes * self.sizes + np.minimum(rest * self.plan.batch_size, self.sizes)
        return sum(int(rows[each].sum()) for each in clients) / sum(self.length(number) for number in range(rounds))

    def _reporting(self, number: int) -> NDArray[np.int64]:
        """The clients that take part in the round `number` and report, in order."""
        rng, clients, plan = self._generator(WHO, number), len(self.sizes), self.plan
        if plan.poisson:
            asked = np.flatnonzero(rng.random(clients) < plan.share)
        else:
            asked = rng.permutation(clients)[: _cohort_size(clients, plan.share)]
        return np.sort(asked[rng.random(len(asked)) >= plan.dropout_rate])

    def _round(self, number: int) -> Round:
        clients = self.reporting(number)
        clients = clients[np.argsort(-self.steps[clients], kind="stable")]
        sizes, steps, size = self.sizes[clients], self.steps[clients], self.plan.batch_size
        epochs = -(-steps // -(-sizes // size))
        starts = np.cumsum(epochs * sizes) - epochs * sizes
        order = np.empty(int((epochs * sizes).sum()), np.int64)
        for epoch in range(int(epochs.max(initial=0))):
            # Keys for the rows of all clients: the order in which one reads its own does not depend on the others.
            keys = self._generator(ORDER, number, epoch).random(len(self._rows))
            busy = np.flatnonzero(epochs > epoch)
            mine = _ranges(self._first[clients[busy]], sizes[busy])
            owners = np.repeat(np.arange(len(busy)), sizes[busy])
            order[_ranges(starts[busy] + epoch * sizes[busy], sizes[busy])] = self._rows[
                mine[np.lexsort((keys[mine], owners))]
            ]
        return Round(clients, steps, sizes, size, self.width, order, starts)

    def _generator(self, *stream: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(mix(self.seed, *stream)))


def _cohort_size(clients: int, share: float) -> int:
    return max(1, round(share * clients))


def _ranges(firsts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """`first, first + 1, …` of each length, one after the other."""
    ends = np.cumsum(lengths)
    return np.arange(int(lengths.sum())) + np.repeat(firsts - ends + lengths, lengths)
