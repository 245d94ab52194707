"""Spaces: what networks see of observations, and what environments are told."""

import json
from math import inf
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from manyways.data.spaces import Choices, Numbers, read_space, space_from_json
from manyways.errors import DataError

pytestmark = pytest.mark.quick


def test_choices_are_ones_among_zeros_and_keep_their_start() -> None:
    space = read_space(spaces.Discrete(3, start=-1), "observations")
    assert space == Choices(3, -1)
    assert space.features(np.array([-1, 1])).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert space.actions(np.array([0, 2])).tolist() == [-1, 1]


def test_bounded_actions_are_asked_for_in_units_of_their_range() -> None:
    """Outputs −1 and 1 are the bounds, and beyond them is clipped; where there is no bound an output is the action."""
    low, high = np.array([-2, 0, -inf, 1], np.float32), np.array([2, 1, inf, inf], np.float32)
    space = read_space(spaces.Box(low, high), "actions")
    assert isinstance(space, Numbers)
    outputs = np.array([[-1.0, 0.0, 7.0, 5.0], [3.0, -9.0, -7.0, -5.0], [0.5, 1.0, 0.0, 1.5]])
    expected = [[-2, 0.5, 7, 5], [2, 0, -7, 1], [1, 1, 0, 1.5]]
    assert space.actions(outputs).tolist() == expected
    assert space.actions(outputs).dtype == np.float32


def test_arrays_are_laid_out_in_rows_that_are_copies() -> None:
    space = read_space(spaces.Box(-1, 1, (2, 3)), "observations")
    values = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    rows = space.features(values)
    assert rows.tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]
    assert not np.shares_memory(rows, values)
    assert space.actions(np.zeros((4, 6))).shape == (4, 2, 3)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(4, start=2),
        spaces.Box(-1, 1, (2, 2)),
        spaces.Box(np.array([0.1, -inf]), np.array([inf, 0.3]), dtype=np.float64),
        spaces.Box(0, 255, (4, 4, 3), np.uint8),
    ],
)
def test_json_says_all(space: Any) -> None:
    read = read_space(space, "observations")
    text = json.dumps(read.to_json(), allow_nan=False)
    assert space_from_json(json.loads(text)) == read


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (spaces.MultiDiscrete([2, 3]), "The actions of X are a MultiDiscrete, and only Discrete and Box"),
        (spaces.Box(0, 3, (2,), np.int32), "a Box of int32; a Box of actions must hold floating-point numbers"),
    ],
)
def test_other_spaces_are_named(space: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_space(space, "actions of X")
