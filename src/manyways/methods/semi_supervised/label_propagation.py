"""Label propagation: labels flow to near neighbours."""

import warnings
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.data.data import Data
from manyways.data.targets import Target
from manyways.errors import NeedsError
from manyways.methods.bases.feature import FeatureMethod
from manyways.methods.expected import announce, seconds_of
from manyways.methods.fields import Count, Interval, Positive
from manyways.methods.method import Ablations, Learned
from manyways.methods.needs import Classes, Input, Unlabelled
from manyways.methods.recommendations import Recommendation
from manyways.models.heads import Head
from manyways.models.model import Model
from manyways.models.nearest import NearestRows
from manyways.models.predictor import Predictor
from manyways.training.budget import Budget
from manyways.training.run import Run

MOST_ROWS_RBF = 20_000
MOST_NUMBERS = 1 << 27
"""Rows by classes: half a gigabyte to keep, several while labels flow."""
TRIED = 256
"""Rows by which the time of the search for neighbours is measured."""
TOLERANCE = 1e-9
"""The flow ends when all rows together change by less. Far from a label little arrives, and that little decides:
by scikit-learn's defaults (1e-3, alpha 0.2) two in five rows of two interleaved moons are left without a label."""


MOST_NUMBERS_OF_A_TREE = 15
"""scikit-learn finds the neighbours of rows of so many numbers by trees, and of wider ones by comparing all."""


class PropagationHead(Head):
    """The label distribution of a row: the kernel-weighted mean of those of the rows that the labels flowed through."""

    name = "propagation"
    distributions: Tensor

    def __init__(self, count: int, width: int, outputs: int, kernel: str, neighbours: int, gamma: float) -> None:
        super().__init__()
        self.config = {
            "count": count, "width": width, "outputs": outputs, "kernel": kernel, "neighbours": neighbours,
            "gamma": gamma,
        }  # fmt: skip
        self.kernel, self.neighbours, self.gamma = kernel, neighbours, gamma
        self.near = NearestRows(count, width)
        self.register_buffer("distributions", torch.zeros(count, outputs))

    def forward(self, features: Tensor) -> Tensor:
        if self.kernel == "rbf":
            # The nearest row's distance cancels in the mean, and far rows no longer underflow all at once.
            squared = torch.cdist(features, self.near.rows).square()
            weights = torch.exp(-self.gamma * (squared - squared.min(1, keepdim=True).values))
            mean = (weights @ self.distributions) / weights.sum(1, keepdim=True)
        else:
            mean = self.distributions[self.near(features, self.neighbours)].mean(1)
        return mean.clamp_min(1e-6).log()


