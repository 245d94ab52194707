"""Optimising the parameters of other networks."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from manyways.models.abilities.base import Ability, words

if TYPE_CHECKING:
    from torch.optim import Optimizer


@runtime_checkable
class Optimizes(Protocol):
    """A model that makes an optimizer."""

    def optimizer(self, parameters: Iterable[Any], *, lr: float = 1.0, weight_decay: float = 0.0) -> "Optimizer":
        """An optimizer of `parameters`, or of groups of them, for any loop of torch."""


OPTIMIZE = Ability("optimize", Optimizes, words("optimize"), "optimise other networks", "learned-optimizer")
