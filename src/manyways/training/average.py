"""Exponential moving averages of networks."""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

NetworkT = TypeVar("NetworkT", bound=nn.Module)


class AverageNetwork(nn.Module, Generic[NetworkT]):
    """A network whose weights trail those of another (Polyak & Juditsky 1992; Tarvainen & Valpola 2017).

    `decay` in [0, 1) is reached gradually, min(decay, (1 + step) / (10 + step)), so that short runs are not
    dominated by the random start.
    """

    def __init__(self, network: NetworkT, decay: float) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def follow(self, network: NetworkT, step: int) -> None:
        """Move towards `network`; running statistics are copied as they are averages already."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.network.parameters()), [p.detach() for p in network.parameters()], 1 - decay)
        for mine, other in zip(self.network.buffers(), network.buffers(), strict=True):
            mine.copy_(other)

    def train(self, mode: bool = True) -> "AverageNetwork[NetworkT]":
        """Stays in evaluation mode: its statistics are those it was given."""
        return super().train(False)
