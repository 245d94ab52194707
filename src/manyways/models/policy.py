"""Policy: a network that acts in an environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray

from manyways.data.spaces import Choices, Space, space_from_json
from manyways.errors import ModelError
from manyways.models.acting.networks import ACTING_NETWORKS, ActingNetwork
from manyways.models.acting.play import Play
from manyways.models.evaluation import Evaluation
from manyways.models.lineage import Lineage
from manyways.models.model import Model
from manyways.models.rebuilding import filled
from manyways.models.weights import write_weights

if TYPE_CHECKING:
    from manyways.data.data import Data
    from manyways.data.environments import Environment
    from manyways.data.read import Source

EPISODES = 20
LONGEST = 10_000
"""Steps after which an episode is counted as it is, in an environment that does not end its episodes itself."""
SEED = 0x5EED
"""Seed of the episodes that a policy is scored on: everywhere the same, and none that is learned from."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Policy(Model):
    """A network that says what to do, what it observes, and what it may do; it gives act.

    It acts in any Gymnasium environment with these spaces, and where Stable-Baselines3 wants a policy:

        action, _ = policy.predict(observation)
        observation, reward, terminated, truncated, info = env.step(action)
    """

    kind: ClassVar[str] = "policy"
    network: ActingNetwork = field(repr=False)
    observation_space: Space
    action_space: Space

    def predict(  # as policies are asked everywhere: about observations, not rows
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = True,
    ) -> tuple[NDArray[Any], Any]:
        """Action, and `state` as it was given: the policy remembers nothing, and `episode_start` changes nothing.

        observation: one, or several along a first axis; the actions are one, or several, as `env.step` wants them.
        deterministic: the most probable action; otherwise one is drawn from torch's global stream, except by a table,
        whose policy has no chance in it.

        Raises:
            ModelError: The observations have another shape.
        """
        from manyways.data.data import Data

        if isinstance(observation, Data):
            self.as_predictor(observation)
        values = np.asarray(observation)
        shape = self.observation_space.shape
        if values.shape[values.ndim - len(shape) :] != shape or values.ndim > len(shape) + 1:
            raise ModelError(
                f"An observation must have the shape {shape}, or (n, *{shape}) where there are several; got "
                f"{values.shape}."
            )
        alone = values.ndim == len(shape)
        if isinstance(self.observation_space, Choices):
            self._check_codes(values, self.observation_space)
        actions = self._act(values[None] if alone else values, deterministic)
        return (actions[0] if alone else actions), state

    def evaluate(self, source: "Source", *, episodes: int = EPISODES, seed: int = SEED) -> dict[str, float]:
        """The mean and the standard deviation of the sum of rewards over `episodes`, acting deterministically.

        source: an environment, its id, a function that makes it, or `Data` of one. seed: the same one gives the same
        episodes. An episode that the environment does not end counts as it is after 10,000 steps.

        Raises:
            DataError: `source` is no environment.
            ModelError: The policy does not fit it.
        """
        rewards = self.rewards(source, episodes=episodes, seed=seed)
        return {"mean_reward": float(rewards.mean()), "std_reward": float(rewards.std())}

    def evaluate_rows(self, source: "Source", metric: str) -> Evaluation:
        rewards = self.rewards(source)
        scores = {"mean_reward": float(rewards.mean()), "std_reward": float(rewards.std())}
        return Evaluation(scores, rewards if metric == "mean_reward" else None)

    def rewards(self, source: "Source", *, episodes: int = EPISODES, seed: int = SEED) -> NDArray[np.float64]:
        """The sum of rewards in each of the episodes of `evaluate`, float [episodes]."""
        environment = environment_of(source)
        spaces = environment.spaces
        if spaces != (self.observation_space, self.action_space):
            raise ModelError(
                f"{self.lineage.title} acts on {self.observation_space} by {self.action_space}; in {environment.name} "
                f"there are {spaces[0]} and {spaces[1]}, or their bounds differ. Learn there: manyways.PPO()."
            )
        play = Play(environment, episodes)
        try:
            return self._play(play, seed, environment.longest or LONGEST)
        finally:
            play.close()

    @property
    def metric(self) -> str | None:
        return "mean_reward"

    def as_predictor(self, data: "Data | None" = None) -> NoReturn:
        raise ModelError(
            f"{self.lineage.title} says what to do in an environment, and nothing about rows. Ask it about an "
            "observation: policy.predict(observation)."
        )

    def write(self, folder: Path) -> dict[str, Any]:
        write_weights(self.network, folder)
        return {
            "network": {"name": self.network.name, **self.network.config},
            "observation_space": self.observation_space.to_json(),
            "action_space": self.action_space.to_json(),
        }

    @classmethod
    def read(cls, folder: Path, saved: Mapping[str, Any], gives: frozenset[str], lineage: Lineage) -> "Policy":
        network = filled(lambda: ACTING_NETWORKS.rebuild(saved["network"]), folder)
        observed, done = space_from_json(saved["observation_space"]), space_from_json(saved["action_space"])
        if not network.fits(observed, done):
            raise ModelError(f"The network in {folder} is not for {observed} and {done}, which its model.json states.")
        return cls(
            network=network,
            observation_space=observed,
            action_space=done,
            gives=gives,
            lineage=lineage,
        )

    @torch.inference_mode()
    def _act(self, observations: NDArray[Any], deterministic: bool) -> NDArray[Any]:
        """Actions [n, …] for observations [n, …]."""
        network = self.network
        seen = torch.from_numpy(self.observation_space.features(observations))
        if deterministic:
            return self.action_space.actions(network.decide(seen).numpy())
        return self.action_space.actions(network.choose(seen, network.draw_noise((len(seen),), None)).numpy())

    def _play(self, play: Play, seed: int, longest: int) -> NDArray[np.float64]:
        """The sum of rewards of the first episode in each environment."""
        rewards, running = np.zeros(play.count), np.ones(play.count, bool)
        observation = play.reset(seed)
        for _ in range(longest):
            moved = play.step(self._act(observation, deterministic=True))
            rewards += moved.reward * running
            running &= ~moved.ended
            if not running.any():
                break
            observation = moved.observation
        return rewards

    def _check_codes(self, values: NDArray[Any], space: Choices) -> None:
        inside = (values >= space.start) & (values < space.start + space.count)
        if values.dtype.kind not in "iu" or not inside.all():
            raise ModelError(
                f"An observation must be a whole number in [{space.start}, {space.start + space.count}); got "
                f"{values.tolist()}."
            )


def environment_of(source: "Source") -> "Environment":
    """The environment that `source` is.

    Raises:
        DataError: It is none.
    """
    from manyways.data.read import as_data
    from manyways.errors import DataError

    data = as_data(source)
    if data.environment is None:
        raise DataError(
            f"A policy is scored in an environment, and {data.name} is a table. Give its id, such as 'CartPole-v1'."
        )
    return data.environment
