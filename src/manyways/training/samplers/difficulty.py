"""Difficulty of rows: a column's, their length, the rarity of their words, or the loss of a small model."""

from collections import Counter
from math import log
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from manyways.errors import DataError, NeedsError

if TYPE_CHECKING:
    from manyways.training.learner import Learner

Difficulty = Literal["auto", "column", "length", "rarity", "loss"]
DIFFICULTIES: tuple[Difficulty, ...] = get_args(Difficulty)
ROLE = "difficulty"
OTHERS = 'Name a column, difficulty="…" of read, or take another: curriculum(difficulty=loss).'


def resolved(difficulty: Difficulty, learner: "Learner") -> Difficulty:
    """`difficulty`; for auto the column where there is one, else the length where rows have one, else the loss."""
    if difficulty != "auto":
        return difficulty
    if learner.data.has(ROLE):
        return "column"
    return "length" if learner.lengths() else "loss"


def difficulties(difficulty: Difficulty, learner: "Learner") -> NDArray[np.float64]:
    """The difficulty of each training row, float64 [rows], of every kind but the loss.

    Raises:
        NeedsError: The rows have no such difficulty.
        DataError: It is missing in some rows, or the same in all.
    """
    if difficulty == "column":
        values, what = _of_column(learner)
    elif difficulty == "length":
        values, what = _lengths(learner), "length"
    else:
        values, what = _rarities(learner), "rarity of words"
    check_varies(values, what, learner)
    return values


def check_varies(values: NDArray[np.float64], what: str, learner: "Learner") -> None:
    """Raise DataError where all `values` that are known are the same, so that no row comes before another."""
    known = values[~np.isnan(values)]
    if len(known) and (known == known[0]).all():
        raise DataError(
            f"The {what} of all {len(known):,} training rows of {learner.data.name} is {known[0]:g}, so that none is "
            f"easier than another. {OTHERS} Or leave the curriculum out: sampler='epochs'."
        )


def _of_column(learner: "Learner") -> tuple[NDArray[np.float64], str]:
    if not learner.data.has(ROLE):
        raise NeedsError(
            f"The sampler 'curriculum' orders rows by the role {ROLE}, and no column has it. Name it: "
            f'{ROLE}="…" with one of {", ".join(learner.data.columns)}; or take another difficulty: length, rarity, '
            "loss."
        )
    (name,) = learner.data.roles[ROLE]
    try:
        values = learner.values_of(name).astype(np.float64)
    except (TypeError, ValueError):
        raise DataError(
            f"The difficulty {name!r} must be a number, the greater the harder; got {learner.values_of(name)[0]!r}."
        ) from None
    if (lost := ~np.isfinite(values)).any():
        rows = ", ".join(map(str, np.flatnonzero(lost)[:5]))
        raise DataError(
            f"The difficulty {name!r} is missing or not finite in {int(lost.sum()):,} of {len(values):,} training rows "
            f"of {learner.data.name}, the first are {rows} (training rows count from 0). Fill them in, or leave those "
            "rows out."
        )
    return values, f"difficulty {name!r}"


def _lengths(learner: "Learner") -> NDArray[np.float64]:
    columns = learner.lengths()
    if not columns:
        raise NeedsError(
            f"Rows of {learner.data.name} have no lengths that differ: all fill as many positions. {OTHERS}"
        )
    lengths: NDArray[np.float64] = np.sum(columns, axis=0, dtype=np.float64)
    return lengths


def _rarities(learner: "Learner") -> NDArray[np.float64]:
    """−Σ log p̂(word) over the words of each row, p̂ their share of all (Platanios et al., NAACL 2019, section 2)."""
    rows = learner.words()
    if rows is None:
        raise NeedsError(f"The rarity is that of words, and {learner.data.name} has no input that is text. {OTHERS}")
    counts = Counter(word for row in rows for word in row)
    total = sum(counts.values())
    nats = {word: log(total / count) for word, count in counts.items()}
    return np.array([sum(nats[word] for word in row) for row in rows])
