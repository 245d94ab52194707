"""Exponential moving averages of networks."""

import copy
from math import cos, pi
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
        move_towards(self.network, network, gradual(self.decay, step))
        for mine, other in zip(self.network.buffers(), network.buffers(), strict=True):
            mine.copy_(other)

    def train(self, mode: bool = True) -> "AverageNetwork[NetworkT]":
        """Stays in evaluation mode: its statistics are those it was given."""
        return super().train(False)


class MomentumEncoder(nn.Module, Generic[NetworkT]):
    """The encoder of keys, or targets, that trails the one that is trained (He et al. 2020; Grill et al. 2020).

    Its decay rises from `decay` to 1 along half a cosine over the run, so that keys stand still in the end. It stays in
    evaluation mode: a key is normalised by running statistics, which trail as the weights do, and not by those of the
    batch it is in. By the latter a query could tell its key from those of other batches without looking at the row.
    """

    def __init__(self, network: NetworkT, decay: float) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self.decay = decay

    @torch.no_grad()
    def follow(self, network: NetworkT, step: int, steps: int) -> None:
        """Move weights and running statistics towards those of `network` after `step` of `steps`.

        Statistics begin as those of no data, and so follow faster at first. Weights do not: where keys move as queries
        do, both run away from older keys together, until all are the same.
        """
        decay = rising(self.decay, step, steps)
        move_towards(self.network, network, decay)
        for mine, other in zip(self.network.buffers(), network.buffers(), strict=True):
            if mine.is_floating_point():
                mine.lerp_(other, 1 - gradual(decay, step))
            else:
                mine.copy_(other)

    def train(self, mode: bool = True) -> "MomentumEncoder[NetworkT]":
        """Stays in evaluation mode."""
        return super().train(False)


@torch.no_grad()
def move_towards(follower: nn.Module, network: nn.Module, decay: float) -> None:
    """Multiply the weights of `follower` by `decay`, and add those of `network` times the rest."""
    torch._foreach_lerp_(list(follower.parameters()), [p.detach() for p in network.parameters()], 1 - decay)


def gradual(decay: float, step: int) -> float:
    """`decay`, or less in the first steps, so that the random start is soon forgotten."""
    return min(decay, (1 + step) / (10 + step))


def rising(decay: float, step: int, steps: int) -> float:
    """`decay` at first and 1 after the last of `steps`, along half a cosine."""
    return 1 - (1 - decay) * (cos(pi * step / steps) + 1) / 2
