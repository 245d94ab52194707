"""Play: many environments stepped together, whatever way they begin episodes anew."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from manyways.errors import TrainingError

if TYPE_CHECKING:
    from manyways.data.environments import Environment


@dataclass(frozen=True, eq=False)
class Moved:
    """Transition: what followed one action in each of n environments.

    observation: what to act on next, [n, …]. reached: what the action led to, [n, …]; where an episode ended and the
    next has begun already it differs from `observation`. reward: float64 [n]. terminated, truncated: bool [n], the
    episode ended because the task did, or because time ran out. idle: bool [n], the action was not carried out, as
    the environment took the step to begin anew; its reward is 0 and nothing is to be learned from it.
    """

    observation: NDArray[Any]
    reached: NDArray[Any]
    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    idle: NDArray[np.bool_]

    @property
    def ended(self) -> NDArray[np.bool_]:
        """Ends of episodes, bool [n]."""
        return self.terminated | self.truncated


class Play:
    """`count` copies of an environment; Gymnasium's three autoreset modes look the same from outside."""

    def __init__(self, environment: "Environment", count: int) -> None:
        from gymnasium.vector import AutoresetMode

        self.environment, self.count = environment, count
        self._vector = environment.make(count)
        mode = self._vector.metadata["autoreset_mode"]
        self._same_step, self._by_hand = mode is AutoresetMode.SAME_STEP, mode is AutoresetMode.DISABLED
        self._idle = np.zeros(count, bool)
        self._steps = 0

    def reset(self, seed: int) -> NDArray[Any]:
        """Begin all episodes anew as `seed` says; the first observations [count, …]."""
        self._idle = np.zeros(self.count, bool)
        self._steps = 0
        try:
            observation, _ = self._vector.reset(seed=seed)
        except Exception as error:
            raise self._failure(error) from error
        return np.array(observation)

    def step(self, actions: NDArray[Any]) -> Moved:
        """Take `actions`, as the environment wants them.

        Raises:
            TrainingError: The environment's own code fails.
        """
        try:
            observation, reward, terminated, truncated, info = self._vector.step(actions)
        except Exception as error:
            raise self._failure(error) from error
        self._steps += 1
        # Copies: some environments reuse their arrays.
        reward, terminated, truncated = np.array(reward, np.float64), np.array(terminated), np.array(truncated)
        observation = reached = np.array(observation)
        idle, ended = self._idle, terminated | truncated
        if self._same_step or self._by_hand:
            if ended.any():
                reached = observation.copy()
                if self._same_step:
                    reached[ended] = np.stack(list(info["final_obs"][ended]))
                else:
                    observation = np.asarray(self._vector.reset(options={"reset_mask": ended})[0])
        else:
            self._idle = ended
        return Moved(observation, reached, reward, terminated, truncated, idle)

    def close(self) -> None:
        """Give back what the environments hold."""
        self._vector.close()

    def _failure(self, error: Exception) -> TrainingError:
        return TrainingError(
            f"The environment {self.environment.name} failed after {self._steps:,} steps of {self.count} side by "
            f"side: {type(error).__name__}: {error}"
        )
