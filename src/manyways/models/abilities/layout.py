"""Laying rows out in two dimensions."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from manyways.models.abilities.base import Ability, Saved, words

if TYPE_CHECKING:
    from manyways.data.read import Source


@runtime_checkable
class Layouts(Protocol):
    """A model that gives each row, also one that it has not seen, a place in the plane."""

    def layout(self, source: "Source") -> NDArray[np.float32]:
        """The place of each row, float32 [rows, 2]."""


def _next(saved: Saved) -> tuple[str, ...]:
    return "embed", saved.folder, saved.source, "--out", "places.csv"


LAYOUT = Ability("layout", Layouts, words("layout"), "lay rows out in two dimensions", "pca", _next, 95)
