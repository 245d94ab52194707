"""Sampler: who picks the rows of a step."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from manyways.data.storage import RowNumbers
from manyways.registry import Classes

if TYPE_CHECKING:
    from manyways.training.learner import Learner


class Sampler(nn.Module, ABC):
    """Rule by which the rows of a step are picked: a function of (seed, step), so that a killed run goes on the same.

    What it must remember is a buffer, and so part of the learner's state.

    Attributes:
        name: What a method's field `sampler` calls it.
        by_weight: True if it draws rows by their sample weights, so that the loss must not weigh them again.
        weighs: True if it weighs the rows of a batch by their losses; see `weigh`.
        by_task: True if it draws each task of the rows by its share, and so needs them all.
        grows: True if steps need not cost the same from the beginning of a run to its end.
        uses: Roles that it uses where the data has them: "difficulty".
        trains_first: Steps of a small model whose losses it picks by, before the first step of the run.
        steps: The picks of the whole run; the learner sets it.
    """

    name: ClassVar[str]
    by_weight: bool = False
    weighs: bool = False
    by_task: ClassVar[bool] = False
    grows: ClassVar[bool] = False
    uses: tuple[str, ...] = ()
    trains_first: int = 0
    steps: int = 1

    def __init__(self) -> None:
        super().__init__()

    @property
    def text(self) -> str:
        """The sampler as a method's field writes it: its name, and what differs from its defaults."""
        return self.name

    def resting_on(self, default: "Callable[[], Sampler]") -> "Sampler":
        """This sampler; one that picks among rows by another rests on `default` where it names none."""
        return self

    def look(self, learner: "Learner") -> None:
        """Take from the training rows what the picks depend on, once: weights, classes, difficulty."""

    @abstractmethod
    def positions(self, pool: RowNumbers, size: int, step: int, seed: int) -> RowNumbers:
        """`size` of the positions in `pool` for `step`."""

    def size_among(self, part: RowNumbers, pool: RowNumbers, size: int) -> int:
        """The rows of a batch from a `part` of the `pool` that cost what `size` rows of all of it do."""
        return size

    def take_losses(self, losses: NDArray[np.float64]) -> None:
        """Take the losses [rows] of the small model that was trained for `trains_first` steps; NaN: no label."""

    def weigh(self, positions: Tensor, losses: Tensor) -> Tensor:
        """The weights [rows] of the rows at `positions` in their batch, by their losses; where it `weighs`."""
        raise NotImplementedError(f"The sampler {self.name!r} weighs nothing.")

    def facts(self) -> dict[str, Any]:
        """The facts on what was picked, as JSON values for the lineage."""
        return {}


SAMPLERS: Classes[Sampler] = Classes("samplers", Sampler, "manyways.training.samplers")
"""Every sampler by its name: those of this folder, and of the entry-point group `manyways.samplers`."""
