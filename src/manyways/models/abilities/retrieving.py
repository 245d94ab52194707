"""Finding one input by another, and telling classes apart by their names."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from manyways.models.abilities.base import Ability, Saved, words

if TYPE_CHECKING:
    from manyways.data.read import Source
    from manyways.models.predictor import Predictor
    from manyways.models.retrieval import Found


@runtime_checkable
class Retrieves(Protocol):
    """A model of two inputs in one space, which retrieves one by the other."""

    def retrieve(self, queries: "Source", among: "Source", k: int = 10, *, by: str | None = None) -> "Found":
        """The rows of `among` that are nearest to each of `queries`, one input of a pair by the other."""

    def classifier(
        self, classes: Sequence[str], template: str = "a picture of {}", label: str = "label"
    ) -> "Predictor":
        """A model that tells `classes` apart by their names, which it need never have seen."""


def _next(saved: Saved) -> tuple[str, ...]:
    out = ("--start", saved.folder, "--out", f"{saved.folder}-classes")
    return "fit", "zero-shot", "--classes", "NAME", "NAME", *out


RETRIEVE = Ability("retrieve", Retrieves, words("retrieve"), "retrieve", "clip", _next, 50)
