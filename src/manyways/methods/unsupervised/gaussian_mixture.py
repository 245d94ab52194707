"""Gaussian mixture: clusters of any width and direction, how surely a row is of one, and how probable rows are."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.targets import ClassTarget
from manyways.errors import NeedsError
from manyways.methods.bases.feature import FeatureMethod
from manyways.methods.fields import Count, Positive
from manyways.methods.method import Ablations, Learned
from manyways.methods.recommendations import Recommendation
from manyways.methods.unsupervised.pca import fit_components, free_parameters
from manyways.models.mixture import Mixture, MixtureHead
from manyways.models.model import Model
from manyways.models.principal_components import continuous, smallest_variance, whole_rows
from manyways.training.budget import Budget
from manyways.training.run import Run

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture as Fitted

MOST_TRIED = 12
"""Components at most, where their number is picked."""
ROWS_TRIED = 5000
"""Rows that it is picked by, at most."""


@dataclass(frozen=True, kw_only=True)
class GaussianMixture(FeatureMethod):
    """Mixture of Gaussians: clusters of any width and direction, and the density of rows.

    It is fitted by expectation-maximisation to the principal components of the features of a model, or of the raw
    inputs. Of pixels and of tables of numbers the density is that of whole rows: what the components leave out is
    Gaussian, too, as in probabilistic PCA.
    """

    components: Count | None = None
    """Gaussians. None: the number from 1 to 12 with the least Bayesian information criterion (Schwarz 1978)."""
    covariance: Literal["full", "tied", "diag", "spherical"] = "full"
    """Covariance of a Gaussian: full: its own; tied: the same for all; diag: along the axes; spherical: one width."""
    dimensions: Count = 50
    """Principal components that the Gaussians are over; as many as there are features, or rows, where that is fewer."""
    regularisation: Positive = 1e-3
    """Variance that is added along every direction, so that no Gaussian shrinks to a point."""
    start: Literal["kmeans", "k-means++"] = "kmeans"
    """Means that it starts from: kmeans: those of clusters by k-means; k-means++: rows that are drawn far apart."""
    restarts: Count = 1
    """Runs from different starts, of which the most probable is kept."""

    gives: ClassVar = frozenset({"cluster", "density"})
    suggests: ClassVar = ("gaussian-mixture",)
    recommends: ClassVar = {"any": Recommendation("clusters that may overlap, each with its own shape, in seconds", 71)}
    paper: ClassVar = (
        "Dempster, Laird & Rubin, Maximum likelihood from incomplete data via the EM algorithm, JRSS B 1977"
    )

    field_trials: ClassVar = {
        "restarts": {"restarts": 5, "components": 4},
        "start": {"start": "k-means++", "components": 4},
    }

    def ablations(self, data: Data) -> Ablations:
        return {"half of its rows": (self, data.without(data.training.ids[::2]))}

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        frozen = self.features(data, model, seed, run)
        features, specs = frozen.of(data.training), frozen.encoding.specs
        if (self.components or 0) > len(features):
            raise NeedsError(
                f"GaussianMixture.components must be at most the {len(features)} training rows; got {self.components}."
            )
        whole = not frozen.parents and whole_rows(frozen.network, specs)
        axes, _ = fit_components(features, self.dimensions, seed, smallest_variance(specs) if whole else 1e-12)
        along = (features.astype(np.float64) - axes.centre.numpy()) @ axes.axes.numpy().T.astype(np.float64)
        fitted = self._fitted(along, self.components or self._count(along, seed), seed)
        head = MixtureHead(fitted.n_components, along.shape[1], features.shape[1])
        head.axes.load_state_dict(axes.state_dict())
        head.log_weights.copy_(torch.from_numpy(np.log(np.maximum(fitted.weights_, 1e-300))))
        head.means.copy_(torch.from_numpy(fitted.means_))
        head.whiten.copy_(torch.from_numpy(_factors(fitted)))
        frozen.network.head = head
        target = ClassTarget("cluster", tuple(range(fitted.n_components)))
        facts: dict[str, Any] = {"components": fitted.n_components}
        if whole and continuous(specs):
            facts["free_parameters"] = fitted._n_parameters() + free_parameters(axes)
        mixture = Mixture(network=frozen.network, inputs=frozen.encoding, target=target)
        caution = "" if fitted.converged_ else "Expectation-maximisation had not converged after 200 rounds."
        facts |= {"caution": caution} if caution else {}
        return Learned(mixture, data.part[data.rows] == 0, frozen.parents, facts=facts)

    def _fitted(self, along: NDArray[np.float64], components: int, seed: int) -> "Fitted":
        import warnings

        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture as Full

        mixture = Full(
            components, covariance_type=self.covariance, reg_covar=self.regularisation, n_init=self.restarts,
            init_params=self.start, max_iter=200, random_state=seed,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # what it says is a caution of the model
            return mixture.fit(along)

    def _count(self, along: NDArray[np.float64], seed: int) -> int:
        """The number of components with the least criterion, of some of the rows."""
        some = along[np.random.default_rng(seed).permutation(len(along))[:ROWS_TRIED]]
        counts = range(1, min(MOST_TRIED, len(some)) + 1)
        return min(counts, key=lambda count: self._fitted(some, count, seed).bic(some) if len(some) > 1 else 0.0)


def _factors(fitted: "Fitted") -> NDArray[np.float64]:
    """Factors of the inverse covariances of all components, [components, directions, directions]."""
    factors, (components, directions) = fitted.precisions_cholesky_, fitted.means_.shape
    if fitted.covariance_type == "full":
        return np.asarray(factors)
    if fitted.covariance_type == "tied":
        return np.repeat(factors[None], components, 0)
    along = factors if fitted.covariance_type == "diag" else np.repeat(factors[:, None], directions, 1)
    return np.asarray(along[:, :, None] * np.eye(directions))
