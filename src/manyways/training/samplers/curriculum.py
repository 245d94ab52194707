"""Curriculum learning: easy rows first, and ever harder ones."""

from math import sqrt
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from manyways.data.storage import RowNumbers
from manyways.randomness import mix
from manyways.training.samplers.base import Sampler
from manyways.training.samplers.checks import check_number, check_word
from manyways.training.samplers.difficulty import DIFFICULTIES, Difficulty, difficulties, resolved
from manyways.training.samplers.resting import RestingSampler

if TYPE_CHECKING:
    from manyways.training.learner import Learner

Pacing = Literal["root", "linear", "step"]
Order = Literal["easy", "hard", "random"]
STAGES = 5
"""Parts of equal length in which the pacing step goes on."""
LEVELS = 100
"""The competence grows so often in a run: in between, rows are picked from one pool, each before any comes again."""
POOLS = 4
"""Pools whose order is kept: a step may draw from several."""


def competence(pacing: Pacing, time: float, start: float) -> float:
    """The share of the rows, the easiest, that are picked from at a `time` in [0, 1], of which 1 is the end.

    Platanios et al., Competence-based curriculum learning for neural machine translation (NAACL 2019), equations 7 and
    8: √(t (1 − c₀²) + c₀²), and linear; step goes up in five equal steps (Cirik et al. 2016, baby steps).
    """
    time = min(1.0, max(0.0, time))
    if pacing == "root":
        return sqrt(time * (1 - start**2) + start**2)
    if pacing == "linear":
        return time * (1 - start) + start
    return max(start, min(1.0, (int(time * STAGES) + 1) / STAGES))


