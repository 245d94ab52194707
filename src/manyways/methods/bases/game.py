"""Games: methods of several players, each of which has parameters and a loss of its own."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from manyways.methods.bases.gradient import ParameterGroup


@dataclass(frozen=True, eq=False)
class Player:
    """What one player moves, and at which multiple `scale` of the learning rate."""

    parameters: list[nn.Parameter]
    scale: float = 1.0


class Game:
    """Simultaneous gradient descent of several players, as a part of a gradient method.

    `loss` names a part for each player. A player's parameters descend that part alone; those of the others, on which it
    depends, are to it as they are. The sum that `loss` gives besides is only watched. `clip` bounds the gradient of
    each player.
    """

    clip: float | None

    @abstractmethod
    def players(self, learner: Any) -> dict[str, Player]:
        """The players by the names of the parts that they minimise."""

    def parameter_groups(self, learner: Any) -> list[ParameterGroup]:
        return [ParameterGroup(player.parameters, scale=player.scale) for player in self.players(learner).values()]

    def backward(self, learner: Any, loss: Tensor, parts: dict[str, Tensor]) -> None:
        players = self.players(learner)
        for at, (name, player) in enumerate(players.items(), 1):
            more_to_come = at < len(players)
            found = torch.autograd.grad(parts[name], player.parameters, retain_graph=more_to_come, allow_unused=True)
            for parameter, gradient in zip(player.parameters, found, strict=True):
                parameter.grad = gradient
            if self.clip is not None:
                nn.utils.clip_grad_norm_(player.parameters, self.clip)

    def clip_gradients(self, parameters: list[nn.Parameter]) -> None:
        """Nothing: `backward` has bounded those of each player."""
