"""Networks for several labels: one that they share, or one for each."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from manyways.models.network import Inputs, Network, rebuild_network


class Networks(nn.Module):
    """Networks over the same inputs whose outputs stand side by side: [rows, outputs of all]."""

    def __init__(self, networks: Sequence[Network]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    @property
    def members(self) -> list[Network]:
        """The networks, in the order of their outputs."""
        return [network for network in self.networks if isinstance(network, Network)]

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs, in the order in which every network reads them."""
        return self.members[0].names if self.members else ()

    @property
    def may_lack(self) -> tuple[str, ...]:
        """The modalities that rows may lack."""
        return self.members[0].may_lack

    def forward(self, inputs: Inputs) -> Tensor:
        said = [network(inputs) for network in self.members]
        return said[0] if len(said) == 1 else torch.cat(said, dim=1)

    def config(self) -> dict[str, Any]:
        """JSON values from which `rebuild_networks` makes the same architecture."""
        return {"networks": [network.config() for network in self.members]}

    def only(self, start: int, stop: int) -> Network:
        """A copy of the network that makes the outputs from `start` to `stop`, without its other outputs."""
        before = 0
        for network in self.members:
            head = network.head
            assert head is not None
            assert head.last is not None
            if start < before + head.last.out_features:
                break
            before += head.last.out_features
        alone = copy.deepcopy(network)
        assert alone.head is not None
        last = alone.head.last
        assert last is not None
        last.weight = nn.Parameter(last.weight.detach()[start - before : stop - before].clone())
        last.bias = nn.Parameter(last.bias.detach()[start - before : stop - before].clone())
        last.out_features = stop - start
        alone.head.config = {**alone.head.config, "outputs": stop - start}
        return alone


def rebuild_networks(saved: Mapping[str, Any]) -> Networks:
    """The architecture that `Networks.config` described, with random weights.

    Raises:
        ModelError: It does not fit.
    """
    return Networks([rebuild_network(each) for each in saved["networks"]])
