"""Divide-and-conquer k-means: clusters from which a row can be taken out at the cost of a part."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.parts import TRAINING
from manyways.data.specs import Spec, TableSpec
from manyways.data.splits import parts_of
from manyways.data.targets import ClassTarget, Target
from manyways.methods.bases.feature import FeatureMethod
from manyways.methods.features import Features, plain_features
from manyways.methods.fields import Count
from manyways.methods.forgetting import forgetting, remade
from manyways.methods.method import Ablations, Learned
from manyways.methods.needs import Input
from manyways.methods.unsupervised.kmeans import has_classes, name_centres
from manyways.models.backbones.raw import plain_backbone
from manyways.models.heads import Head
from manyways.models.model import Model, of_kind
from manyways.models.moments import Moments
from manyways.models.network import Network
from manyways.models.predictor import Predictor
from manyways.randomness import mix
from manyways.training.budget import Budget
from manyways.training.run import Run

LEAVES = 0x1EAF
"""Added to a seed, so that the leaf of a row tells nothing of what else is drawn by the same seed."""


class DCCentroidHead(Head):
    """Each row speaks for its nearest centre, as its `names` [centres, outputs] say.

    leaf_centres [leaves, centres, width], leaf_counts [leaves, centres]: the clusters of every leaf, and their rows;
    moments: of the rows of each leaf. scale [width]: what features are divided by.
    """

    name = "dc-centroids"
    centres: Tensor
    names: Tensor
    scale: Tensor
    leaf_centres: Tensor
    leaf_counts: Tensor

    def __init__(self, centres: int, width: int, outputs: int, leaves: int) -> None:
        super().__init__()
        self.config = {"centres": centres, "width": width, "outputs": outputs, "leaves": leaves}
        self.register_buffer("centres", torch.zeros(centres, width))
        self.register_buffer("names", torch.zeros(centres, outputs))
        self.register_buffer("scale", torch.ones(width))
        self.register_buffer("leaf_centres", torch.zeros(leaves, centres, width))
        self.register_buffer("leaf_counts", torch.zeros(leaves, centres, dtype=torch.int64))
        self.moments = Moments(leaves, width)

    def forward(self, features: Tensor) -> Tensor:
        return self.names[self.member(features)]

    def member(self, features: Tensor) -> Tensor:
        """The number of the nearest centre of each row, int64 [rows]."""
        used = self.centres[: self.used] / self.scale
        return torch.cdist(features / self.scale, used, compute_mode="donot_use_mm_for_euclid_dist").argmin(1)

    @property
    def used(self) -> int:
        """The number of centres: as many as were asked for, unless leaves had fewer rows than that."""
        return min(len(self.centres), int((self.leaf_counts > 0).sum()))


@dataclass(frozen=True, kw_only=True)
class DCKMeans(FeatureMethod):
    """Cluster each of several parts of the rows, and then the centres found; labels, if any, name the centres.

    Which part (leaf) a row belongs to follows from its id and the seed alone, so that forgetting a row clusters its
    leaf anew, and the centres. The centres are somewhat worse than those of KMeans, which cannot forget: there a row
    that is gone may move all others.
    """

    clusters: Count | None = None
    """Number of centres. None: 4 per class; 8 where there are no classes."""
    leaves: Count = 16
    """Parts that are clustered by themselves; forgetting a row costs about one by so many of a training."""
    restarts: Count = 3
    """Runs from different starts (k-means++), of which the best is kept, in each leaf and on top."""

    needs: ClassVar = (Input,)
    gives: ClassVar = frozenset({"cluster", "classify"})
    suggests: ClassVar = ()
    forgets: ClassVar = "bitwise"
    paper: ClassVar = (
        "Ginart, Guan, Valiant & Zou, Making AI forget you: data deletion in machine learning, NeurIPS 2019"
    )

    def ablations(self, data: Data) -> Ablations:
        return {"its leaves": (replace(self, leaves=1), data)}

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        frozen = plain_features(data, model, backbone=self.backbone, device=run.pick_device())
        count = self.clusters or (4 * len(data.classes) if has_classes(data) else 8)
        target = Target.fit(data) if has_classes(data) else ClassTarget("cluster", tuple(range(count)))
        head = DCCentroidHead(count, frozen.network.width, target.width, self.leaves)
        self._cluster(head, frozen, data, np.arange(self.leaves), seed, raw=not frozen.parents)
        made = _predictor(frozen, head, target)
        return Learned(made, _shaping(data), frozen.parents)

    def forget(
        self, model: Model, data: Data, rows: NDArray[np.bool_], *, budget: Budget | str | int | None = None,
        seed: int | None = None, run: Run | None = None,
    ) -> Model:  # fmt: skip
        before = model.lineage.parents
        task = forgetting(
            self, model, data, rows, _shaping(data), own=model.lineage.rows, before=before, budget=budget, seed=seed
        )
        predictor = of_kind(Predictor, model)
        self.check(task.rest)
        network = predictor.copy_of_network()
        head = DCCentroidHead.taken_from(network)
        given = before and not self.mixes_raw(predictor.inputs)
        same = given or InputEncoding.fit(task.rest, plain=True).to_json() == predictor.inputs.to_json()
        if not same or has_classes(task.rest) != has_classes(data):
            # Features, or what is said, are others without these rows: every leaf is clustered anew.
            learned = self.learn(task.rest, None, task.budget, task.seed, run or Run())
            return remade(self, learned, task, model, run)
        frozen = Features(network, predictor.inputs, uses_all_rows=False)
        touched = np.unique(self._leaf(task.gone, task.seed))
        self._cluster(head, frozen, task.rest, touched, task.seed, raw=not before)
        assert predictor.target is not None
        learned = Learned(_predictor(frozen, head, predictor.target), _shaping(task.rest), before)
        return remade(self, learned, task, model, run)

    def as_model(self, learned: Learned, data: Data, budget: Budget, seed: int) -> Model:
        model = super().as_model(learned, data, budget, seed)
        return model if has_classes(data) else replace(model, gives=frozenset({"cluster"}))

    def _leaf(self, rows: Data, seed: int) -> NDArray[np.int64]:
        return parts_of(rows.ids, self.leaves, mix(seed, LEAVES))

    def _cluster(
        self, head: DCCentroidHead, frozen: Features, data: Data, leaves: NDArray[np.int64], seed: int, raw: bool
    ) -> None:
        """Cluster some `leaves` of `data`, then the centres of all, and name them."""
        training = data.training
        leaf = self._leaf(training, seed)
        numeric = _numeric(frozen.encoding.specs) if raw else np.zeros(head.scale.shape, bool)
        head.moments = _cleared(head.moments, leaves)
        for number in leaves.tolist():
            features = frozen.alone(training.select(leaf == number))
            scale = np.where(numeric, _deviation(features), 1).astype(np.float32)
            head.moments.move(torch.from_numpy(features), torch.full((len(features),), number), 1)
            centres, member = _kmeans(features / scale, None, len(head.centres), self.restarts, mix(seed, number))
            head.leaf_centres[number], head.leaf_counts[number] = 0, 0
            head.leaf_centres[number, : len(centres)] = torch.from_numpy(centres * scale)
            head.leaf_counts[number, : len(centres)] = torch.from_numpy(np.bincount(member, minlength=len(centres)))
        spread = head.moments.together().variance()[0].sqrt().float().numpy()
        head.scale.copy_(torch.from_numpy(np.where(numeric & (spread > 0), spread, np.float32(1))))
        there = head.leaf_counts > 0
        found, counts = (head.leaf_centres[there] / head.scale).numpy(), head.leaf_counts[there].numpy()
        centres, _ = _kmeans(found, counts, len(head.centres), self.restarts, mix(seed, self.leaves))
        head.centres.zero_()
        head.centres[: len(centres)] = torch.from_numpy(centres) * head.scale
        head.names.copy_(torch.from_numpy(_names(head, frozen, training)))


def _names(head: DCCentroidHead, frozen: Features, training: Data) -> NDArray[np.float32]:
    if not has_classes(training):
        return np.asarray(np.log(np.eye(len(head.centres)) + 1e-6), np.float32)
    shown = training.select(training.labelled)
    member = head.member(torch.from_numpy(frozen.alone(shown))).numpy()
    target = Target.fit(training)
    names = name_centres((head.centres / head.scale).numpy(), member, target.encode(shown), target.width)
    return np.asarray(names, np.float32)


def _kmeans(
    rows: NDArray[np.float32], counts: NDArray[np.int64] | None, count: int, restarts: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The centres of `rows`, and the centre of each; rows that are as many as centres, or fewer, are centres."""
    if len(rows) <= count:
        return rows, np.arange(len(rows))
    from sklearn.cluster import KMeans as Lloyd
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    # Threads add their sums up in the order in which they come. Equal rows may be fewer than centres, which warns.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = Lloyd(count, n_init=restarts, random_state=seed % 2**32).fit(rows, sample_weight=counts)
    return fitted.cluster_centers_.astype(np.float32), fitted.labels_.astype(np.int64)


