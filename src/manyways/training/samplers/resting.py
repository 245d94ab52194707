"""Samplers that rest on another one, which picks among the rows that they leave."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from manyways.data.storage import RowNumbers
from manyways.training.samplers.base import Sampler
from manyways.training.samplers.expressions import make_sampler

if TYPE_CHECKING:
    from manyways.training.learner import Learner


class RestingSampler(Sampler):
    """A sampler with a `base`; of the fields, those that are not as usual are part of its `text`."""

    def __init__(self, base: str | Sampler, uses: tuple[str, ...] = (), trains_first: int = 0) -> None:
        """A sampler that rests on another.

        Args:
            base: That other one, or its text; auto: the one that a method has by itself.
            uses: Roles that it uses itself.
            trains_first: Steps of the small model whose losses it picks by itself.
        """
        super().__init__()
        self.base = None if base == "auto" else make_sampler(base)
        self.uses, self.trains_first = uses, trains_first
        self._written = [] if self.base is None else [self.base.text]
        if self.base is not None:
            self._take_after(self.base)

    def write(self, **fields: tuple[Any, Any]) -> None:
        """Let the text hold fields, each given as its value and the usual one, where these differ."""
        self._written += [f"{name}={value}" for name, (value, usual) in fields.items() if value != usual]

    @property
    def text(self) -> str:
        return f"{self.name}({', '.join(self._written)})" if self._written else self.name

    @property
    def rests_on(self) -> Sampler:
        """The sampler that picks among the rows."""
        if self.base is None:
            raise ValueError(f"The sampler {self.name!r} names no base and needs one: resting_on(Epochs).")
        return self.base

    def resting_on(self, default: Callable[[], Sampler]) -> Sampler:
        self.base = default() if self.base is None else self.base.resting_on(default)
        self._take_after(self.base)
        return self

    def _take_after(self, base: Sampler) -> None:
        self.by_weight, self.weighs = base.by_weight, self.weighs or base.weighs
        self.uses = tuple(dict.fromkeys((*self.uses, *base.uses)))
        self.trains_first = max(self.trains_first, base.trains_first)

    def look(self, learner: "Learner") -> None:
        self.rests_on.look(learner)
        self.trains_first = max(self.trains_first, self.rests_on.trains_first)

    def positions(self, pool: RowNumbers, size: int, step: int, seed: int) -> RowNumbers:
        self.rests_on.steps = self.steps
        return self.rests_on.positions(pool, size, step, seed)

    def size_among(self, part: RowNumbers, pool: RowNumbers, size: int) -> int:
        return self.rests_on.size_among(part, pool, size)

    def take_losses(self, losses: NDArray[np.float64]) -> None:
        if self.rests_on.trains_first:
            self.rests_on.take_losses(losses)

    def weigh(self, positions: Tensor, losses: Tensor) -> Tensor:
        return self.rests_on.weigh(positions, losses)

    def facts(self) -> dict[str, Any]:
        return self.rests_on.facts()
