"""Q-learning: a table of what every action in every state is worth, learned by acting."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import torch
from torch import Tensor

from manyways.data.data import Data
from manyways.data.environments import Environment
from manyways.data.spaces import Choices
from manyways.errors import NeedsError
from manyways.methods.bases.acting import ActingLearner, ActingMethod, check_finite
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.fields import Count, Finite, Interval, NotNegative, Positive, Share, refuse_others
from manyways.methods.needs import AnyEnvironment, FiniteEnvironment
from manyways.models.acting.networks import QTable
from manyways.models.model import Model


class QLearner(ActingLearner):
    """The table, and the environments that it is learned in, with their states and actions."""

    network: QTable

    def __init__(self, network: QTable, data: Data, seed: int, count: int) -> None:
        super().__init__(network, data, seed, count, 1)
        self.states, self.choices = counted(self.acting.environment)


@dataclass(frozen=True, kw_only=True)
class QLearning(ActingMethod[QLearner]):
    """Act in an environment with few states, and learn what each action in each of them is worth.

    A step acts once in every environment, by chance in a share of them that falls with the run, and moves Q(s, a)
    by α (r + γ max Q(s', ·) − Q(s, a)). Where several environments took the same action in the same state Q moves by
    the mean of what they found. It learns in spaces that are Discrete.
    """

    environments: Count = 64
    """Environments that are acted in side by side; each step learns from as many transitions."""
    learning_rate: Annotated[float, Interval("(0, 1]")] = 0.5
    """α at the start; it falls linearly to zero, so that chance averages out."""
    discount: Share = 0.99
    """γ: what a reward counts that comes a step later."""
    exploration: Share = 1.0
    """Share of the actions that are taken by chance at the start (ε)."""
    final_exploration: Share = 0.1
    """Share of the actions that are taken by chance at the end."""
    exploration_share: Annotated[float, Interval("(0, 1]")] = 0.5
    """Share of the run in which ε falls, linearly."""
    initial_value: Finite = 0.0
    """First value of every action; more than it can be worth makes all of them tried (optimism)."""
    batch_size: Count = 64
    """That of others: a step learns from one transition of each of the `environments`."""
    weight_decay: NotNegative = 0.0
    """Decay of all values towards zero, in each step by this multiple of α."""
    beta2: Annotated[float, Interval("[0, 1)")] = 0.99
    """That of others: values move by plain gradient descent, which is Q-learning's own rule."""
    precision: Literal["float32"] = "float32"
    """Arithmetic of the values."""
    clip: Positive | None = None
    """Largest norm of the move of a step; None does not clip."""
    warmup: Share = 0.0
    """Share of the steps in which α rises first."""

    needs: ClassVar = (AnyEnvironment, FiniteEnvironment)
    paper: ClassVar = "Watkins & Dayan, Q-learning, Machine Learning 8 (1992)"
    example: ClassVar = "FrozenLake-v1"

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_others(
            self, batch_size="is of methods with batches, and a step learns from one transition of each environment",
            beta2="is AdamW's, and values move by plain gradient descent",
        )  # fmt: skip

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(environments=4, initial_value=0.5)

    def begin(self, data: Data, model: Model | None, seed: int) -> QLearner:
        assert data.environment is not None
        states, actions = counted(data.environment)
        network = self.start_network(data, model, QTable) or QTable(states.count, actions.count, self.initial_value)
        return QLearner(network, data, seed, self.environments)

    def draw(self, learner: QLearner, step: int, rng: torch.Generator) -> Batch:
        states = torch.from_numpy(learner.states.codes(learner.acting.be_ready(1)))
        table = learner.network.values.detach().cpu()
        by_chance = torch.randint(learner.choices.count, (self.environments,), generator=rng)
        explore = torch.rand(self.environments, generator=rng) < self.epsilon(learner.progress(step))
        actions = torch.where(explore, by_chance, table[states].argmax(-1))
        moved = learner.acting.step(learner.choices.actions(actions.numpy()))
        check_finite(learner.name, "rewards", moved.reward[None], step)
        learner.acting.keep(moved.reward[None], moved.ended[None])
        batch: dict[str, Any] = {
            "states": states,
            "actions": actions,
            "rewards": torch.from_numpy(moved.reward).float(),
            "reached": torch.from_numpy(learner.states.codes(moved.reached)),
            "terminated": torch.from_numpy(moved.terminated),
            "real": torch.from_numpy(~moved.idle),
        }
        return {name: tensor.to(learner.device) for name, tensor in batch.items()}

    def loss(self, learner: QLearner, batch: Batch) -> Loss:
        values, real = learner.network.values, batch["real"]
        errors = td_errors(
            values, batch["states"], batch["actions"], batch["rewards"], batch["reached"], batch["terminated"],
            self.discount,
        )  # fmt: skip
        shares = 1 / repeats(batch["states"] * values.shape[1] + batch["actions"], real)
        error = (errors.detach().abs() * real).sum() / real.sum().clamp(min=1)
        return (errors.square() * shares * real).sum() / 2, {**learner.acting.recent_reward(), "error": error}

    def epsilon(self, progress: float) -> float:
        """The share of actions that are taken by chance when the share `progress` of the run is done."""
        gone = min(1.0, progress / self.exploration_share)
        return self.exploration + gone * (self.final_exploration - self.exploration)

    def make_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.SGD(groups)

    def schedule(self, step: int, steps: int) -> float:
        return linear(step, steps, self.warmup)

    def examples_per_step(self, learner: QLearner) -> int:
        """The steps in all environments together, one of which an example is."""
        return self.environments


def counted(environment: Environment) -> tuple[Choices, Choices]:
    """The states and the actions of `environment`.

    Raises:
        NeedsError: They are not Discrete.
    """
    states, actions = environment.spaces
    if not (isinstance(states, Choices) and isinstance(actions, Choices)):
        raise NeedsError(f"Q-learning needs Discrete states and actions; {environment.name} has {states}, {actions}.")
    return states, actions


def td_errors(
    values: Tensor, states: Tensor, actions: Tensor, rewards: Tensor, reached: Tensor, terminated: Tensor,
    discount: float,
) -> Tensor:  # fmt: skip
    """Q(s, a) − (r + γ max Q(s', ·)) for each of n transitions; nothing comes after a state that is terminal.

    values: Q [states, actions]. The target carries no gradient, so that that of half the square is the error itself.
    """
    with torch.no_grad():
        target = rewards + discount * values[reached].amax(-1) * ~terminated
    return values[states, actions] - target


def repeats(pairs: Tensor, real: Tensor) -> Tensor:
    """The number of the `real` transitions that share each one's number in `pairs` [n], at least 1."""
    _, which = torch.unique(pairs, return_inverse=True)
    counts = torch.zeros(len(pairs), device=pairs.device).index_add_(0, which, real.float())
    return counts[which].clamp(min=1)


def linear(step: int, steps: int, warmup: float) -> float:
    """Linear from near 0 over the first `warmup` share of the steps, then linear down to 0."""
    rise = round(warmup * steps)
    return (step + 1) / rise if step < rise else 1 - (step - rise) / max(1, steps - rise)
