"""t-SNE: a map of all rows on which those that are near each other stay so."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.errors import NeedsError
from manyways.methods.bases.feature import FeatureMethod
from manyways.methods.fields import Count, Interval
from manyways.methods.method import Ablations, Learned
from manyways.methods.recommendations import Recommendation
from manyways.methods.unsupervised.pca import fit_components
from manyways.models.layout import MISSING, NeighbourLayout, NeighbourLayoutHead, installed
from manyways.models.model import Model
from manyways.training.budget import Budget
from manyways.training.run import Run

FEWEST = 4
"""Rows that a layout is of, at least."""


@dataclass(frozen=True, kw_only=True)
class TSNE(FeatureMethod):
    """t-distributed stochastic neighbour embedding: a place in the plane for each row, by which rows it is near to.

    It is of the principal components of the features of a model, or of the raw inputs. openTSNE lays out the training
    rows, and places others among them.
    """

    perplexity: Annotated[float, Interval("[1, inf)")] = 30.0
    """Neighbours that a row has, about; at most a third of the other rows."""
    dimensions: Count = 50
    """Principal components that rows are compared by; as many as there are features, or rows, where that is fewer."""
    exaggeration: Annotated[float, Interval("[1, inf)")] = 12.0
    """Multiple of the attraction between neighbours in the first steps, which brings clusters together."""
    early_iterations: Count = 250
    """Steps with that exaggeration."""
    iterations: Count = 500
    """Steps after those."""

    gives: ClassVar = frozenset({"layout"})
    suggests: ClassVar = ("tsne",)
    recommends: ClassVar = {"any": Recommendation("a map on which neighbours stay neighbours", 10)}
    paper: ClassVar = (
        "van der Maaten & Hinton, Visualizing data using t-SNE, JMLR 2008; Poličar, Stražar & Zupan, openTSNE, JSS 2024"
    )

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        return super().lacks(data, model) or (None if installed() else MISSING)

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(early_iterations=10, iterations=10)

    def ablations(self, data: Data) -> Ablations:
        return {"its neighbours": (replace(self, perplexity=1.0), data)}

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        frozen = self.features(data, model, seed, run)
        features = frozen.of(data.training)
        if len(features) < FEWEST:
            raise NeedsError(f"TSNE needs at least {FEWEST} training rows to lay out; {data.name} has {len(features)}.")
        axes, _ = fit_components(features, self.dimensions, seed, 1e-12)
        head = NeighbourLayoutHead(len(features), *axes.axes.shape)
        head.axes.load_state_dict(axes.state_dict())
        with torch.inference_mode():
            head.rows.copy_(head.components(torch.from_numpy(features)))
        head.places.copy_(torch.from_numpy(self._places(head.rows.numpy(), seed)))
        frozen.network.head = head
        layout = NeighbourLayout(network=frozen.network, inputs=frozen.encoding)
        return Learned(layout, data.part[data.rows] == 0, frozen.parents)

    def _places(self, rows: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
        import openTSNE

        if not np.ptp(rows, axis=0).any():
            raise NeedsError("TSNE needs rows that differ; all training rows are equal.")
        layout = openTSNE.TSNE(
            perplexity=min(self.perplexity, (len(rows) - 1) / 3),
            early_exaggeration=self.exaggeration,
            early_exaggeration_iter=self.early_iterations,
            n_iter=self.iterations,
            n_jobs=torch.get_num_threads(),
            random_state=seed,
        )
        plane = np.pad(rows, ((0, 0), (0, max(0, 2 - rows.shape[1]))))  # its start has two principal components
        return np.asarray(layout.fit(plane), np.float32)
