"""Maps of pictures, which heads of boxes and masks read: that of the only image among the inputs."""

from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from manyways.errors import DataError
from manyways.models.backbones.base import Backbone, ImageBackbone
from manyways.models.backbones.tokens import Tokens, map_of

if TYPE_CHECKING:
    from manyways.models.network import Network

USUAL_STRIDE = 4


class PictureInput(NamedTuple):
    """An input that is a picture: its name, the features of its tokens, and pixels to a place of its map."""

    name: str
    width: int
    stride: int


def picture_of(network: "Network", what: str) -> PictureInput:
    """The only image among the inputs of `network`, from whose map `what` is predicted.

    Raises:
        DataError: There is none, or several.
    """
    images = {name: part for name, part in zip(network.names, network.parts, strict=True) if _reads_images(part)}
    if len(images) != 1:
        raise DataError(
            f"{what} is predicted from one column of images; the inputs hold {', '.join(images) or 'none'}. Name the "
            'one that it lies in: input="…".'
        )
    name, part = next(iter(images.items()))
    return PictureInput(name, part.token_width, int(getattr(part, "stride", USUAL_STRIDE)))


def _reads_images(part: Backbone) -> bool:
    return isinstance(part, ImageBackbone) or "image" in part.kinds


def map_in(tokens: Tokens, what: str) -> Tensor:
    """The map [rows, width, height, columns] of tokens. Raises DataError where they lie on none."""
    if len(tokens.grid) != 2:
        raise DataError(
            f"{what} is predicted from a map of the picture, and this backbone gives tokens that lie on none. Take "
            'backbone="pyramid" or backbone="unet".'
        )
    return map_of(tokens)
