"""The type that a network's numbers are saved in."""

import copy

import torch
from torch import nn

NARROW = (torch.bfloat16, torch.float16)


def narrowest(network: nn.Module) -> nn.Module:
    """Return `network`, or a copy in 16 bits where those hold all its numbers exactly.

    Networks are float32 in memory, whatever they were read from: one that was read from bfloat16, or merged of such, is
    bfloat16 again in its folder, and one that has learned since is float32.
    """
    held = [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]
    for kind in NARROW:
        if all(tensor.dtype == torch.float32 and torch.equal(tensor.to(kind).float(), tensor) for tensor in held):
            return copy.deepcopy(network).to(kind)
    return network
