"""Self-supervised methods: features by a pretext task, which is scored itself, and a collapse that is seen and said."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from manyways.data.data import Data
from manyways.methods.bases.rows import RowLearnerT, RowMethod
from manyways.methods.method import Learned
from manyways.models.model import Model
from manyways.models.network import Inputs
from manyways.randomness import generator
from manyways.training.budget import Budget
from manyways.training.run import Run

MOST_ROWS, ROWS_AT_ONCE = 1024, 256
COLLAPSED = 0.03
"""Spread below which rows are not told apart; of an untrained network it is .1 and more."""


@dataclass(frozen=True, kw_only=True)
class SelfSupervised(RowMethod[RowLearnerT], Generic[RowLearnerT]):
    """A method over rows without labels whose loss is a pretext task: its features are what is wanted.

    After the last step it notes in its model's lineage, as `facts["pretext"]`, how well the task is solved on up to
    1,024 of the training rows, seen anew, how far what is compared of them is spread, and how many dimensions their
    features fill; and, as
    `facts["caution"]`, where the features have collapsed or the task was not learned.
    """

    @abstractmethod
    def pretext(self, learner: RowLearnerT, inputs: Inputs, rng: torch.Generator) -> Mapping[str, float]:
        """Scores of the pretext task on a batch of encoded rows, such as "accuracy" and what is reached by "chance".

        The network is in evaluation mode, and no gradient is taken.
        """

    def compared(self, learner: RowLearnerT, inputs: Inputs) -> Tensor:
        """Vectors [rows, width] that the loss compares, where a collapse is seen first: projections, or the features.

        Batch normalisation holds the features themselves apart, each dimension by itself.
        """
        return learner.network.features(inputs)

    def cautions(self, scores: Mapping[str, float], rows: int) -> list[str]:
        """Sentences on what `scores` of `rows` say against the features: they collapsed, the task is left to chance."""
        sentences = []
        if scores["spread"] < COLLAPSED:
            sentences.append(
                "The representation has collapsed: all rows have nearly the same "
                f"(spread {scores['spread']:.2g}, where 1 is the most). Lower the learning rate, train longer, or take "
                "another pretext task."
            )
        accuracy, chance = scores.get("accuracy"), scores.get("chance")
        if (
            accuracy is not None
            and chance is not None
            and accuracy <= chance + 3 * (chance * (1 - chance) / rows) ** 0.5
        ):
            sentences.append(
                f"The pretext task was not learned: its accuracy is {accuracy:.2%}, and chance gives {chance:.2%}. "
                f"{self.unlearned()}"
            )
        return sentences

    def unlearned(self) -> str:
        """The sentence on what to do where the pretext task stays at chance."""
        return "Train longer, or take another pretext task."

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        learned = super().learn(data, model, budget, seed, run)
        if caution := learned.facts.get("caution"):
            run.notice(str(caution))
        return learned

    def facts(self, learner: RowLearnerT, steps: int) -> dict[str, Any]:
        """The scores that `scores_of` measures, once the last step is taken."""
        stated = super().facts(learner, steps)
        if not steps:
            return stated
        scores = self.scores_of(learner)
        cautions = self.cautions(scores, min(MOST_ROWS, len(learner.rows)))
        return {**stated, "pretext": scores, **({"caution": " ".join(cautions)} if cautions else {})}

    def scores_of(self, learner: RowLearnerT) -> dict[str, float]:
        """Return the mean scores of `pretext`, the spread of what is compared, and the features' effective rank.

        Rows are some of the training rows, evenly spread, in batches of at most 256.
        """
        places = np.linspace(0, len(learner.rows) - 1, min(MOST_ROWS, len(learner.rows))).astype(np.int64)
        parts = np.array_split(learner.everything[places], -(-len(places) // ROWS_AT_ONCE))
        rng, modes = generator(learner.seed, 7), {part: part.training for part in learner.modules()}
        scores: dict[str, float] = {}
        features, vectors = [], []
        learner.eval()
        with torch.no_grad():
            for part in parts:
                inputs = learner.take(part)
                features.append(learner.network.features(inputs).float().cpu())
                vectors.append(self.compared(learner, inputs).float().cpu())
                for name, score in self.pretext(learner, inputs, rng).items():
                    scores[name] = scores.get(name, 0.0) + float(score) * len(part) / len(places)
        for module, mode in modes.items():
            module.training = mode
        return {**scores, "spread": spread(torch.cat(vectors)), "effective_rank": effective_rank(torch.cat(features))}


def spread(features: Tensor) -> float:
    """The spread of features [rows, width] over the sphere: 1 where they lie evenly on it, 0 where all are one.

    The mean over dimensions of the standard deviation of the L2-normalised features, times the square root of their
    width (Chen & He 2021, section 4.1).
    """
    deviation = normalize(features, dim=1).std(0, unbiased=False)
    return float(deviation.mean() * features.shape[1] ** 0.5)


def effective_rank(features: Tensor) -> float:
    """The number of dimensions that features [rows, width] fill: e to the entropy of their centred singular values.

    RankMe (Garrido et al., ICML 2023) with the mean taken out, which alone would fill a dimension.
    """
    values = torch.linalg.svdvals(features - features.mean(0))
    shares = values / values.sum().clamp_min(1e-12) + 1e-12
    return float(torch.exp(-(shares * shares.log()).sum()))
