"""Active learning: the model asks for the labels that would help it most."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.targets import predictions
from manyways.methods.bases.acquisition import (
    ACQUISITIONS,
    Ranking,
    check_power,
    first_strategies,
    row_strategies,
    sampled,
    unsuited,
)
from manyways.methods.bases.acquisition.pool import Pool, checkpoint_of
from manyways.methods.bases.asking import AskingMethod
from manyways.methods.bases.members import train_members
from manyways.methods.bases.relabelling import Turn
from manyways.methods.fields import Interval, Named, Positive
from manyways.methods.needs import Input, LabelColumn, Unlabelled
from manyways.methods.recommendations import Recommendation
from manyways.methods.transfer.linear_probe import LinearProbe
from manyways.models.model import Model
from manyways.randomness import mix


@dataclass(frozen=True, kw_only=True)
class ActiveLearning(AskingMethod):
    """Train, ask for the labels of the rows that would help most, train anew; several rounds.

    The labels asked for are revealed where they are hidden in the data, or given by `oracle`. They are handed on to the
    next stage of a chain, which learns from all of them. Where no label is given at first, the first questions come
    before the first training.
    """

    strategy: Annotated[str, Named(row_strategies)] = "margin"
    """The acquisition of rows to label: see `manyways.methods.bases.acquisition`; `random` is the yardstick."""
    members: Annotated[int, Interval("[2, inf)")] = 5
    """Members of the committee, for strategies that ask one; each costs as much as the model of its round."""
    power: Positive | None = None
    """Exponent of the rank by the strategy's score, in proportion to which rows are drawn at random: the greater, the
    more of the best. None: the best. It keeps a batch from being all of one kind."""
    first: Annotated[str, Named(first_strategies)] = "typical"
    """The acquisition of the first rows where no label is given."""

    needs: ClassVar = (Input, LabelColumn, Unlabelled)
    gives: ClassVar = predictions() | {"embed"}
    recommends: ClassVar = {
        "any": Recommendation("asks for the labels that help most instead of taking what it is given", 34),
    }
    paper: ClassVar = "Lewis & Gale (1994); Settles, Active learning literature survey (2009)"

    field_trials: ClassVar = {
        "members": {"members": 2, "strategy": "consensus-kl", "base": LinearProbe(penalty=1.0)},
        "power": {"power": 0.1},
        "first": "It matters where no label is given at first alone.",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        check_power(ACQUISITIONS.find(self.strategy), self.power, type(self).__name__)

    def at_random(self) -> "ActiveLearning":
        return replace(self, strategy="random", power=None)

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        return super().lacks(data, model) or unsuited(ACQUISITIONS.find(self.strategy), data)

    def beside(self) -> int:
        return self.members if ACQUISITIONS.find(self.strategy).votes else 0

    def choose(self, known: Data, candidates: NDArray[np.int64], count: int, turn: Turn) -> NDArray[np.int64]:
        model = turn.model
        strategy = ACQUISITIONS.find(self.strategy if model is not None else self.first)()
        rng = np.random.default_rng(turn.seed + turn.done - 1 if model is not None else mix(turn.seed))

        def members() -> Sequence[Model]:
            part = turn.run.child(f"committee-{turn.done}")
            seed = mix(turn.seed, turn.done)
            return train_members(self.base, known, pool.model, turn.start, self.members, seed, part)

        pool = Pool(known, candidates, model, turn.start, members, checkpoint_of(self.base), turn.seed)
        if model is not None and self.power is not None and isinstance(strategy, Ranking):
            return candidates[sampled(strategy.scores(pool, rng), self.power, count, rng)]
        return candidates[strategy.choose(pool, count, rng)]
