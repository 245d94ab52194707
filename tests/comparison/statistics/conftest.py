"""Worlds of equal and of unequal entries, of which all is known: what is right, by entry, seed and test row."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from manyways.comparison.statistics.components import ScoreTable

Floats = NDArray[np.float64]


def world(
    rng: np.random.Generator, rows: int, *, entries: int = 12, seeds: int = 3, accuracy: float = 0.85, own: float = 0.0,
    shared: float = 0.0, fixed: int = 0, behind: Floats | None = None, spread: Floats | None = None,
) -> ScoreTable:  # fmt: skip
    """Right and wrong of entries in a probit model.

    Some rows are harder than others for all, some for one entry, some for one training. own: spread of a training's
    skill; shared: spread of what all trainings of a seed have in common, such as the labels that were drawn; fixed:
    entries that are the same for every seed; behind: how much less skill each has; spread: factor of `own` of each.
    """
    hard = rng.standard_normal(rows) + rng.standard_normal((entries, 1, rows)) * 0.5
    noise = rng.standard_normal((entries, seeds, rows)) * 0.5
    skill = rng.standard_normal((entries, seeds)) * own * (1.0 if spread is None else spread[:, None])
    skill += rng.standard_normal(seeds) * shared
    noise[:fixed], skill[:fixed] = noise[:fixed, :1], 0.0
    skill += norm.ppf(accuracy) * np.sqrt(1.5) - (0.0 if behind is None else behind[:, None])
    right = (skill[:, :, None] + hard + noise > 0).astype(float)
    return ScoreTable(right.mean(2), right, fraction=True)


@pytest.fixture(scope="session")
def make_world() -> Callable[..., ScoreTable]:
    """Return the function `world`."""
    return world
