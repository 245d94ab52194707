"""The network as it was when the last task ended, which teaches what it knew of the tasks so far."""

import copy
from typing import Self

import torch
from torch import Tensor

from manyways.models.network import Inputs, Network


class LastTeacher(torch.nn.Module):
    """A frozen copy of a network in evaluation; a learner that holds one keeps it over a restart."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).requires_grad_(False)

    def take_from(self, network: Network) -> None:
        """Become what `network` is now."""
        self.network.load_state_dict(network.state_dict())

    @torch.no_grad()
    def forward(self, inputs: Inputs) -> Tensor:
        """The logits [rows, classes]."""
        logits: Tensor = self.network(inputs).float()
        return logits

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation, whatever the learner that it is part of is set to."""
        return super().train(False)
