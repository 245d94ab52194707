"""k-means: rows near the same centre belong together."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.data.data import Data
from manyways.data.targets import ClassTarget, Target
from manyways.errors import NeedsError
from manyways.methods.bases.feature import FeatureMethod
from manyways.methods.fields import Count
from manyways.methods.method import Ablations, Learned
from manyways.methods.needs import Input
from manyways.methods.recommendations import Recommendation
from manyways.models.heads import Head
from manyways.models.model import Model
from manyways.models.predictor import Predictor
from manyways.training.budget import Budget
from manyways.training.run import Run

SILHOUETTE_ROWS = 2000
ALL_AT_ONCE = 20_000


class CentroidHead(Head):
    """Each row speaks for its nearest centre: `names` [centres, outputs] holds the log-probabilities of its labels."""

    name = "centroids"
    centres: Tensor
    names: Tensor

    def __init__(self, centres: int, width: int, outputs: int) -> None:
        super().__init__()
        self.config = {"centres": centres, "width": width, "outputs": outputs}
        self.register_buffer("centres", torch.zeros(centres, width))
        self.register_buffer("names", torch.zeros(centres, outputs))

    def forward(self, features: Tensor) -> Tensor:
        return self.names[torch.cdist(features, self.centres).argmin(1)]


@dataclass(frozen=True, kw_only=True)
class KMeans(FeatureMethod):
    """Divide all rows among centres, over the features of a model or the raw inputs; labels, if any, name the centres.

    Where rows have a class label, a centre takes the label most frequent among its labelled rows; one without any
    takes that of the nearest centre that has some ("cluster, then label"). Without labels the model gives the number
    of the cluster.
    """

    clusters: Count | None = None
    """Number of centres. None: as many as there are labelled rows if that is known, up to 4 per class; without labels
    the number from 2 to 12 with the best silhouette (Rousseeuw 1987)."""
    restarts: Count = 10
    """Runs from different starts (k-means++), of which the best is kept."""

    needs: ClassVar = (Input,)
    gives: ClassVar = frozenset({"cluster", "classify"})
    recommends: ClassVar = {"any": Recommendation("clusters of all rows, which the labels name, in seconds", 80)}
    paper: ClassVar = "Lloyd (1957/1982); Arthur & Vassilvitskii, k-means++, SODA 2007"

    def ablations(self, data: Data) -> Ablations:
        return {"half of its rows": (self, data.without(data.training.ids[::2]))}

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        training = data.training
        target = Target.fit(data) if has_classes(data) else None
        frozen = self.features(data, model, seed, run)
        features = frozen.of(training)
        count = self.clusters or _pick_count(features, training, target, seed)
        if count > len(features):
            raise NeedsError(f"KMeans.clusters must be at most the {len(features)} training rows; got {count}.")
        centres, member = _cluster(features, count, self.restarts, seed)
        if target is None:
            target, names = ClassTarget("cluster", tuple(range(count))), np.log(np.eye(count) + 1e-6)
        else:
            names = name_centres(centres, member, target.encode(training), target.width)
        head = CentroidHead(count, features.shape[1], names.shape[1])
        head.centres.copy_(torch.from_numpy(centres))
        head.names.copy_(torch.from_numpy(names))
        frozen.network.head = head
        return Learned(
            Predictor(network=frozen.network, inputs=frozen.encoding, target=target),
            data.part[data.rows] == 0,
            frozen.parents,
        )

    def forget(
        self, model: Model, data: Data, rows: NDArray[np.bool_], *, budget: Budget | str | int | None = None,
        seed: int | None = None, run: Run | None = None,
    ) -> Model:  # fmt: skip
        """Raises NeedsError: sums over clusters do not say where the centres would have ended."""
        raise NeedsError(
            f"{self} cannot forget: without a row others may fall to other centres, in every round of the search. "
            "Train without them: fit(data.select(~rows)); or cluster with dc-kmeans, which trains anew only the part "
            "of the rows that a row is in."
        )

    def as_model(self, learned: Learned, data: Data, budget: Budget, seed: int) -> Model:
        model = super().as_model(learned, data, budget, seed)
        return model if has_classes(data) else replace(model, gives=frozenset({"cluster"}))


def has_classes(data: Data) -> bool:
    """True if some training rows have a class, by which centres can be named."""
    return data.has("label") and data.classification and bool(data.training.labelled.any())


def _cluster(
    features: NDArray[np.float32], count: int, restarts: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    from sklearn.cluster import KMeans as Full
    from sklearn.cluster import MiniBatchKMeans

    large = len(features) > ALL_AT_ONCE
    kind = MiniBatchKMeans if large else Full
    extra = {"batch_size": 4096} if large else {}
    fitted = kind(count, n_init=restarts, random_state=seed, **extra).fit(features)
    return fitted.cluster_centers_.astype(np.float32), fitted.labels_.astype(np.int64)


def _pick_count(features: NDArray[np.float32], training: Data, target: Target | None, seed: int) -> int:
    if target is not None:
        return min(max(target.width, int(training.labelled.sum())), 4 * target.width, len(features))
    from sklearn.metrics import silhouette_score

    sample = features[np.random.default_rng(seed).permutation(len(features))[:SILHOUETTE_ROWS]]
    scores = {
        count: silhouette_score(sample, _cluster(sample, count, 3, seed)[1]) for count in range(2, min(13, len(sample)))
    }
    return max(scores, key=lambda count: scores[count]) if scores else 1


def name_centres(
    centres: NDArray[np.float32], member: NDArray[np.int64], labels: NDArray[np.int64], classes: int
) -> NDArray[np.float64]:
    """The log-probability of each class for each centre: the shares among its labelled rows, else its neighbour's.

    member: the centre of each row; labels: their class codes, -1 unlabelled.
    """
    votes = np.zeros((len(centres), classes))
    np.add.at(votes, (member[labels >= 0], labels[labels >= 0]), 1)
    heard = votes.sum(1) > 0
    distance = ((centres[:, None] - centres[None, heard]) ** 2).sum(2)
    shares = votes[heard] / votes[heard].sum(1, keepdims=True)
    return np.asarray(np.log(shares[distance.argmin(1)] + 1e-6))
