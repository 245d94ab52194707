"""Disagreement of a language model's own samples: prompts that it answers now so, now otherwise."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.targets import Target
from manyways.methods.bases.acquisition import Ranking
from manyways.methods.bases.acquisition.pool import Pool
from manyways.text_scores import token_f1

TIES = 1e-9


class AnswerEntropy(Ranking):
    """The entropy of the answers to a prompt, in nats: those that differ in capitals, spaces or marks alone are one.

    After Wang et al. (Self-consistency, ICLR 2023) and Diao et al. (Active prompting, ACL 2024).
    """

    name: ClassVar = "answer-entropy"
    text: ClassVar = True

    def suits(self, kind: type[Target]) -> bool:
        return False

    def scores(self, pool: Pool, rng: np.random.Generator) -> NDArray[np.float64]:
        return untied(np.array([answer_entropy(answers) for answers in pool.answers]), rng)


class AnswerDistance(Ranking):
    """The mean distance of two answers to a prompt, one minus the F1 of their words: for answers that are long."""

    name: ClassVar = "answer-distance"
    text: ClassVar = True

    def suits(self, kind: type[Target]) -> bool:
        return False

    def scores(self, pool: Pool, rng: np.random.Generator) -> NDArray[np.float64]:
        return untied(np.array([answer_distance(answers) for answers in pool.answers]), rng)


def untied(scores: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """`scores` with equal ones in an order by chance: of a few samples many prompts have the same."""
    return np.asarray(scores + TIES * rng.permutation(len(scores)) / len(scores))


def answer_entropy(answers: Sequence[str]) -> float:
    """The entropy of normalised answers in nats: 0 where all are one, log k where k all differ."""
    counts = np.array(list(Counter(map(normalised, answers)).values()), np.float64)
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def answer_distance(answers: Sequence[str]) -> float:
    """One minus the F1 of the words of two answers, the mean over all pairs."""
    pairs = list(combinations(map(normalised, answers), 2))
    return float(np.mean([0.0 if one == other else 1 - token_f1(one, other) for one, other in pairs]))


def normalised(answer: str) -> str:
    """`answer` in small letters, without marks at its ends, and with one space between words."""
    return " ".join(answer.lower().split()).strip(" .!?,;:\"'")
