"""Samplers: who picks the rows of a step."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import nn

from manyways.data.storage import RowNumbers
from manyways.errors import NeedsError
from manyways.randomness import epoch_positions, mix
from manyways.registry import Classes

if TYPE_CHECKING:
    from manyways.training.learner import EncodedLearner, LabelledLearner


class Sampler(nn.Module, ABC):
    """Rule by which the rows of a step are picked: a function of (seed, step), so that a killed run goes on the same.

    What it must remember is a buffer, and so part of the learner's state.

    Attributes:
        name: What a method's field `sampler` calls it.
        by_weight: True if it draws rows by their sample weights, so that the loss must not weigh them again.
        uses: Roles that it uses where the data has them: "difficulty".
    """

    name: ClassVar[str]
    by_weight: ClassVar[bool] = False
    uses: ClassVar[tuple[str, ...]] = ()

    def look(self, learner: "LabelledLearner") -> None:
        """Take from the training rows what the picks depend on, once: weights, classes, difficulty."""

    @abstractmethod
    def positions(self, pool: RowNumbers, size: int, step: int, seed: int) -> RowNumbers:
        """`size` of the positions in `pool` for `step`."""


SAMPLERS: Classes[Sampler] = Classes("samplers", Sampler, "manyways.training.samplers")
"""Every sampler by its name: those of this file, and of the entry-point group `manyways.samplers`."""


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

    def look(self, learner: "EncodedLearner") -> None:
        columns = [torch.from_numpy(each) for each in learner.lengths()]
        self.register_buffer("lengths", torch.stack(columns, 1) if columns else torch.zeros(len(learner.rows), 1))

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

    def look(self, learner: "LabelledLearner") -> None:
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

    def look(self, learner: "LabelledLearner") -> None:
        if not learner.target.classification:
            raise NeedsError(
                f"The sampler 'balanced' draws classes equally often, and the label {learner.target.name!r} is none. "
                "Leave it out: sampler='epochs'."
            )
        self.register_buffer("codes", learner.labels.clone())

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

    def look(self, learner: "EncodedLearner") -> None:
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
