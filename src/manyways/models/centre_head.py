"""Head of boxes: for every place of a map the probability of a centre of each class, and the sides of its box."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manyways.data.targets.boxes import BoxTarget
from manyways.data.targets.centres import CentreMaps
from manyways.errors import ModelError
from manyways.models.backbones._layers import BatchNorm, channels_last, conv
from manyways.models.backbones.tokens import Tokens
from manyways.models.heads import StructuredHead
from manyways.models.pictures import map_in, picture_of

if TYPE_CHECKING:
    from manyways.data.targets import StructuredTarget
    from manyways.models.network import Network

STRIDE = 4
"""Pixels of the picture to a place of the map, along each side; finer maps are pooled to it."""
HIDDEN = 64
RARE = -2.19
"""The logit of a centre before anything is learned: a probability of 0.1, as almost no place is one."""


class CentreHead(StructuredHead):
    """A heat map of centres per class, and the sides of the box around each (CenterNet, Zhou et al., 2019).

    picture: The input whose map it reads. size: Height and width of the pictures that it was made for. width:
    Features of a token. pool: Places of that map, along each side, to one of the head's.
    """

    name = "centres"

    def __init__(self, picture: str, size: Sequence[int], width: int, hidden: int, classes: int, pool: int) -> None:
        super().__init__()
        self.config = {
            "picture": picture, "size": list(size), "width": width, "hidden": hidden, "classes": classes, "pool": pool,
        }  # fmt: skip
        self.size = tuple(size)
        self.picture, self.width, self.classes, self.pool = picture, width, classes, pool
        self.hidden = conv(width, hidden)
        self.norm = BatchNorm(hidden)
        self.out = nn.Conv2d(hidden, classes + 4, 1)
        assert self.out.bias is not None
        nn.init.normal_(self.out.weight, std=0.01)
        with torch.no_grad():
            self.out.bias.copy_(torch.tensor([RARE] * classes + [0.0] * 4))

    @classmethod
    def made_for(cls, network: "Network", target: "StructuredTarget") -> Self:
        if not isinstance(target, BoxTarget):
            raise ModelError(f"The head {cls.name!r} predicts boxes; the label is of the kind {target.kind}.")
        size = (target.height, target.pixels_wide)
        picture = picture_of(network, size, f"The label {target.name!r}, boxes,")
        return cls(picture.name, size, picture.width, HIDDEN, len(target.names), _pool(picture.stride))

    def fits(self, network: "Network") -> bool:
        picture = picture_of(network, self.size, "A label of boxes")
        return (picture.name, picture.width, _pool(picture.stride)) == (self.picture, self.width, self.pool)

    def from_tokens(self, tokens: Mapping[str, Tokens]) -> CentreMaps:
        features: Tensor = map_in(tokens[self.picture], "A label of boxes")
        if self.pool > 1:
            features = F.avg_pool2d(features, self.pool, ceil_mode=True)
        outputs: Tensor = self.out(F.relu(self.norm(self.hidden(channels_last(features)))))
        return CentreMaps(outputs[:, : self.classes], outputs[:, self.classes :])


def _pool(stride: int) -> int:
    return max(1, STRIDE // stride)
