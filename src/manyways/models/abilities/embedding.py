"""Embedding rows as features."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from manyways.models.abilities.base import Ability, Saved, words

if TYPE_CHECKING:
    from manyways.data.read import Source


@runtime_checkable
class Embeds(Protocol):
    """A model that embeds rows."""

    def embed(self, source: "Source") -> NDArray[np.float32]:
        """The features of each row, float32 [rows, width]."""


def _next(saved: Saved) -> tuple[str, ...]:
    return "fit", "fine-tune", saved.source, "--start", saved.folder, "--out", f"{saved.folder}-tuned"


EMBED = Ability("embed", Embeds, words("embed"), "embed", "simclr", _next, 90)
