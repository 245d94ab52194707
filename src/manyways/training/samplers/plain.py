"""Samplers that need no fields: by epochs, length, weight and class."""

from typing import TYPE_CHECKING

import numpy as np
import torch

from manyways.data.storage import RowNumbers
from manyways.errors import NeedsError
from manyways.randomness import epoch_positions, mix
from manyways.training.samplers.base import Sampler

if TYPE_CHECKING:
    from manyways.training.learner import Learner


class Epochs(Sampler):
    """Uniform sampling without replacement: every row once before any comes again, in ever new orders."""

    name = "epochs"

    def positions(self, pool: RowNumbers, size: int, step: int, seed: int) -> RowNumbers:
        return pool[epoch_positions(len(pool), size, step, seed)]


class ByLength(Sampler):
    """Length bucketing: every row once before any comes again, in batches of rows of similar length.

    Batches hold about as many positions as each other: more short rows than long ones, on average as many as asked for.
    They come in random order. Where inputs and labels have lengths, rows are sorted by that of the label, and those of
    one by that of the inputs: of German and English sentences a batch then holds 3% of padding, by the sum of both 17%.
    Where rows have no lengths it is as `epochs`.
    """

    name = "by-length"
    lengths: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self._epoch: tuple[tuple[int, int, int], RowNumbers, list[RowNumbers]] | None = None

    def look(self, learner: "Learner") -> None:
        columns = [torch.from_numpy(each) for each in learner.lengths()]
        self.register_buffer("lengths", torch.stack(columns, 1) if columns else torch.zeros(learner.count, 1))

    def size_among(self, part: RowNumbers, pool: RowNumbers, size: int) -> int:
        lengths = self.lengths.cpu().numpy().sum(1) + 1.0
        return max(1, round(size * float(lengths[pool].mean() / lengths[part].mean())))

    def positions(self, pool: RowNumbers, size: int, step: int, seed: int) -> RowNumbers:
        count = len(pool) // size
        if count < 2 or not bool(self.lengths.any()):
            return pool[epoch_positions(len(pool), size, step, seed)]
        epoch, number = divmod(step, count)
        key = (seed, epoch, size)
        if self._epoch is None or self._epoch[0] != key or self._epoch[1] is not pool:
            self._epoch = key, pool, self._batches(pool, count, mix(seed, epoch, len(pool)))
        batches = self._epoch[2]
        return pool[batches[number % len(batches)]]

    def _batches(self, pool: RowNumbers, count: int, seed: int) -> list[RowNumbers]:
        """The batches of an epoch, at most `count`, as places in `pool`."""
        rng = np.random.Generator(np.random.Philox(seed))
        lengths = self.lengths.cpu().numpy()[pool]
        # Rows of one length lie in a new order each time.
        order = rng.permutation(len(pool))
        *others, first = lengths[order].T
        keys = [other + rng.random(len(order)) for other in others]
        order = order[np.lexsort([*keys, first])]
        ends = np.cumsum(lengths[order].sum(1) + 1.0)
        parts = np.split(order, np.searchsorted(ends, np.linspace(0, ends[-1], count + 1)[1:-1]))
        batches = [part for part in parts if len(part)]
        return [batches[at] for at in rng.permutation(len(batches))]


class Weighted(Sampler):
    """Weighted random sampling with replacement: each row as often as its sample weight says."""

    name = "weighted"
    by_weight = True
    weights: torch.Tensor

    def look(self, learner: "Learner") -> None:
        if learner.weights is None:
            raise NeedsError(
                "The sampler 'weighted' draws rows by their weights, and there are none. Name a column, weight=\"…\", "
                "or weigh the classes: class_weight='balanced'."
            )
        self.register_buffer("weights", learner.weights.double())

    def positions(self, pool: RowNumbers, size: int, step: int, seed: int) -> RowNumbers:
        shares = self.weights.cpu().numpy()[pool]
        cumulative = np.cumsum(shares)
        if not cumulative[-1]:
            return pool[epoch_positions(len(pool), size, step, seed)]
        drawn = np.random.Generator(np.random.Philox(mix(seed, step, len(pool)))).random(size) * cumulative[-1]
        drawn_rows: RowNumbers = pool[np.minimum(np.searchsorted(cumulative, drawn, side="right"), len(pool) - 1)]
        return drawn_rows


class Balanced(Sampler):
    """Class-balanced sampling: every class as often as any other, the rows of one uniformly with replacement."""

    name = "balanced"
    codes: torch.Tensor

    def look(self, learner: "Learner") -> None:
        codes = learner.kinds()
        if codes is None:
            raise NeedsError(
                "The sampler 'balanced' draws classes, or tasks, equally often, and the rows have none. Leave it out: "
                "sampler='epochs'."
            )
        self.register_buffer("codes", codes.clone())

    def positions(self, pool: RowNumbers, size: int, step: int, seed: int) -> RowNumbers:
        codes = self.codes.cpu().numpy()[pool]
        present = np.unique(codes[codes >= 0])
        if not len(present):
            return pool[epoch_positions(len(pool), size, step, seed)]
        rng = np.random.Generator(np.random.Philox(mix(seed, step, len(pool))))
        order = np.argsort(codes, kind="stable")
        first, last = np.searchsorted(codes[order], present), np.searchsorted(codes[order], present, side="right")
        drawn = rng.integers(len(present), size=size)
        within = (rng.random(size) * (last - first)[drawn]).astype(np.int64)
        drawn_rows: RowNumbers = pool[order[first[drawn] + within]]
        return drawn_rows
