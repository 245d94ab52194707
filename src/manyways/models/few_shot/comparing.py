"""Adaptations that compare features: a query is told by its likeness to the examples, and no weight moves."""

import copy
from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.data.encoding import Encoded
from manyways.models.few_shot.adapting import Adaptation, features_of
from manyways.models.few_shot.episodes import Draw
from manyways.models.few_shot.prototypes import PrototypeHead, nearness, prototypes
from manyways.models.heads import Head
from manyways.models.network import Network


class FeatureAdaptation(Adaptation):
    """An adaptation by the features of the examples alone: `head` holds what is compared with, `logits` compares.

    What of it is learned, if anything, is the head of the network.
    """

    @abstractmethod
    def logits(self, network: Network, shots: Tensor, queries: Tensor) -> Tensor:
        """Logits [..., queries, ways] of queries [..., queries, width], of shots [..., ways, shots, width]."""

    @abstractmethod
    def head(self, network: Network, features: Tensor, labels: Tensor, classes: int) -> Head:
        """The head that tells rows by examples with these features [rows, width] and class codes int64 [rows]."""

    def adapted(self, network: Network, rows: Encoded, labels: Tensor, classes: int) -> Network:
        learner = copy.deepcopy(network).eval()
        learner.head = self.head(learner, features_of(learner, rows), labels, classes)
        return learner

    def accuracies(self, network: Network, rows: Encoded, support: Draw, queries: Draw) -> NDArray[np.float64]:
        features = features_of(network, rows)  # no row's features follow from the episode it is in
        shares = np.empty(len(support.positions))
        for at, (shown, asked) in enumerate(zip(support.positions, queries.positions, strict=True)):
            with torch.inference_mode():
                best = self.logits(network, features[shown], features[asked.reshape(-1)]).argmax(-1).cpu().numpy()
            shares[at] = (best == np.arange(len(asked)).repeat(asked.shape[1])).mean()
        return shares


@dataclass(frozen=True)
class Prototypes(FeatureAdaptation):
    """The class of a row is that of the nearest prototype among the features (Snell et al. 2017)."""

    by = "prototypes"

    def logits(self, network: Network, shots: Tensor, queries: Tensor) -> Tensor:
        return nearness(queries, prototypes(shots))

    def head(self, network: Network, features: Tensor, labels: Tensor, classes: int) -> PrototypeHead:
        head = PrototypeHead(features.shape[1], classes)
        head.centres.copy_(torch.stack([prototypes(features[labels == code]) for code in range(classes)]))
        return head.to(features.device)
