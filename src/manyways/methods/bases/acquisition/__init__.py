"""Acquisition strategies: which rows a method asks the labels of, found by name in the files of this folder."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.targets import Target, kind_of
from manyways.errors import ParameterError
from manyways.methods.bases.acquisition.pool import Pool
from manyways.registry import Classes


class Acquisition(ABC):
    """A strategy that chooses, of a pool of rows, those whose labels would help most.

    What it looks at, the pool computes when it is first looked at: probabilities, features, the labelled rows, members
    of a committee. It is made anew for each choice, without arguments.
    """

    name: ClassVar[str]
    votes: ClassVar[bool] = False
    """True if it looks at the members of a committee, which must be trained first."""
    starts: ClassVar[bool] = False
    """True if it needs neither a model nor a label: it may choose the first rows of all."""
    text: ClassVar[bool] = False
    """True if it is of prompts to a language model, and not of rows with a label."""

    def suits(self, kind: type[Target]) -> bool:
        """True if it is defined for labels of this kind."""
        return True

    @abstractmethod
    def choose(self, pool: Pool, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """The positions of `count` rows of `pool.data` to ask about, each another."""


class Ranking(Acquisition):
    """A strategy that scores each row by itself, and chooses those of the highest scores."""

    @abstractmethod
    def scores(self, pool: Pool, rng: np.random.Generator) -> NDArray[np.float64]:
        """The value of the label of each row of `pool.data`, higher is better, float64 [rows]."""

    def choose(self, pool: Pool, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """The positions of the rows of the highest scores, the first among equals."""
        return best(self.scores(pool, rng), count)


ACQUISITIONS: Classes[Acquisition] = Classes("acquisitions", Acquisition, __name__)
"""Every strategy by its name: those of this folder, and of the entry-point group `manyways.acquisitions`."""


def row_strategies() -> list[str]:
    """The names of the strategies that choose rows with a label."""
    return [name for name, each in ACQUISITIONS.all().items() if not each.text]


def prompt_strategies() -> list[str]:
    """The names of the strategies that choose prompts to a language model, and `random`."""
    return [name for name, each in ACQUISITIONS.all().items() if each.text or name == "random"]


def first_strategies() -> list[str]:
    """The names of the strategies that can choose the first rows of all."""
    return [name for name, each in ACQUISITIONS.all().items() if each.starts]


def best(scores: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """The positions of the `count` highest scores, from the highest on, the first among equals; NaN comes last."""
    if count >= len(scores):
        return np.argsort(-scores, kind="stable")
    # All that reach the lowest score that is chosen: more than `count` where some are equal.
    least = -np.partition(-scores, count - 1)[count - 1]
    reaching = np.flatnonzero(scores >= least) if not np.isnan(least) else np.arange(len(scores))
    return np.asarray(reaching[np.argsort(-scores[reaching], kind="stable")[:count]])


def sampled(scores: NDArray[np.float64], power: float, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The positions of `count` rows drawn without replacement, in proportion to rank^-`power` by their scores.

    The softrank of Kirsch et al. (Stochastic batch acquisition, TMLR 2023): it asks for no sign or scale of the scores.
    """
    ranks = np.empty(len(scores))
    ranks[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
    return best(-power * np.log(ranks) + rng.gumbel(size=len(scores)), count)


def unsuited(strategy: type[Acquisition], data: Data) -> str | None:
    """The reason why a strategy is none for the label of `data`, with those that are; None if it is one."""
    kind = kind_of(data)
    if strategy.text or strategy().suits(kind):
        return None
    others = [name for name, each in ACQUISITIONS.all().items() if not each.text and each().suits(kind)]
    return (
        f"the strategy {strategy.name!r} is not defined for the label {data.label.name!r} of the kind {kind.kind}. "
        f"Take another: strategy= one of {', '.join(map(repr, others))}."
    )


def check_power(strategy: type[Acquisition], power: float | None, where: str) -> None:
    """Raise ParameterError where a strategy that weighs a batch as a whole is to be sampled by its scores."""
    if power is not None and not issubclass(strategy, Ranking):
        ranking = [name for name, each in ACQUISITIONS.all().items() if issubclass(each, Ranking)]
        raise ParameterError(
            f"{where}.power must be None for the strategy {strategy.name!r}, which scores no single rows; got {power}. "
            f"Those that do are {', '.join(map(repr, ranking))}."
        )
