"""Splitting: which rows a model is tested on, once, in folds or again and again."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from manyways.data.groups import allotted, grouping_roles, groups_of
from manyways.data.options import is_number, is_whole
from manyways.data.parts import TEST, TRAINING, candidates_of, in_pieces, in_time, known_before, moved
from manyways.data.splits import shuffle_keys
from manyways.errors import DataError, ParameterError

if TYPE_CHECKING:
    from manyways.data.data import Data

Way = Literal["auto", "random", "time", "group"]
WAYS: tuple[Way, ...] = get_args(Way)
Rule = Literal["own", "random", "time", "order", "classes"]


@dataclass(frozen=True)
class Split:
    """One split into rows to learn from and rows to test on: a pure function of the data and of these fields.

    Attributes:
        rule: Rows to test on: "own", those that the data has; "random", drawn in proportion to the classes; the last by
            their "time" or in their "order"; those of some "classes". Rows of one group or subject stay together.
        share: Share of the rows to test on; of no use in folds.
        folds: Number of folds, each of which is tested on once; 1 where there are none.
        number: Number of the split: with folds the partition times `folds` plus the fold, else the seed of the draw.
    """

    rule: Rule = "own"
    share: float = 0.2
    folds: int = 1
    number: int = 0

    @property
    def title(self) -> tuple[str, ...]:
        """The split in words where there are several: ("fold 2",); else none."""
        if self.folds > 1:
            return (f"fold {self.number % self.folds + 1}",)
        return (f"split {self.number + 1}",) if self.number else ()

    def of(self, data: "Data") -> "Data":
        """`data` with its test part.

        Raises:
            DataError: There are too few rows, groups or classes for it.
        """
        if self.rule == "own":
            return data
        if self.rule == "classes":
            return data.with_test_classes(self.share, self.number)
        if self.folds > 1:
            partition, fold = divmod(self.number, self.folds)
            return _fold(data, self.folds, partition, fold) if self.rule == "random" else _later(data, self.folds, fold)
        return data.with_test(self.share, self.number) if self.rule == "random" else data.with_last_as_test(self.share)


OWN = Split()
"""The split that the data has."""


@dataclass(frozen=True)
class Splitting:
    """The way in which all splits of a comparison are made.

    Attributes:
        way: "random", by "time" (the last rows are tested on), by "group" (random, and there must be groups), or what
            the data asks for: by time where rows have one or are pieces of a text, else random.
        share: Share of the rows to test on, where there are no folds.
        folds: Number of folds: every row is tested on once for each seed. By time each fold is tested on by what was
            learned before it, and the rows after it are not used.
        repeats: Number of random splits, each with test rows of its own.
    """

    way: Way = "auto"
    share: float = 0.2
    folds: int | None = None
    repeats: int | None = None

    def __post_init__(self) -> None:
        if self.way not in WAYS:
            raise ParameterError(f"split must be one of {', '.join(WAYS)}; got {self.way!r}.")
        if not (is_number(self.share) and 0 < self.share < 1):
            raise ParameterError(f"test_share must be a number in (0, 1); got {self.share!r}.")
        for name, value in (("folds", self.folds), ("splits", self.repeats)):
            if value is not None and not (is_whole(value) and value >= 2):
                raise ParameterError(f"{name} must be a whole number of at least 2, or None; got {value!r}.")
        if self.folds and self.repeats:
            raise ParameterError(
                f"folds={self.folds} tests on each row once, splits={self.repeats} on rows drawn anew; give one. "
                "With folds every seed has a partition of its own: seeds=10 repeats them."
            )
        if self.way == "time" and self.repeats:
            raise ParameterError(
                f"A split by time is the same each time, so splits={self.repeats} cannot be told apart; type "
                f"folds={self.repeats}, which tests on one stretch of time after the other."
            )

    def rule(self, data: "Data", *, new_classes: bool = False) -> Rule:
        """The rule by which rows of `data` are set aside; `new_classes`: models are scored on classes never seen.

        Raises:
            ParameterError: The data has test rows of its own, and another split was asked for.
            DataError: The data lacks the column that the split goes by.
        """
        if len(data.test) or data.environment is not None:
            if self.way != "auto" or self.folds or self.repeats:
                option = f"split={self.way!r}" if self.way != "auto" else f"folds={self.folds}"
                option = f"splits={self.repeats}" if self.repeats else option
                own = "test rows of its own" if len(data.test) else "an environment to be tested in"
                raise ParameterError(
                    f"{data.name} has {own}, so nothing is split: leave {option} out, or read the data without them."
                )
            return "own"
        if self.way == "group" and not grouping_roles(data):
            raise DataError(
                f'{data.name} has no column that says which rows belong together. Name it: group="…", one of '
                f"{', '.join([*data.columns, *data.ignored])}."
            )
        if data.has("until") and (self.way in ("random", "group") or self.repeats):
            option = f"splits={self.repeats}" if self.repeats else f"split={self.way!r}"
            raise DataError(
                f"The labels of {data.name} reach into the time of other rows, so that rows drawn at random would be "
                f"known in part: leave {option} out, or pass folds=…, which tests on one stretch of time after another."
            )
        if self.way == "time" and not data.has("time"):
            raise DataError(
                f'{data.name} has no column with the role time. Name it: time="…", one of '
                f"{', '.join([*data.columns, *data.ignored])}."
            )
        if new_classes and data.labels and self.way == "auto" and not self.folds:
            return "classes"
        if self.way == "time" or (self.way == "auto" and not self.repeats and data.has("time")):
            return "time"
        return "order" if self.way == "auto" and not self.repeats and in_pieces(data) else "random"

    def splits(self, rule: Rule, seed_place: int) -> tuple[Split, ...]:
        """The splits that the seed at `seed_place` among all is trained on.

        With folds every seed has a partition of its own, so that its folds together are all rows; repeated splits are
        the same for every seed.
        """
        if rule == "own":
            return (OWN,)
        if self.folds:
            first = seed_place * self.folds
            return tuple(Split(rule, self.share, self.folds, first + fold) for fold in range(self.folds))
        return tuple(Split(rule, self.share, 1, number) for number in range(self.repeats or 1))


def fold_of(data: "Data", folds: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The positions of the training rows that can be tested on, and the fold of each, in proportion to the classes.

    Raises:
        DataError: There are fewer rows or groups than folds.
    """
    candidates, strata = candidates_of(data)
    groups = groups_of(data)
    if groups is not None:
        shares = (1 / folds,) * folds
        return candidates, allotted(
            groups[candidates], strata, shares, seed, ids=data.ids[candidates], what=data.name
        )  # fmt: skip
    if len(candidates) < folds:
        raise DataError(f"{data.name} has {len(candidates)} rows to be tested on, too few for {folds} folds.")
    _, codes = np.unique(strata.astype(str), return_inverse=True)
    order = np.lexsort((shuffle_keys(data.ids[candidates], seed), codes))
    fold = np.empty(len(candidates), np.int64)
    fold[order] = np.arange(len(candidates)) % folds
    return candidates, fold


