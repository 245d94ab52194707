"""Drawing rows, putting rows together again, and how probable rows are."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from manyways.models.abilities.base import Ability, Saved, words

if TYPE_CHECKING:
    from manyways.data.data import Data
    from manyways.data.read import Source


@runtime_checkable
class Samples(Protocol):
    """A generative model, which samples rows."""

    def sample(self, count: int, *, seed: int = 0) -> "Data":
        """`count` rows like those that it learned from, as data with the same columns; the same seed, the same rows."""


@runtime_checkable
class Reconstructs(Protocol):
    """An autoencoder, which reconstructs rows."""

    def reconstruct(self, source: "Source") -> "Data":
        """Each row as the model sees it, as data with the columns that it learned from."""


@runtime_checkable
class Densities(Protocol):
    """A density model, which gives the likelihood of rows."""

    def log_likelihood(self, source: "Source") -> NDArray[np.float64]:
        """Log-likelihood ln p(x) of each row in nats, float64 [rows]."""


def _sample(saved: Saved) -> tuple[str, ...]:
    pictures = any(column.kind == "image" for column in saved.data.inputs)
    return "generate", saved.folder, "--out", "drawn.png" if pictures else "drawn.csv"


SAMPLE = Ability("sample", Samples, words("sample"), "draw rows", "vae", _sample, 30)
RECONSTRUCT = Ability("reconstruct", Reconstructs, words("reconstruct"), "put rows together again", "vae")
DENSITY = Ability("density", Densities, words("density"), "say how probable a row is", "vae")
