"""Prototypical networks."""

from dataclasses import dataclass
from typing import ClassVar

from manyways.methods.bases.metric import MetricMethod
from manyways.models.few_shot.comparing import Prototypes


@dataclass(frozen=True, kw_only=True)
class ProtoNet(MetricMethod):
    """Learn features in which the rows of a class, even a new one, lie around their mean, its prototype.

    In every episode the queries are told by softmax over −‖f(x) − cₖ‖², where cₖ is the mean feature of the shots of
    class k. More classes in an episode than will be told apart make better features (the authors take 60). A class that
    was never trained needs a few examples: `model.adapt(support)`.
    """

    paper: ClassVar = "Snell, Swersky & Zemel, Prototypical networks for few-shot learning, NeurIPS 2017"

    def adaptation(self) -> Prototypes:
        return Prototypes()