def _deviation(features: NDArray[np.float32]) -> NDArray[np.float32]:
    moments = Moments(1, features.shape[1])
    moments.move(torch.from_numpy(features), torch.zeros(len(features), dtype=torch.int64), 1)
    spread = moments.variance()[0].sqrt().float().numpy()
    return np.where(spread > 0, spread, 1).astype(np.float32)


def _cleared(moments: Moments, groups: NDArray[np.int64]) -> Moments:
    """`moments` without what is known of some groups."""
    which = torch.from_numpy(groups)
    moments.count[which] = 0
    moments.sums[:, which] = 0
    moments.squares[:, which] = 0
    return moments


def _numeric(specs: Mapping[str, Spec]) -> NDArray[np.bool_]:
    """The raw features that are numbers of a table, whose units are to make no difference."""
    parts = []
    for spec in specs.values():
        mask = np.zeros(plain_backbone(spec).width, bool)
        if isinstance(spec, TableSpec):
            for at in spec.numeric:
                mask[slice(*spec.groups[at])] = True
        parts.append(mask)
    return np.concatenate(parts)


def _predictor(frozen: Features, head: DCCentroidHead, target: Target) -> Predictor:
    network: Network = frozen.network
    network.head = head
    return Predictor(network=network, inputs=frozen.encoding, target=target)


def _shaping(data: Data) -> NDArray[np.bool_]:
    used: NDArray[np.bool_] = data.part[data.rows] == TRAINING
    return used
