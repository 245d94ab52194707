"""NeighbourLayout: a place in the plane for each row, among those of rows that were laid out before."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.checked_json import DAMAGED
from manyways.errors import ModelError
from manyways.models.heads import Head
from manyways.models.lineage import Lineage
from manyways.models.predictor import Predictor
from manyways.models.principal_components import ComponentsHead

if TYPE_CHECKING:
    from manyways.data.read import Source

MISSING = "it is laid out by openTSNE, which is not installed. Type: pip install 'manyways[layout]'."
NEW_PERPLEXITY, NEW_STEPS = 5.0, 250
"""Neighbours that a new row is placed by, about, and the steps of that: the defaults of openTSNE."""


def installed() -> bool:
    """True if openTSNE is there."""
    return find_spec("openTSNE") is not None


class NeighbourLayoutHead(Head):
    """Features to places: each row is placed by its nearest among the `rows` [rows, width], which have `places`.

    The rows are principal components of features. Each new one is placed by itself, by gradient descent of its part of
    the t-SNE objective with all places as they are (Poličar, Stražar & Zupan, Embedding to a reference space, 2021);
    one that equals a row that was laid out gets the place of that.
    """

    name = "neighbour-layout"
    rows: Tensor
    places: Tensor

    def __init__(self, rows: int, directions: int, numbers: int) -> None:
        super().__init__()
        self.config = {"rows": rows, "directions": directions, "numbers": numbers}
        self.axes = ComponentsHead(directions, numbers)
        self.register_buffer("rows", torch.zeros(rows, directions))
        self.register_buffer("places", torch.zeros(rows, 2))

    def components(self, features: Tensor) -> Tensor:
        """The features as rows are compared, [rows, directions]."""
        return (features - self.axes.centre) @ self.axes.axes.T

    def forward(self, features: Tensor) -> Tensor:
        placed = place(self.components(features).cpu().numpy(), self.rows.cpu().numpy(), self.places.cpu().numpy())
        return torch.from_numpy(placed).to(features.device)


def place(new: NDArray[np.float32], rows: NDArray[np.float32], places: NDArray[np.float32]) -> NDArray[np.float32]:
    """The places [new rows, 2] of `new` rows among `rows`, which have `places`.

    Raises:
        ModelError: openTSNE is not installed.
    """
    if not installed():
        raise ModelError(f"The model cannot place rows: {MISSING}")
    from openTSNE import TSNEEmbedding
    from openTSNE.affinity import Affinities, joint_probabilities_nn
    from scipy.sparse import csr_matrix
    from sklearn.neighbors import NearestNeighbors

    if not len(new):
        return np.zeros((0, 2), np.float32)
    count = min(len(rows), int(3 * NEW_PERPLEXITY))
    distances, neighbours = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(rows).kneighbors(new)
    perplexity = min(NEW_PERPLEXITY, count / 3)

    class ToRows(Affinities):  # type: ignore[misc]
        """Affinities of the new rows to the others, by neighbours that are known."""

        P = csr_matrix((len(rows), len(rows)))

        def __init__(self) -> None:
            pass

        def to_new(self, data: Any, perplexity: float, return_distances: bool = False) -> Any:
            """Affinities to the rows that were laid out, their positions, and distances."""
            affinities = joint_probabilities_nn(
                neighbours, distances, [perplexity], symmetrize=False, normalization="point-wise",
                n_reference_samples=len(rows), n_jobs=1,
            )  # fmt: skip
            return (affinities, neighbours, distances) if return_distances else affinities

    middle = (places.max(0) + places.min(0)) / 2  # which openTSNE moves to the origin before it places anything
    embedding = TSNEEmbedding(places, ToRows(), negative_gradient_method="bh", n_jobs=1)
    placed = np.asarray(embedding.transform(new, perplexity=perplexity, k=count, n_iter=NEW_STEPS)) + middle
    known = np.flatnonzero((new == rows[neighbours[:, 0]]).all(1))
    placed[known] = places[neighbours[known, 0]]
    return np.asarray(placed, np.float32)


@dataclass(frozen=True, eq=False, kw_only=True)
class NeighbourLayout(Predictor):
    """A network over rows whose head gives each a place in the plane."""

    kind: ClassVar[str] = "neighbour-layout"

    @property
    def metric(self) -> str | None:
        return None

    def able(self, words: frozenset[str]) -> frozenset[str]:
        return words & {"layout"}

    def layout(self, source: "Source") -> NDArray[np.float32]:
        """The place of each row, float32 [rows, 2].

        Raises:
            DataError: A column is missing, or holds something else.
            ModelError: openTSNE is not installed.
        """
        features = self.embed(source)
        with torch.inference_mode():
            return np.asarray(self.network.predict(torch.from_numpy(features)).numpy())

    @classmethod
    def read(cls, folder: Path, saved: Mapping[str, Any], gives: frozenset[str], lineage: Lineage) -> "NeighbourLayout":
        plain = Predictor.read(folder, saved, gives, lineage)
        if not isinstance(plain.network.head, NeighbourLayoutHead):
            raise ModelError(f"A layout has the head {NeighbourLayoutHead.name!r}; {DAMAGED}.")
        return cls(network=plain.network, inputs=plain.inputs, gives=gives, lineage=lineage)
