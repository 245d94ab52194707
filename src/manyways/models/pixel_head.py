"""Head of masks: outputs for every pixel of a picture."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self

import torch.nn.functional as F
from torch import Tensor, nn

from manyways.data.targets._masked import PixelTarget
from manyways.errors import ModelError
from manyways.models.backbones.tokens import Tokens
from manyways.models.heads import StructuredHead
from manyways.models.pictures import map_in, picture_of

if TYPE_CHECKING:
    from manyways.data.targets import StructuredTarget
    from manyways.models.network import Network


class PixelHead(StructuredHead):
    """One affine map of each place, spread over its pixels where a place is several (fully convolutional networks).

    picture: The input whose map it reads. size: Height and width of the pictures that it was made for. width:
    Features of a token. stride: Pixels to a place of that map, along each side.
    """

    name = "pixels"

    def __init__(self, picture: str, size: Sequence[int], width: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.config = {"picture": picture, "size": list(size), "width": width, "outputs": outputs, "stride": stride}
        self.size = tuple(size)
        self.picture, self.width, self.stride = picture, width, stride
        self.out = nn.Conv2d(width, outputs, 1)

    @classmethod
    def made_for(cls, network: "Network", target: "StructuredTarget") -> Self:
        if not isinstance(target, PixelTarget):
            raise ModelError(f"The head {cls.name!r} predicts masks; the label is of the kind {target.kind}.")
        size = (target.height, target.pixels_wide)
        picture = picture_of(network, size, f"The label {target.name!r}, a mask,")
        return cls(picture.name, size, picture.width, target.maps, picture.stride)

    def fits(self, network: "Network") -> bool:
        picture = picture_of(network, self.size, "A label that is a mask")
        return (picture.name, picture.width, picture.stride) == (self.picture, self.width, self.stride)

    def from_tokens(self, tokens: Mapping[str, Tokens]) -> Tensor:
        outputs: Tensor = self.out(map_in(tokens[self.picture], "A label that is a mask"))
        if self.stride == 1:
            return outputs
        return F.interpolate(outputs, scale_factor=float(self.stride), mode="bilinear", align_corners=False)
