"""Methods that learn by acting: the environments they act in, and how a run that was killed finds them again."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from manyways.data.data import Data
from manyways.data.environments import Environment
from manyways.errors import ModelError, TrainingError
from manyways.methods.bases.gradient import GradientMethod
from manyways.methods.fields import Count
from manyways.methods.method import Learned
from manyways.methods.needs import AnyEnvironment, Need
from manyways.models.acting.networks import ActingNetwork
from manyways.models.acting.play import Moved, Play
from manyways.models.model import Model
from manyways.models.policy import Policy
from manyways.randomness import mix
from manyways.training.budget import Budget
from manyways.training.learner import Learner
from manyways.training.run import Run

LOGGED, FEWEST_LOGGED = 1 << 17, 4096
"""Steps of all environments together after which they are seeded anew, and the fewest of each one."""
RECENT = 100
"""Episodes that the mean reward of a run in progress is over."""


class Acting(nn.Module):
    """Environments side by side, where they are, and how to get there again.

    Where an environment is cannot be saved; but it follows from its seed and from the actions taken since. Both are
    buffers, so that a run that is resumed takes the same actions again. When the log of actions is full all
    environments begin anew with another seed: their episodes are cut there.
    """

    log: Tensor
    taken: Tensor
    seeding: Tensor
    observation: Tensor
    earned: Tensor
    returns: Tensor
    episodes: Tensor

    def __init__(self, environment: Environment, count: int, seed: int, at_once: int) -> None:
        super().__init__()
        self.environment, self.count, self.seed = environment, count, seed
        self.spaces = environment.spaces
        observed, allowed = self.spaces
        room = max(FEWEST_LOGGED, LOGGED // count, at_once)
        actions = allowed.actions(np.zeros((1, *((allowed.width,) if allowed.shape else ())), np.float32))
        seen = np.zeros(observed.shape, getattr(observed, "dtype", "int64"))
        self.register_buffer("log", _tensor(np.zeros((room, count, *actions.shape[1:]), actions.dtype)))
        self.register_buffer("observation", _tensor(np.zeros((count, *seen.shape), seen.dtype)))
        self.register_buffer("taken", torch.zeros((), dtype=torch.int64))
        self.register_buffer("seeding", torch.zeros((), dtype=torch.int64))
        self.register_buffer("earned", torch.zeros(count, dtype=torch.float64))
        self.register_buffer("returns", torch.full((RECENT,), torch.nan))
        self.register_buffer("episodes", torch.zeros((), dtype=torch.int64))
        self._play: Play | None = None
        self._current = False
        self._pending: list[NDArray[Any]] = []
        self.now: NDArray[Any] = np.zeros(0)
        self.register_load_state_dict_post_hook(lambda *_: self.forget())  # type: ignore[no-untyped-call]

    def forget(self) -> None:
        """The environments are no longer where the buffers say."""
        self._current, self._pending = False, []

    def be_ready(self, steps: int) -> NDArray[Any]:
        """Make sure that `steps` can be taken without a new seed in between; what is observed now, [count, …].

        Raises:
            TrainingError: An environment does not do the same again as before.
        """
        anew = int(self.taken) + steps > len(self.log)
        if anew:
            self.seeding.add_(1)
            self.taken.zero_()
            self.earned.zero_()
        if anew or not self._current:
            self._begin()
        return self.now

    def step(self, actions: NDArray[Any]) -> Moved:
        """Take `actions`, as the environment wants them; nothing is kept before `keep`."""
        assert self._play is not None
        moved = self._play.step(actions)
        self._pending.append(actions)
        self.now = moved.observation
        return moved

    def keep(self, rewards: NDArray[np.float64], ended: NDArray[np.bool_]) -> None:
        """Note what was done since the last call: actions, place, and what the episodes earned, [steps, count]."""
        at, steps = int(self.taken), len(self._pending)
        self.log[at : at + steps] = _tensor(np.stack(self._pending)).to(self.log.device)
        self.observation.copy_(_tensor(self.now))
        self.taken.add_(steps)
        self._pending = []
        if not ended.any():
            self.earned.add_(torch.from_numpy(rewards.sum(0)).to(self.earned.device))
            return
        earned, finished = self.earned.cpu().numpy().copy(), []
        for reward, over in zip(rewards, ended, strict=True):
            earned += reward
            if over.any():
                finished += earned[over].tolist()
                earned[over] = 0
        self.earned.copy_(torch.from_numpy(earned))
        first, latest = int(self.episodes) + max(0, len(finished) - RECENT), finished[-RECENT:]
        self.returns[(first + torch.arange(len(latest))) % RECENT] = torch.tensor(latest).to(self.returns)
        self.episodes.add_(len(finished))

    def recent_reward(self) -> dict[str, Tensor]:
        """The mean sum of rewards of the last 100 episodes, as a part of the loss to show; empty before one ended."""
        return {"reward": self.returns.nanmean()} if int(self.episodes) else {}

    def _begin(self) -> None:
        """Seed all environments and take the actions that were logged."""
        if self._play is None:
            self._play = Play(self.environment, self.count)
        self.now = self._play.reset(mix(self.seed, int(self.seeding), 5) % 2**31)
        for actions in self.log[: int(self.taken)].cpu().numpy():
            self.now = self._play.step(actions).observation
        if int(self.taken) and not np.array_equal(self.now, self.observation.cpu().numpy(), equal_nan=True):
            raise TrainingError(
                f"{self.environment.name} did not do the same when the same actions were taken from the same seed, so "
                "that this run cannot go on from its checkpoint. An environment must draw random numbers from its own "
                "np_random alone. Begin the run anew in another folder."
            )
        self._current, self._pending = True, []


class ActingLearner(Learner):
    """A learner of actions: the network that acts, and the environments that it acts in."""

    network: ActingNetwork

    def __init__(self, network: ActingNetwork, data: Data, seed: int, count: int, at_once: int) -> None:
        super().__init__(network, data, seed)
        assert data.environment is not None
        self.acting = Acting(data.environment, count, seed, at_once)

    @property
    def name(self) -> str:
        """The environment's name."""
        return self.acting.environment.name


