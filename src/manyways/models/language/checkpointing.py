"""Gradient checkpointing (Chen et al. 2016): layers keep their inputs alone, and compute the rest again to go back."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint


@contextmanager
def gradient_checkpointing(network: nn.Module) -> Iterator[None]:
    """Let the layers of `network` be computed again in the backward pass of what is called within this context."""
    layers = _layers(network)
    for layer in layers:
        again: Any = partial(checkpoint, layer.forward, use_reentrant=False)
        layer.forward = again  # of this object alone, so that its class and other models stay as they are
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _layers(network: nn.Module) -> list[nn.Module]:
    """The layers of a transformer: the list of modules that holds most of the parameters."""
    lists = [module for module in network.modules() if isinstance(module, nn.ModuleList)]
    return list(max(lists, key=lambda each: sum(p.numel() for p in each.parameters()), default=[]))
