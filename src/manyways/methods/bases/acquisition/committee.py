"""Query by committee (Seung et al. 1992): rows on which models that learned from other draws of the labels disagree."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.targets import Target
from manyways.data.targets.base import PSEUDO_LABELS
from manyways.methods.bases.acquisition import Ranking
from manyways.methods.bases.acquisition.pool import Pool
from manyways.methods.bases.acquisition.uncertainty import entropy

NUMBER = "regress"
TIES = 1e-6
"""Far less than two vote entropies of a few members that differ do so by."""


class VoteEntropy(Ranking):
    """The entropy of the shares of the members that vote for each class (Dagan & Engelson, ICML 1995), in nats.

    Of members whose votes are shared alike the row of the highest mean entropy comes first: with few members many rows
    are alike.
    """

    name: ClassVar = "vote-entropy"
    votes: ClassVar = True

    def suits(self, kind: type[Target]) -> bool:
        return has_probabilities(kind)

    def scores(self, pool: Pool, rng: np.random.Generator) -> NDArray[np.float64]:
        return np.asarray(vote_entropy(pool.member_probabilities).mean(axis=1))


class ConsensusKL(Ranking):
    """The mean divergence of the members' probabilities from their mean (McCallum & Nigam, ICML 1998), in nats.

    It is the mutual information of the class and the member: of members that are draws of a posterior, BALD.
    """

    name: ClassVar = "consensus-kl"
    votes: ClassVar = True

    def suits(self, kind: type[Target]) -> bool:
        return has_probabilities(kind)

    def scores(self, pool: Pool, rng: np.random.Generator) -> NDArray[np.float64]:
        return np.asarray(consensus_kl(pool.member_probabilities).mean(axis=1))


class CommitteeVariance(Ranking):
    """The variance of the numbers that the members predict (Krogh & Vedelsby 1994; Burbidge et al. 2007)."""

    name: ClassVar = "committee-variance"
    votes: ClassVar = True

    def suits(self, kind: type[Target]) -> bool:
        return kind.gives == NUMBER

    def scores(self, pool: Pool, rng: np.random.Generator) -> NDArray[np.float64]:
        return np.asarray(pool.member_predictions.var(axis=0))


class ExpectedModelChange(Ranking):
    """The gradient that a row's label is expected to have, by the members' numbers (Cai et al., ICDM 2013): EMCM.

    It is the mean distance of the members' numbers from the model's own, times the norm of the row's features.
    """

    name: ClassVar = "expected-model-change"
    votes: ClassVar = True

    def suits(self, kind: type[Target]) -> bool:
        return kind.gives == NUMBER

    def scores(self, pool: Pool, rng: np.random.Generator) -> NDArray[np.float64]:
        apart = np.abs(pool.member_predictions - pool.predictions).mean(axis=0)
        return np.asarray(apart * np.linalg.norm(pool.features.astype(np.float64), axis=1))


def has_probabilities(kind: type[Target]) -> bool:
    """True if models give such a label as probabilities of classes, one vector a row."""
    return PSEUDO_LABELS in kind.supports and not kind.structured


def vote_entropy(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """The entropy of the votes of members, whose probabilities are [members, ..., answers]: [...].

    The entropy of the mean probabilities breaks ties, and can do no more.
    """
    answers = probabilities.shape[-1]
    votes = probabilities.argmax(axis=-1)
    shares = np.stack([(votes == answer).mean(axis=0) for answer in range(answers)], axis=-1)
    return np.asarray(entropy(shares) + TIES * entropy(probabilities.mean(axis=0)) / max(np.log(answers), 1e-12))


def consensus_kl(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean divergence of members from their mean, of probabilities [members, ..., answers]: [...]."""
    return np.asarray(entropy(probabilities.mean(axis=0)) - entropy(probabilities).mean(axis=0))
