"""A method that acts as it did at first, by a network of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from manyways.data.data import Data
from manyways.data.spaces import Space
from manyways.methods.method import Learned, Method
from manyways.methods.needs import FiniteEnvironment
from manyways.models.acting.networks import ActingNetwork
from manyways.models.model import Model
from manyways.models.policy import Policy
from manyways.training.budget import Budget
from manyways.training.run import Run


class Same(ActingNetwork):
    """Always one action."""

    name = "same"

    def __init__(self, action: int) -> None:
        super().__init__()
        self.config = {"action": action}
        self.register_buffer("action", torch.tensor(action))

    def fits(self, observed: Space, allowed: Space) -> bool:
        return True

    def decide(self, observations: Tensor) -> Tensor:
        return torch.full((len(observations),), int(self.get_buffer("action")))

    def choose(self, observations: Tensor, noise: Tensor) -> Tensor:
        return self.decide(observations)

    def draw_noise(self, shape: Sequence[int], rng: torch.Generator | None) -> Tensor:
        return torch.zeros(*shape, 1)


@dataclass(frozen=True, kw_only=True)
class Stubborn(Method):
    """Take one action for ever."""

    needs: ClassVar = (FiniteEnvironment,)
    gives: ClassVar = frozenset({"act"})
    paper: ClassVar = "Nobody"

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        assert data.environment is not None
        observed, allowed = data.environment.spaces
        made = Policy(network=Same(1), observation_space=observed, action_space=allowed)
        return Learned(made, np.zeros(len(data), bool))
