"""Adapting to new classes from a few examples of each."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from manyways.models.abilities.base import Ability, Saved, words

if TYPE_CHECKING:
    from manyways.data.read import Source
    from manyways.models.predictor import Predictor


@runtime_checkable
class Adapts(Protocol):
    """A few-shot model, which adapts to new classes."""

    def adapt(self, support: "Source") -> "Predictor":
        """A model of the classes in `support`, which may be new, made of a few labelled rows of each."""


def _next(saved: Saved) -> tuple[str, ...]:
    return "fit", "adapt", "EXAMPLES", "--start", saved.folder, "--out", f"{saved.folder}-adapted"


ADAPT = Ability("adapt", Adapts, words("adapt"), "adapt", "proto-net", _next, 20)
