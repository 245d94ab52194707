"""Metric-based few-shot methods: features in which a query is compared with the shots of an episode."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from manyways.methods.bases.episodes import SCORED_WAYS, EpisodeLearner, EpisodeMethod, Ways
from manyways.methods.bases.gradient import Batch, Loss
from manyways.models.few_shot.adapting import accuracy
from manyways.models.few_shot.comparing import FeatureAdaptation
from manyways.models.few_shot_model import FewShotModel
from manyways.models.model import Model


@dataclass(frozen=True, kw_only=True)
class MetricMethod(EpisodeMethod[EpisodeLearner]):
    """Learn features by which queries are told by their likeness to an episode's shots, in the way of an adaptation."""

    test_ways: Ways | None = None
    """Classes of an episode that the model is scored on. None: as many as there are in training, up to 5."""

    most_ways: ClassVar[int] = 60

    @abstractmethod
    def adaptation(self) -> FeatureAdaptation:
        """The way in which queries are compared with shots, in training and by the model."""

    def scored_ways(self, learner: EpisodeLearner) -> int:
        return self.test_ways or min(learner.ways, SCORED_WAYS)

    def loss(self, learner: EpisodeLearner, batch: Batch) -> Loss:
        shots, queries = self.episode_features(learner, batch)
        logits = self.adaptation().logits(learner.network, shots, queries)
        labels = batch["queries"]["labels"]
        loss = cross_entropy(logits.flatten(0, 1), labels.flatten())
        return loss, {"accuracy": accuracy(logits, labels)}

    def episode_features(self, learner: EpisodeLearner, batch: Batch) -> tuple[Tensor, Tensor]:
        """The features of the shots, [episodes, ways, shots, width], and of the queries, [episodes, queries, width]."""
        support, queries = batch["support"], batch["queries"]
        episodes, shots = support["labels"].shape
        # One pass over all rows of all episodes, as nothing in it tells support from queries.
        parts = {name: torch.cat([part, queries["inputs"][name]], 1) for name, part in support["inputs"].items()}
        rows = {name: part.flatten(0, 1) for name, part in parts.items()}
        features = learner.network.features(rows).float()
        features = features.view(episodes, -1, features.shape[1])
        return features[:, :shots].reshape(episodes, -1, self.shots, features.shape[2]), features[:, shots:]

    def make_model(self, learner: EpisodeLearner) -> Model:
        return FewShotModel(
            network=learner.network,
            inputs=learner.encoding,
            adaptation=self.adaptation(),
            ways=self.scored_ways(learner),
            shots=self.shots,
        )