@dataclass(frozen=True, kw_only=True)
class LabelPropagation(FeatureMethod):
    """Let labels flow along a graph of near neighbours, over the features of a model or the raw inputs.

    `alpha` = 0 keeps the given labels as they are (label propagation, Zhu & Ghahramani 2002); above 0 they may be
    overruled (label spreading, Zhou et al. 2004). The flow is scikit-learn's.

    A row that no label reaches, because its part of the graph has none, keeps all classes equally likely, and is
    answered with the first; more `neighbours` join the parts.
    """

    kernel: Literal["knn", "rbf"] = "knn"
    """Neighbours of a row: the nearest ones, or all rows by distance (up to 20,000 rows)."""
    neighbours: Count = 8
    """Number of nearest rows that are neighbours, the row itself among them."""
    gamma: Positive = 20.0
    """Sharpness of the rbf kernel exp(−γ d²)."""
    alpha: Annotated[float, Interval("[0, 1)")] = 0.5
    """Share of a row's label that comes from its neighbours even where the label was given."""
    iterations: Count = 100
    """Most rounds of the flow, in each of which labels go one neighbour further; ten times as many where `alpha` is 0.
    It ends when nothing changes any more."""

    needs: ClassVar = (Input, Classes, Unlabelled)
    gives: ClassVar = frozenset({"classify"})
    recommends: ClassVar = {
        "any": Recommendation("spreads the labels to similar rows without one, in a moment", 22),
    }
    paper: ClassVar = "Zhu & Ghahramani (2002); Zhou et al., Learning with local and global consistency, NeurIPS 2003"

    field_trials: ClassVar = {"gamma": {"kernel": "rbf", "gamma": 0.1}}

    def ablations(self, data: Data) -> Ablations:
        return {**super().ablations(data), "labels that flow on": (replace(self, iterations=1), data)}

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        training, target = data.training, Target.fit(data)
        if self.kernel == "rbf" and len(training) > MOST_ROWS_RBF:
            raise NeedsError(f"The rbf kernel compares all {len(training):,} rows with each other; use kernel='knn'.")
        if len(training) * target.width > MOST_NUMBERS:
            raise NeedsError(
                f"LabelPropagation keeps for every row how probable each class is: {len(training):,} rows by "
                f"{target.width:,} classes, and {MOST_NUMBERS:,} numbers are the most. Take fewer rows, or "
                "nearest-neighbours, which looks at labelled rows alone."
            )
        frozen = self.features(data, model, seed, run)
        features, labels = frozen.of(training), target.encode(training)
        neighbours = min(self.neighbours, len(training))
        head = PropagationHead(len(features), features.shape[1], target.width, self.kernel, neighbours, self.gamma)
        head.near.fit(torch.from_numpy(features))
        if self._is_wide(features):
            self._announce(head.near, features, budget, run)
        distributions = self._flow(features, labels, target.width, head.near)
        head.distributions.copy_(torch.from_numpy(distributions))
        frozen.network.head = head
        return Learned(
            Predictor(network=frozen.network, inputs=frozen.encoding, target=target),
            data.part[data.rows] == 0,
            frozen.parents,
        )

    def _is_wide(self, features: NDArray[np.float32]) -> bool:
        return self.kernel == "knn" and features.shape[1] > MOST_NUMBERS_OF_A_TREE

    def _announce(self, near: NearestRows, features: NDArray[np.float32], budget: Budget, run: Run) -> None:
        """Say how long the search for neighbours takes, by that of a few rows, where it is more than the budget."""
        some = torch.from_numpy(features[:TRIED])
        near(some, self.neighbours)  # the first call allocates
        expected = seconds_of(lambda: near(some, self.neighbours)) * len(features) / len(some)
        work = f"Finding the neighbours of {len(features):,} rows among each other"
        announce(run, budget, expected, work, "Fewer rows take less by the square.")

    def _flow(
        self, features: NDArray[np.float32], labels: NDArray[Any], classes: int, near: NearestRows
    ) -> NDArray[Any]:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.semi_supervised import LabelPropagation as Clamped
        from sklearn.semi_supervised import LabelSpreading

        neighbours = min(self.neighbours, len(features) - 1)
        options: dict[str, Any] = {
            "kernel": (lambda rows, _: graph(near, rows, neighbours)) if self._is_wide(features) else self.kernel,
            "gamma": self.gamma, "n_neighbors": neighbours,
            "max_iter": self.iterations * (1 if self.alpha else 10), "tol": TOLERANCE if self.alpha else 1e-3,
        }  # fmt: skip
        flow = LabelSpreading(alpha=self.alpha, **options) if self.alpha else Clamped(**options)
        # Rows that no label reaches are divided by nothing; they are mended below.
        with np.errstate(invalid="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # `iterations` is how long the flow was allowed to be
            flow.fit(features, labels)
        out = np.full((len(features), classes), 0.0)
        out[:, flow.classes_] = np.nan_to_num(flow.label_distributions_)
        # Rows that no label reached have all classes equally probable.
        out[out.sum(1) == 0] = 1 / classes
        return np.asarray(out / out.sum(1, keepdims=True))


def graph(near: NearestRows, rows: NDArray[np.float32], neighbours: int) -> Any:
    """1 where a row is among the `neighbours` nearest of another, or is that row; a sparse matrix [rows, rows]."""
    from scipy.sparse import csr_matrix

    found = near(torch.from_numpy(rows), neighbours).numpy()
    ends = np.arange(0, found.size + 1, neighbours)
    return csr_matrix((np.ones(found.size), found.ravel(), ends), shape=(len(rows), len(rows)))