class Curriculum(RestingSampler):
    """Curriculum learning: rows are picked by `base` from the easiest ones alone, ever more of them, and then from all.

    Of classes, or tasks, each has as large a share of the easy rows as of all. A batch is never larger than what it is
    picked from; batches by length hold as many positions as they would among all rows.

    Bengio et al., Curriculum learning (ICML 2009). Harder rows first, or a random order, are the controls of Wu et al.,
    When do curricula work? (ICLR 2021).
    """

    name = "curriculum"
    grows = True
    difficulties: torch.Tensor

    def __init__(
        self, base: str | Sampler = "auto", *, difficulty: Difficulty = "auto", pacing: Pacing = "root",
        order: Order = "easy", start: float = 0.01, until: float = 0.5, small_steps: int = 200,
    ) -> None:  # fmt: skip
        """A sampler of rows in an order.

        Args:
            base: Sampler that picks among the easy rows; auto: the one that the method has without a curriculum.
            difficulty: column, the role difficulty; length, in positions; rarity, of words; loss, that of a small model
                which is trained first; auto: the first of column, length and loss that the rows have.
            pacing: Growth of the share of the rows, from `start` to all: by its root, linear, or in five steps.
            order: easy first, hard first, or random, which tells what the order adds to the growth.
            start: Share of the rows at first, in (0, 1].
            until: Share of the run after which all rows are picked from, above 0; above 1 the hardest never are.
            small_steps: Steps of the small model; the budget pays for them.

        Raises:
            ParameterError: A field is out of its range.
        """
        check_word("Curriculum.difficulty", difficulty, DIFFICULTIES)
        check_word("Curriculum.pacing", pacing, get_args(Pacing))
        check_word("Curriculum.order", order, get_args(Order))
        check_number("Curriculum.start", start, "(0, 1]")
        check_number("Curriculum.until", until, "(0, inf)")
        check_number("Curriculum.small_steps", small_steps, "[1, inf)", whole=True)
        ordered = order != "random"
        super().__init__(
            base, ("difficulty",) if difficulty in ("auto", "column") and ordered else (),
            small_steps if difficulty == "loss" and ordered else 0,
        )  # fmt: skip
        self.write(
            difficulty=(difficulty, "auto"), pacing=(pacing, "root"), order=(order, "easy"), start=(start, 0.01),
            until=(until, 0.5), small_steps=(small_steps, 200),
        )  # fmt: skip
        self.difficulty: Difficulty = difficulty
        self.pacing: Pacing = pacing
        self.order: Order = order
        self.start, self.until, self.small_steps = start, until, small_steps
        self._orders: dict[tuple[int, int], _Order] = {}
        self._kinds: NDArray[np.int64] | None = None

    def look(self, learner: "Learner") -> None:
        super().look(learner)
        codes = learner.kinds()
        self._kinds = None if codes is None else codes.cpu().numpy().astype(np.int64)
        values = np.full(learner.count, np.nan)  # a random order needs none, and losses come later
        if self.order != "random":
            self.difficulty = resolved(self.difficulty, learner)
            if self.difficulty == "loss":
                self.trains_first = self.small_steps
            else:
                values = difficulties(self.difficulty, learner)
        self.register_buffer("difficulties", torch.from_numpy(values))

    def take_losses(self, losses: NDArray[np.float64]) -> None:
        super().take_losses(losses)
        self.difficulties.copy_(torch.from_numpy(losses))
        self._orders.clear()

    def positions(self, pool: RowNumbers, size: int, step: int, seed: int) -> RowNumbers:
        part = self._easiest(pool, size, step, seed)
        return super().positions(part, self.size_among(part, pool, size), step, seed)

    def share(self, step: int) -> float:
        """The share of the rows that are picked from at `step`."""
        level = int(LEVELS * step / self.steps) / LEVELS if self.steps > LEVELS else step / self.steps
        return competence(self.pacing, level / self.until, self.start)

    def facts(self) -> dict[str, Any]:
        last = self.share(max(0, self.steps - 1))
        own = {} if self.order == "random" else {"difficulty": self.difficulty}
        return {**super().facts(), "curriculum": {**own, "order": self.order, "share_at_the_end": round(last, 4)}}

    def _easiest(self, pool: RowNumbers, size: int, step: int, seed: int) -> RowNumbers:
        """The rows of `pool` that are picked from at `step`: the same array as long as the share is the same."""
        key = (id(pool), seed)
        order = self._orders.get(key)
        if order is None or order.pool is not pool:
            if len(self._orders) >= POOLS:
                self._orders.clear()
            self._orders[key] = order = self._ordered(pool, seed)
        count = int(np.searchsorted(order.quantiles, self.share(step), side="left"))
        return order.first(min(len(pool), max(count, size)))

    def _ordered(self, pool: RowNumbers, seed: int) -> "_Order":
        random = np.random.Generator(np.random.Philox(mix(seed, len(pool), 4))).random(len(pool))
        values = self.difficulties.cpu().numpy()[pool]
        if np.isnan(values).all():  # a random order, or rows without labels, which have no loss
            values = random
        elif self.order == "hard":
            values = -values
        kinds = np.zeros(len(pool), np.int64) if self._kinds is None else self._kinds[pool]
        places = np.lexsort([random, values, kinds])  # equal ones in a random order, missing ones last
        _, first, counts = np.unique(kinds[places], return_index=True, return_counts=True)
        ranks = np.arange(len(pool)) - np.repeat(first, counts)
        quantiles = ranks / np.repeat(counts, counts)
        mixed = np.lexsort([random[places], quantiles])
        return _Order(pool, places[mixed], quantiles[mixed])


class _Order:
    """The rows of a pool from the first to the last, and the share of its class that is before each."""

    def __init__(self, pool: RowNumbers, places: RowNumbers, quantiles: NDArray[np.float64]) -> None:
        self.pool, self.places, self.quantiles = pool, places, quantiles
        self._part = pool

    def first(self, count: int) -> RowNumbers:
        """The first `count` rows, sorted; the same array for the same number."""
        if count == len(self.pool):
            return self.pool
        if len(self._part) != count:
            self._part = self.pool[np.sort(self.places[:count])]
        return self._part
