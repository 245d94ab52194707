"""Needs of reinforcement learning: an environment, and one whose states and actions can be counted."""

from manyways.data.data import Data
from manyways.data.spaces import Choices
from manyways.errors import DataError
from manyways.methods.needs.base import Need


def _environment(data: Data) -> str | None:
    if data.environment is None:
        return (
            f"it needs an environment to act in, and {data.name} is a table. Name one in its place: the id of a "
            "Gymnasium environment, such as CartPole-v1."
        )
    try:
        _ = data.environment.spaces
    except DataError as error:
        return str(error)
    return None


def _states(data: Data) -> str | None:
    if (reason := _environment(data)) or data.environment is None:
        return reason
    for what, space in zip(("observations", "actions"), data.environment.spaces, strict=True):
        if not isinstance(space, Choices):
            return (
                f"it needs {what} that can be counted (Discrete), and those of {data.name} are {space}. Learn there "
                "with ppo."
            )
    return None


AnyEnvironment = Need("environment", "an environment to act in", _environment, of_rows=False)
FiniteEnvironment = Need("states", "an environment with states and actions to count", _states, of_rows=False)
