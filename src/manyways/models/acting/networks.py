"""Networks that act: an actor with a critic, and a table of values."""

from collections.abc import Sequence
from itertools import pairwise
from math import log, pi, sqrt
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from manyways.data.spaces import Choices, Space
from manyways.registry import Classes

FURTHEST = 10.0
"""Standardised observations are clipped to so many deviations."""


class Moments(nn.Module):
    """The mean and the deviation of all values noticed so far, float64 of `shape` (Chan, Golub & LeVeque 1983)."""

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(shape, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    @property
    def deviation(self) -> Tensor:
        """The square root of the variance, never 0; 1 before anything was noticed."""
        return (self.variance + 1e-8).sqrt()

    @torch.no_grad()
    def notice(self, values: Tensor) -> None:
        """Take in `values` [n, *shape]."""
        values = values.double()
        old, total = self.count.clone(), self.count + len(values)
        gap, share = values.mean(0) - self.mean, len(values) / total
        variance = values.var(0, unbiased=False)
        self.variance.copy_(self.variance + share * (variance - self.variance + (old / total) * gap.square()))
        self.mean.add_(share * gap)
        self.count.copy_(total)


class ActingNetwork(nn.Module):
    """Network of a policy: `decide` returns the best action, and `choose` draws one.

    Observations are float32 [n, width of their space]; actions are int64 [n], numbers from 0, or float32 [n, width].
    """

    name: ClassVar[str]
    config: dict[str, Any]

    def fits(self, observed: Space, allowed: Space) -> bool:
        """True if it can act on what is `observed` by the actions `allowed`."""
        raise NotImplementedError

    def decide(self, observations: Tensor) -> Tensor:
        """The action that is best, or the mean of what is drawn."""
        raise NotImplementedError

    def choose(self, observations: Tensor, noise: Tensor) -> Tensor:
        """An action drawn by `noise`, which is made by `draw_noise`."""
        raise NotImplementedError

    def draw_noise(self, shape: Sequence[int], rng: torch.Generator | None) -> Tensor:
        """Noise for `shape` drawn actions; None draws from torch's global stream."""
        raise NotImplementedError


ACTING_NETWORKS: Classes[ActingNetwork] = Classes("acting_networks", ActingNetwork, "manyways.models.acting.networks")
"""Networks that act by their names: those of this file, and of the group `manyways.acting_networks`."""


class ActorCritic(ActingNetwork):
    """Two perceptrons: the actor says which action, the critic how much reward is to come.

    inputs: numbers of an observation. outputs: how many actions there are to choose from, or how many numbers an
    action has where `continuous`: then it is Gaussian with a deviation of its own that does not depend on the state.
    Weights are orthogonal at first, those of the actor's last layer 100 times smaller (Engstrom et al. 2020).
    """

    name = "actor-critic"

    def __init__(self, inputs: int, outputs: int, continuous: bool, widths: Sequence[int], standardise: bool) -> None:
        super().__init__()
        self.config = {
            "inputs": inputs, "outputs": outputs, "continuous": continuous, "widths": list(widths),
            "standardise": standardise,
        }  # fmt: skip
        self.outputs, self.continuous, self.standardise = outputs, continuous, standardise
        self.actor = _perceptron([inputs, *widths, outputs], 0.01)
        self.critic = _perceptron([inputs, *widths, 1], 1.0)
        if continuous:
            self.log_deviation = nn.Parameter(torch.zeros(outputs))
        if standardise:
            self.moments = Moments((inputs,))

    def fits(self, observed: Space, allowed: Space) -> bool:
        shape = (self.config["inputs"], self.outputs, self.continuous)
        return shape == (observed.width, allowed.width, not isinstance(allowed, Choices))

    def decide(self, observations: Tensor) -> Tensor:
        said: Tensor = self.actor(self.seen(observations))
        return said if self.continuous else said.argmax(-1)

    def choose(self, observations: Tensor, noise: Tensor) -> Tensor:
        said: Tensor = self.actor(self.seen(observations))
        # The largest of logits with Gumbel noise is a draw from their softmax.
        return torch.addcmul(said, self.log_deviation.exp(), noise) if self.continuous else (said + noise).argmax(-1)

    def draw_noise(self, shape: Sequence[int], rng: torch.Generator | None) -> Tensor:
        if self.continuous:
            return torch.randn(*shape, self.outputs, generator=rng)
        return -torch.empty(*shape, self.outputs).exponential_(generator=rng).log_()

    def value(self, observations: Tensor) -> Tensor:
        """The reward that is still to come, discounted, [n]."""
        said: Tensor = self.critic(self.seen(observations))
        return said.squeeze(-1)

    def judge(self, observations: Tensor, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The log-probability of each action [n], the entropy of the choice [n], and the value [n]."""
        seen = self.seen(observations)
        outputs, value = self.actor(seen), self.critic(seen).squeeze(-1)
        if self.continuous:
            deviation = self.log_deviation
            squares = ((actions - outputs) * (-deviation).exp()).square()
            log_probs = -(0.5 * squares + deviation + 0.5 * log(2 * pi)).sum(-1)
            return log_probs, (deviation + 0.5 * log(2 * pi) + 0.5).sum().expand(len(outputs)), value
        logs = outputs.log_softmax(-1)
        return logs.gather(-1, actions[:, None]).squeeze(-1), -(logs.exp() * logs).sum(-1), value

    def seen(self, observations: Tensor) -> Tensor:
        """Observations as the perceptrons see them: standardised by what was seen so far, where that is wanted."""
        if not self.standardise:
            return observations
        standard = (observations - self.moments.mean) / self.moments.deviation
        return standard.float().clamp(-FURTHEST, FURTHEST)


class QTable(ActingNetwork):
    """The value of every action in every state, float32 [states, actions]; the largest is taken."""

    name = "q-table"

    def __init__(self, states: int, actions: int, value: float = 0.0) -> None:
        super().__init__()
        self.config = {"states": states, "actions": actions}
        self.values = nn.Parameter(torch.full((states, actions), float(value)))

    def fits(self, observed: Space, allowed: Space) -> bool:
        sizes = (self.config["states"], self.config["actions"])
        return (
            isinstance(observed, Choices) and isinstance(allowed, Choices) and sizes == (observed.count, allowed.count)
        )

    def decide(self, observations: Tensor) -> Tensor:
        # Observations are ones among zeros, so that every network is asked alike.
        return self.values[observations.argmax(-1)].argmax(-1)

    def choose(self, observations: Tensor, noise: Tensor) -> Tensor:
        return self.decide(observations)

    def draw_noise(self, shape: Sequence[int], rng: torch.Generator | None) -> Tensor:
        return torch.zeros(*shape, 1)


def _perceptron(widths: Sequence[int], gain: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        linear = nn.Linear(before, after)
        nn.init.orthogonal_(linear.weight, sqrt(2) if len(layers) < 2 * (len(widths) - 2) else gain)
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.Tanh()]
    return nn.Sequential(*layers[:-1])