def _fold(data: "Data", folds: int, partition: int, fold: int) -> "Data":
    candidates, fold_of_row = fold_of(data, folds, partition)
    chosen = candidates[fold_of_row == fold]
    groups = groups_of(data)
    if groups is not None:  # rows without a label go where their group goes
        chosen = np.flatnonzero(np.isin(groups, groups[chosen]) & (data.part[data.rows] == TRAINING))
    return moved(data, chosen, TEST)


def _later(data: "Data", folds: int, fold: int) -> "Data":
    """Stretch `fold` + 1 of `folds` + 1, in time, to test on, those before it to learn from, and none after it."""
    train, units = in_time(data)
    if len(units) <= folds:
        raise DataError(f"{data.name} has {len(units)} rows or groups in time, too few for {folds} folds and a first.")
    wanted = np.arange(1, folds + 1) * len(train) / (folds + 1)
    begins = np.unique(units[np.searchsorted(units, wanted).clip(1, len(units) - 1)])
    if len(begins) < folds:
        raise DataError(f"{data.name} cannot be divided into {folds + 1} stretches of time: a group spans several.")
    begin, end = (*begins, len(train))[fold : fold + 2]
    kept = np.ones(len(data), bool)
    kept[train[end:]] = False
    return known_before(replace(moved(data, train[begin:end], TEST), rows=data.rows[kept]), TEST)
