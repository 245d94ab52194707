"""Spaces: what an environment shows and what may be done in it, as plain values that JSON can hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import inf, prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from manyways.checked_json import DAMAGED, described
from manyways.errors import DataError, ModelError

if TYPE_CHECKING:
    from gymnasium import spaces as gym_spaces

ALLOWED = "Discrete and Box"
DTYPES = frozenset(
    {
        "bool",
        *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
        "float16",
        "float32",
        "float64",
    }
)


@dataclass(frozen=True)
class Choices:
    """One of `count` things, which the environment numbers from `start` (Gymnasium's Discrete)."""

    count: int
    start: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one value."""
        return ()

    @property
    def width(self) -> int:
        """The number of features that `features` makes of a value."""
        return self.count

    def features(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Values [n] as ones among zeros, float32 [n, count]."""
        found = np.zeros((len(values), self.count), np.float32)
        found[np.arange(len(values)), self.codes(values)] = 1
        return found

    def codes(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """Values [n] as numbers from 0."""
        return np.asarray(values, np.int64) - self.start

    def actions(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """The actions of the environment for the numbers from 0 that a network chose."""
        return np.asarray(outputs, np.int64) + self.start

    def to_json(self) -> dict[str, Any]:
        """The description that `space_from_json` reads."""
        return {"kind": "choices", "count": self.count, "start": self.start}

    def __str__(self) -> str:
        return f"{self.count} choices"


@dataclass(frozen=True)
class Numbers:
    """Numbers in an array of `shape`, each between its `low` and its `high` (Gymnasium's Box).

    low, high: one number for each entry of the flattened array, or a single one that holds for all.
    """

    shape: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    dtype: str = "float32"

    @property
    def width(self) -> int:
        """The count of the numbers."""
        return prod(self.shape)

    def features(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Values [n, *shape] in a row each, float32 [n, width]."""
        return np.array(values, np.float32).reshape(len(values), -1)  # a copy: some environments reuse their arrays

    def actions(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """The actions of the environment for the outputs [n, width] of a network.

        A bounded number is asked for in [-1, 1], which is its whole range; what lies outside is clipped.
        """
        middle, half = self._scale
        scaled = np.clip(middle + half * np.asarray(outputs, np.float64), self.low, self.high)
        return scaled.reshape(len(outputs), *self.shape).astype(self.dtype)

    @cached_property
    def _scale(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        low, high = np.asarray(self.low), np.asarray(self.high)
        bounded = np.isfinite(low) & np.isfinite(high)
        low, high = np.where(bounded, low, -1), np.where(bounded, high, 1)
        return (low + high) / 2, (high - low) / 2

    def to_json(self) -> dict[str, Any]:
        """The description that `space_from_json` reads; None stands for a bound that is not there."""
        low, high = ([None if abs(end) == inf else end for end in ends] for ends in (self.low, self.high))
        return {"kind": "numbers", "shape": list(self.shape), "low": low, "high": high, "dtype": self.dtype}

    def __str__(self) -> str:
        return f"{self.width} number{'' if self.width == 1 else 's'}"


Space = Choices | Numbers


def read_space(space: "gym_spaces.Space[Any]", what: str) -> Space:
    """`space` as values; `what` is `observations` or `actions` of which environment, for the message.

    Raises DataError for a space other than Discrete and Box, and for a Box of actions that are whole numbers.
    """
    from gymnasium import spaces

    if isinstance(space, spaces.Discrete):
        return Choices(int(space.n), int(space.start))
    if not isinstance(space, spaces.Box):
        advice = "FlattenObservation" if what.startswith("observations") else "TransformAction"
        raise DataError(
            f"The {what} are a {type(space).__name__}, and only {ALLOWED} spaces can be learned from. Wrap it: "
            f"gymnasium.wrappers.{advice} makes a Box of many spaces."
        )
    if what.startswith("actions") and space.dtype.kind != "f":
        raise DataError(
            f"The {what} are a Box of {space.dtype}; a Box of actions must hold floating-point numbers, and whole "
            "numbers must be Discrete. Wrap it: gymnasium.wrappers.TransformAction."
        )
    low, high = (_ends(np.asarray(end, np.float64)) for end in (space.low, space.high))
    return Numbers(tuple(int(side) for side in space.shape), low, high, str(space.dtype))


def space_from_json(saved: Mapping[str, Any]) -> Space:
    """The space that `to_json` wrote. Raises ModelError for anything else."""
    saved_space = described(saved, "the space", ModelError)
    if saved_space.get("kind", str) == "choices":
        return Choices(saved_space.get("count", int), saved_space.get("start", int))
    low = tuple(-inf if end is None else float(end) for end in saved_space.get("low", list))
    high = tuple(inf if end is None else float(end) for end in saved_space.get("high", list))
    shape, dtype = tuple(saved_space.all("shape", int)), saved_space.get("dtype", str)
    if dtype not in DTYPES or any(side < 0 for side in shape) or not {len(low), len(high)} <= {1, prod(shape)}:
        raise ModelError(f"The space of {dtype} with the shape {shape} and {len(low)} bounds is none; {DAMAGED}.")
    return Numbers(shape, low, high, dtype)


def _ends(ends: NDArray[np.float64]) -> tuple[float, ...]:
    flat = ends.ravel()
    return (float(flat[0]),) if len(flat) and (flat == flat[0]).all() else tuple(float(end) for end in flat)
