"""Prototypical networks."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn.functional import cross_entropy

from manyways.methods.bases.episodes import SCORED_WAYS, EpisodeLearner, EpisodeMethod, Ways
from manyways.methods.bases.gradient import Batch, Loss
from manyways.models.few_shot.adapting import Prototypes, accuracy
from manyways.models.few_shot.prototypes import nearness, prototypes
from manyways.models.few_shot_model import FewShotModel
from manyways.models.model import Model


@dataclass(frozen=True, kw_only=True)
class ProtoNet(EpisodeMethod[EpisodeLearner]):
    """Learn features in which the rows of a class, even a new one, lie around their mean, its prototype.

    In every episode the queries are told by softmax over −‖f(x) − cₖ‖², where cₖ is the mean feature of the shots of
    class k. More classes in an episode than will be told apart make better features (the authors take 60). A class that
    was never trained needs a few examples: `model.adapt(support)`.
    """

    test_ways: Ways | None = None
    """Classes of an episode that the model is scored on. None: as many as there are in training, up to 5."""

    most_ways: ClassVar[int] = 60
    paper: ClassVar = "Snell, Swersky & Zemel, Prototypical networks for few-shot learning, NeurIPS 2017"

    def scored_ways(self, learner: EpisodeLearner) -> int:
        return self.test_ways or min(learner.ways, SCORED_WAYS)

    def loss(self, learner: EpisodeLearner, batch: Batch) -> Loss:
        support, queries = batch["support"], batch["queries"]
        episodes, shots = support["labels"].shape
        # One pass over all rows of all episodes, as nothing in it tells support from queries.
        parts = {name: torch.cat([part, queries["inputs"][name]], 1) for name, part in support["inputs"].items()}
        rows = {name: part.flatten(0, 1) for name, part in parts.items()}
        features = learner.network.features(rows).float()
        features = features.view(episodes, -1, features.shape[1])
        centres = prototypes(features[:, :shots].reshape(episodes, -1, self.shots, features.shape[2]))
        logits = nearness(features[:, shots:], centres)
        loss = cross_entropy(logits.flatten(0, 1), queries["labels"].flatten())
        return loss, {"accuracy": accuracy(logits, queries["labels"])}

    def make_model(self, learner: EpisodeLearner) -> Model:
        ways = self.scored_ways(learner)
        return FewShotModel(
            network=learner.network, inputs=learner.encoding, adaptation=Prototypes(), ways=ways, shots=self.shots
        )
