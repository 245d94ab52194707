"""Stages: one sub-corpus after the other."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.storage import RowNumbers
from manyways.errors import DataError, NeedsError, ParameterError, did_you_mean
from manyways.randomness import mix
from manyways.training.samplers.base import Sampler
from manyways.training.samplers.checks import check_number
from manyways.training.samplers.plain import Epochs
from manyways.training.samplers.resting import RestingSampler

if TYPE_CHECKING:
    from manyways.training.learner import Learner


class Stages(RestingSampler):
    """Stages of training: the rows of one task after those of another, such as simple text and then the domain's.

    The role task says which stage a row is of. Each has its share of the steps, and `base` picks among its rows; the
    share `keep` of a batch is of the stages before, so that they are not forgotten.
    """

    name = "stages"
    grows = True

    def __init__(
        self, *order: str, base: str | Sampler = "auto", shares: Sequence[float] = (), keep: float = 0.0
    ) -> None:
        """A sampler of stages.

        Args:
            order: Tasks in their order, all of them; none: as they first come among the rows.
            base: Sampler that picks among the rows of a stage; auto: the one that the method has otherwise.
            shares: Share of the steps of each stage, in any unit; none: equal ones.
            keep: Share of a batch that is of earlier stages, in [0, 1).

        Raises:
            ParameterError: A field is out of its range.
        """
        check_number("Stages.keep", keep, "[0, 1)")
        for share in shares:
            check_number("Stages.shares", share, "(0, inf)")
        if order and shares and len(order) != len(shares):
            raise ParameterError(f"Stages.shares must be one for each of {len(order)} stages; got {tuple(shares)!r}.")
        if len(set(order)) < len(order):
            raise ParameterError(f"Stages must name each stage once; got {', '.join(map(str, order))}.")
        super().__init__(base, ("task",))
        self.order, self.shares, self.keep = tuple(map(str, order)), tuple(shares), keep
        own = [each if each.isidentifier() else repr(each) for each in self.order]
        based = [f"base={self.base.text}"] if self.base is not None else []
        self._written = [*own, *based]
        self.write(shares=(self.shares, ()), keep=(keep, 0.0))
        self._stage_of: NDArray[np.int64] = np.empty(0, np.int64)
        self._parts: tuple[RowNumbers, int, RowNumbers, RowNumbers] | None = None

    def resting_on(self, default: Callable[[], Sampler]) -> Sampler:
        # A mixture of tasks needs them all, and a stage has one.
        return super().resting_on(lambda: Epochs() if (usual := default()).by_task else usual)

    def look(self, learner: "Learner") -> None:
        super().look(learner)
        if not learner.data.has("task"):
            raise NeedsError(
                "The sampler 'stages' needs to know the stage of each row. Name the column: task=\"…\" with one of "
                f"{', '.join(learner.data.columns)}; or read each part as a task: "
                'read({"simple": …, "domain": …}, task="task").'
            )
        (name,) = learner.data.roles["task"]
        values = [str(value) for value in learner.values_of(name)]
        names = list(dict.fromkeys(values))
        order = self.order or tuple(names)
        for stage in order:
            if stage not in names:
                raise DataError(
                    f"No training row is of the stage {stage!r}; those in {name!r} are {', '.join(names)}."
                    f"{did_you_mean(stage, names)}"
                )
        if lost := [each for each in names if each not in order]:
            raise DataError(f"The stages leave out {lost[0]!r} of {name!r}. Name it, too: stages({', '.join(names)}).")
        if len(names) < 2:
            raise DataError(f"Stages are two or more, and all training rows are of {names[0]!r} in {name!r}.")
        if self.shares and len(self.shares) != len(order):
            raise ParameterError(f"Stages.shares must be one for each of {len(order)} stages; got {self.shares}.")
        self.order = order
        places = {each: at for at, each in enumerate(order)}
        self._stage_of = np.array([places[value] for value in values])

    def ends(self) -> NDArray[np.int64]:
        """The step after the last one of each stage, int64 [stages]."""
        shares = np.asarray(self.shares or (1.0,) * len(self.order))
        ends: NDArray[np.int64] = np.rint(self.steps * np.cumsum(shares) / shares.sum()).astype(np.int64)
        return ends

    def positions(self, pool: RowNumbers, size: int, step: int, seed: int) -> RowNumbers:
        ends = self.ends()
        stage = min(int(np.searchsorted(ends, step, side="right")), len(ends) - 1)
        first = int(ends[stage - 1]) if stage else 0
        now, before = self._parts_of(pool, stage)
        if not len(now):  # no row of the pool is of this stage
            return super().positions(pool, size, step, seed)
        kept = round(size * self.keep) if len(before) else 0
        self.rests_on.steps = max(1, int(ends[stage]) - first)
        picked = self.rests_on.positions(now, self.size_among(now, pool, size - kept), step - first, mix(seed, stage))
        if not kept:
            return picked
        old = self.rests_on.positions(before, self.size_among(before, pool, kept), step - first, mix(seed, stage, 1))
        both: RowNumbers = np.concatenate([picked, old])
        return both

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "stages": dict(zip(self.order, self.ends().tolist(), strict=True))}

    def _parts_of(self, pool: RowNumbers, stage: int) -> tuple[RowNumbers, RowNumbers]:
        """The rows of `pool` that are of a stage, and those of the stages before: the same arrays each time."""
        known = self._parts
        if known is None or known[0] is not pool or known[1] != stage:
            stages = self._stage_of[pool]
            self._parts = known = (pool, stage, pool[stages == stage], pool[stages < stage])
        return known[2], known[3]
