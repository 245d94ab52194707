"""Games: methods of several players, each of which has parameters and a loss of its own."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Generic

import torch
from torch import Tensor, nn

from manyways.methods.bases.gradient import Batch, GradientMethod, LearnerT
from manyways.training.loop import autocast
from manyways.training.steps import ParameterGroup


@dataclass(frozen=True, eq=False)
class Player:
    """The parameters that one player moves, and the multiple `scale` of the learning rate at which it does."""

    parameters: list[nn.Parameter]
    scale: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Game(GradientMethod[LearnerT], Generic[LearnerT]):
    """Simultaneous gradient descent of several players; the last of a method's bases, whose defaults win then.

    `loss` names a part for each player. A player's parameters descend that part alone; those of the others, on which it
    depends, are to it as they are. The sum that `loss` gives besides is only watched. `clip` bounds the gradient of
    each player.
    """

    @abstractmethod
    def players(self, learner: LearnerT) -> dict[str, Player]:
        """The players by the names of the parts that they minimise."""

    def parameter_groups(self, learner: LearnerT) -> list[ParameterGroup]:
        players = self.players(learner).values()
        return [ParameterGroup(player.parameters, self.learning_rate * player.scale) for player in players]

    def gradients(self, learner: LearnerT, batch: Batch) -> dict[str, Tensor]:
        with autocast(self.precision, learner.device):
            loss, parts = self.loss(learner, batch)
        players = self.players(learner)
        for at, (name, player) in enumerate(players.items(), 1):
            more_to_come = at < len(players)
            found = torch.autograd.grad(parts[name], player.parameters, retain_graph=more_to_come, allow_unused=True)
            for parameter, gradient in zip(player.parameters, found, strict=True):
                parameter.grad = gradient
            if self.clip is not None:
                nn.utils.clip_grad_norm_(player.parameters, self.clip)
        return {name: part.detach() for name, part in {"loss": loss, **parts}.items()}

    def clip_gradients(self, parameters: list[nn.Parameter]) -> None:
        """Nothing: `gradients` has bounded those of each player."""
