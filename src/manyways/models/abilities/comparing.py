"""Comparing the two texts of each row."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from manyways.models.abilities.base import Ability, Saved, words

if TYPE_CHECKING:
    from manyways.data.read import Source


@runtime_checkable
class Compares(Protocol):
    """A model that says how alike two texts are."""

    def similarity(self, source: "Source") -> NDArray[np.float32]:
        """The cosine similarity of the two texts of each row, float32 [rows]."""


def _next(saved: Saved) -> tuple[str, ...]:
    return "embed", saved.folder, saved.source, "--out", "vectors.npy"


COMPARE = Ability("similarity", Compares, words("similarity"), "compare two texts", "sentence-pairs", _next, 45)
