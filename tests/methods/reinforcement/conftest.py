"""Environments whose episodes are known by heart."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces


class Count(gymnasium.Env[Any, Any]):
    """Observes the number of steps taken; earns it. Terminates after `terminate` steps, or is cut after `cut`."""

    def __init__(self, terminate: int = 10**9, cut: int = 10**9) -> None:
        self.observation_space = spaces.Box(0, np.inf, (1,))
        self.action_space = spaces.Discrete(2)
        self.terminate, self.cut, self.steps = terminate, cut, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        now = np.full(1, self.steps, np.float32)
        return now, float(self.steps), self.steps >= self.terminate, self.steps >= self.cut, {}


class Broken(Count):
    """Goes wrong in its third step: `nan` observations, `reward` that is infinite, or an `error`."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        now, reward, terminated, truncated, info = super().step(action)
        if self.steps == 3:
            if self.how == "error":
                raise ZeroDivisionError("the pole has no length")
            now = now * np.nan if self.how == "nan" else now
            reward = np.inf if self.how == "reward" else reward
        return now, float(reward), terminated, truncated, info


class Unseeded(Count):
    """Draws from a generator that no seed reaches."""

    dice = np.random.default_rng(0)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        _, *others = super().step(action)
        return self.dice.random(1, np.float32), *others  # type: ignore[return-value]


class Spaced(Count):
    """With the spaces that it is given."""

    def __init__(self, observed: spaces.Space[Any], allowed: spaces.Space[Any]) -> None:
        super().__init__()
        self.observation_space, self.action_space = observed, allowed


@pytest.fixture(scope="session")
def counting() -> Callable[..., Callable[[], Count]]:
    """A function that makes `Count` environments with the given ends."""
    return lambda **ends: lambda: Count(**ends)


@pytest.fixture(scope="session")
def broken() -> Callable[[str], Callable[[], Count]]:
    """A function that makes environments that go wrong as it says."""
    return lambda how: lambda: Broken(how)


@pytest.fixture(scope="session")
def unseeded() -> type[Count]:
    """An environment that does not do the same again."""
    return Unseeded


@pytest.fixture(scope="session")
def spaced() -> Callable[..., Callable[[], Count]]:
    """A function that makes environments with the given spaces."""
    return lambda observed, allowed: lambda: Spaced(observed, allowed)
