"""Federated averaging, also with differential privacy of the clients."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from manyways.methods.bases.federated import FederatedLearner, FederatedMethod
from manyways.methods.bases.gradient import Batch
from manyways.methods.recommendations import Recommendation
from manyways.models.population import Weights


@dataclass(frozen=True, kw_only=True)
class FedAvg(FederatedMethod[FederatedLearner]):
    """Learn from clients whose rows stay with them: each trains a copy for a while, and the copies are averaged.

    A step is one local step of all clients of a round at once, by plain gradient descent on rows of their own. When the
    round ends, the mean of their weights, each client by its rows, is where the next one starts. The last round ends
    with the budget. Who holds a row says the column with the role client; a client without labelled training rows takes
    no part.

    With noise it is DP-FedAvg (McMahan et al., Learning differentially private recurrent language models, ICLR 2018):
    clients are asked by independent throws, all take `local_steps`, their updates are clipped to `clip_update` and
    count alike, the sum is divided by the number that is expected, and the ε that this guarantees is among the values
    of every event and in the model's lineage (`lineage.facts["privacy"]`). Nothing is picked by clients' rows: those of
    validation are not looked at, and all rounds are taken.

    The guarantee holds for the weights, in real arithmetic, for those who do not know `noise_seed`. A secret one has 63
    bits and is gone from the run's folder when `fit` returns. It does not hold for what is told beside the weights: the
    lineage, losses and scores on the way, how many clients there are, and the choice among several models by rows of
    clients. A budget in steps or examples sets the number of rounds; one in seconds or operations is measured on
    clients' rows. Encoders, pixel statistics and the classes are fitted on all training rows beforehand, unless it
    starts from a model, of public rows: then they are that model's. `lineage.facts["privacy"]["outside"]` lists all
    that the guarantee does not cover.
    """

    recommends: ClassVar = {
        "any": Recommendation("the clients keep their rows: only weights leave them", 15),
    }
    paper: ClassVar = (
        "McMahan et al., Communication-efficient learning of deep networks from decentralized data, AISTATS 2017"
    )

    def local_losses(self, learner: FederatedLearner, batch: Batch) -> Tensor:
        return self.mean_losses(learner, batch)

    def aggregate(self, learner: FederatedLearner, number: int) -> Weights:
        return self.mean_weights(learner, number)
