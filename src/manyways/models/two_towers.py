"""Two networks that see two sides of one thing, and put both into one space."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from manyways.errors import ModelError
from manyways.models.network import Inputs, Network, rebuild_network


class TwoTowers(nn.Module):
    """A network for each of two inputs, and a projection from its features to vectors of one `width` and length 1.

    scale: what similarities are multiplied by; bias: what is added to them, None for none. Both are learned.
    """

    may_lack: tuple[str, ...] = ()

    def __init__(
        self, towers: Mapping[str, Network], width: int, scale: float = 1.0, bias: float | None = None
    ) -> None:
        super().__init__()
        self.names, self.width = tuple(towers), width
        self.towers = nn.ModuleList(towers.values())
        self.projections = nn.ModuleList(nn.Linear(tower.width, width, bias=False) for tower in towers.values())
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))
        self.bias: nn.Parameter | None
        self.set_bias(bias)

    def set_bias(self, bias: float | None) -> None:
        """Add `bias` to every similarity from now on, or none."""
        self.register_parameter("bias", None if bias is None else nn.Parameter(torch.tensor(float(bias))))

    def tower(self, name: str) -> Network:
        """The network that sees the input `name`."""
        tower = self.towers[self.names.index(name)]
        assert isinstance(tower, Network)
        return tower

    def projection(self, name: str) -> nn.Linear:
        """Projection of the features of the input `name`."""
        projection = self.projections[self.names.index(name)]
        assert isinstance(projection, nn.Linear)
        return projection

    def vectors(self, name: str, inputs: Inputs) -> Tensor:
        """The vectors of the input `name`, float32 [rows, width], of length 1."""
        return normalize(self.projection(name)(self.tower(name).features(inputs)).float(), dim=1)

    def config(self) -> dict[str, Any]:
        """JSON values from which `rebuild_towers` makes the same architecture."""
        towers = {name: self.tower(name).config() for name in self.names}
        return {"names": list(self.names), "towers": towers, "width": self.width, "bias": self.bias is not None}


def rebuild_towers(saved: Mapping[str, Any]) -> TwoTowers:
    """The architecture that `TwoTowers.config` described, with random weights.

    Raises:
        ModelError: It does not fit.
    """
    try:
        names = saved.get("names", saved["towers"])
        towers = {name: rebuild_network(saved["towers"][name]) for name in names}
        return TwoTowers(towers, saved["width"], bias=0.0 if saved["bias"] else None)
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"The saved description of the two networks is damaged: {error!r}.") from error
