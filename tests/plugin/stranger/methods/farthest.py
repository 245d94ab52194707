"""A few-shot method whose models turn to new classes in a way of their own."""

from dataclasses import dataclass, replace

from manyways.methods.bases.episodes import EpisodeLearner
from manyways.methods.few_shot.proto_net import ProtoNet
from manyways.models.few_shot.comparing import Prototypes
from manyways.models.few_shot_model import FewShotModel
from manyways.models.model import Model


@dataclass(frozen=True)
class Sharpened(Prototypes):
    """Prototypes whose nearness is multiplied."""

    by = "sharpened"
    factor: float = 2.0


@dataclass(frozen=True, kw_only=True)
class Farthest(ProtoNet):
    """Learn as prototypical networks do, and adapt in another way."""

    def make_model(self, learner: EpisodeLearner) -> Model:
        made = super().make_model(learner)
        assert isinstance(made, FewShotModel)
        return replace(made, adaptation=Sharpened(3.0))
