"""Weights of several labels that are drawn together, layers that they pass side by side, the last one they share."""

import numpy as np
import torch
from torch import Tensor, nn

from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.targets import Targets
from manyways.errors import ModelError, ParameterError
from manyways.models.lockstep import CrossStitch, Lockstep, units_of
from manyways.models.network import Network
from manyways.models.networks import Networks

TRIED = 4
"""Rows that are read side by side and alone, to see whether a backbone can be divided."""


def distances(networks: list[Network]) -> Tensor:
    """The squared distances between the weights of networks, of all pairs, heads left out."""
    backbones = [[p for p in network.backbones.parameters() if p.requires_grad] for network in networks]
    pairs = [(a, b) for at, a in enumerate(backbones) for b in backbones[:at]]
    return torch.stack([((x - y) ** 2).sum() for a, b in pairs for x, y in zip(a, b, strict=True)]).sum()


def last_shared(networks: Networks, targets: Targets) -> list[nn.Parameter]:
    """The weights of the last layer that labels share. Raises ModelError where nothing is shared."""
    own = {id(each) for name in targets.names for each in networks.own_parameters(name)}
    groups = [
        [each for each in group if each.requires_grad and id(each) not in own]
        for network in networks.members
        for group in network.layer_groups()
    ]
    layers = [group for group in groups if any(each.ndim > 1 for each in group)]
    if not layers:
        raise ModelError("The labels share no layer whose gradients GradNorm could compare; take another weighting.")
    return layers[-1]


@torch.no_grad()
def walk_in(network: Network, lockstep: Lockstep, encoding: InputEncoding, data: Data) -> None:
    """Let the networks of all labels pass the backbones side by side, where they can read rows so.

    Raises:
        ParameterError: They cannot: side by side they say something else than alone.
    """
    rows = encoding.encode(data.training)
    some = rows.batch(np.arange(min(TRIED, len(rows))), torch.device("cpu"))
    network.eval()
    alone = network.tokens(some)
    network.walk_in(lockstep)
    stitches = [unit for unit in units_of(network, CrossStitch) if isinstance(unit, CrossStitch)]
    mixing = [unit.mixing.clone() for unit in stitches]
    for unit in stitches:
        unit.mixing.copy_(torch.eye(lockstep.labels).flatten())
    try:
        beside = network.eval().tokens(lockstep.repeated(some))
        same = all(
            torch.allclose(alone[name].features, lockstep.own(beside, place)[name].features, rtol=1e-3, atol=1e-4)
            for name in alone
            for place in range(lockstep.labels)
        )
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise _unfit(network, lockstep) from error
    if not same:
        raise _unfit(network, lockstep)
    for unit, before in zip(stitches, mixing, strict=True):
        unit.mixing.copy_(before)
    network.train()


def _unfit(network: Network, lockstep: Lockstep) -> ParameterError:
    names = ", ".join(sorted({part.name for part in network.parts}))
    return ParameterError(
        f"sharing={lockstep.kind!r} needs backbones whose layers take the rows of a batch first, one after the other; "
        f"{names} cannot be divided so. Take another backbone, or sharing='soft'."
    )