ActingLearnerT = TypeVar("ActingLearnerT", bound=ActingLearner)
ActingNetworkT = TypeVar("ActingNetworkT", bound=ActingNetwork)


@dataclass(frozen=True, kw_only=True)
class ActingMethod(GradientMethod[ActingLearnerT], Generic[ActingLearnerT]):
    """A method whose `draw` acts in environments side by side, and which makes a `Policy`."""

    environments: Count = 32
    """Environments that are acted in side by side."""

    needs: ClassVar[tuple[Need, ...]] = (AnyEnvironment,)
    gives: ClassVar = frozenset({"act"})
    takes: ClassVar = frozenset({"act"})
    example: ClassVar = "CartPole-v1"

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(environments=4)

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        # Networks that act are so small that a second thread, or the way to a GPU and back, costs more than it gives.
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return super().learn(data, model, budget, seed, replace(run, device="cpu") if run.device == "auto" else run)
        finally:
            torch.set_num_threads(threads)

    def make_model(self, learner: ActingLearnerT) -> Model:
        observed, allowed = learner.acting.spaces
        return Policy(network=learner.network, observation_space=observed, action_space=allowed)

    def start_network(self, data: Data, model: Model | None, kind: type[ActingNetworkT]) -> ActingNetworkT | None:
        """A copy of `model`'s network to train; None without a model.

        Raises:
            ModelError: The network does not fit the environment.
        """
        import copy

        if model is None:
            return None
        assert data.environment is not None
        observed, allowed = data.environment.spaces
        if not isinstance(model.network, kind) or not model.network.fits(observed, allowed):
            raise ModelError(
                f"{self.method_name()} goes on from a policy that it made itself, in an environment with the same "
                f"spaces; {model.lineage.title} made another. Leave the model out to begin anew."
            )
        return copy.deepcopy(model.network).requires_grad_(True)


def check_finite(name: str, what: str, values: NDArray[Any], first: int) -> None:
    """Raise TrainingError where `values` [steps, n, …] of environments side by side are not all finite.

    first: how many steps were taken before them.
    """
    if np.isfinite(values).all():
        return
    step, place, *_ = np.argwhere(~np.isfinite(values))[0]
    raise TrainingError(
        f"{name} gave {what} that are not finite: {values[step, place].tolist()} at step {first + int(step):,}, in "
        f"environment {int(place)} of {values.shape[1]} (both count from 0). Look for what divides by 0 or overflows "
        "in its step function."
    )


def _tensor(values: NDArray[Any]) -> Tensor:
    """`values` as a tensor; unsigned ones, which torch handles only in part, as int64."""
    return torch.from_numpy(values.astype(np.int64) if values.dtype.kind == "u" and values.itemsize > 1 else values)
