"""Maps of pictures, which heads of boxes and masks read: that of the only image among the inputs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from manyways.errors import DataError
from manyways.models.backbones.base import Backbone, ImageBackbone
from manyways.models.backbones.tokens import Tokens, map_of

if TYPE_CHECKING:
    from manyways.models.network import Network

NO_MAP = (
    "{} is predicted from a map of the picture, and this backbone gives tokens that lie on none. Take "
    'backbone="pyramid" or backbone="unet".'
)


class PictureInput(NamedTuple):
    """An input that is a picture: its name, the features of its tokens, and pixels to a place of its map."""

    name: str
    width: int
    stride: int


def picture_of(network: "Network", size: Sequence[int], what: str) -> PictureInput:
    """The only image among the inputs of `network`, from whose map `what` is predicted.

    size: Height and width of the pictures.

    Raises:
        DataError: There is none, or several; or its backbone gives no map.
    """
    images = {name: part for name, part in zip(network.names, network.parts, strict=True) if _reads_images(part)}
    if len(images) != 1:
        raise DataError(
            f"{what} is predicted from one column of images; the inputs hold {', '.join(images) or 'none'}. Name the "
            'one that it lies in: input="…".'
        )
    name, part = next(iter(images.items()))
    grid = _grid(part, *size)
    if len(grid) != 2:
        raise DataError(NO_MAP.format(what))
    return PictureInput(name, part.token_width, -(-size[0] // grid[0]))


def _reads_images(part: Backbone) -> bool:
    return isinstance(part, ImageBackbone) or "image" in part.kinds


@torch.no_grad()
def _grid(part: Backbone, height: int, width: int) -> tuple[int, ...]:
    """The rows and columns of the map of such a picture."""
    was_training = part.training
    channels = len(part.mean) if isinstance(part, ImageBackbone) else 3
    device = next(iter(part.state_dict().values())).device
    tokens = part.eval().tokens(torch.zeros(1, channels, height, width, dtype=torch.uint8, device=device))
    part.train(was_training)
    return tokens.grid


def map_in(tokens: Tokens, what: str) -> Tensor:
    """The map [rows, width, height, columns] of tokens. Raises DataError where they lie on none."""
    if len(tokens.grid) != 2:
        raise DataError(NO_MAP.format(what))
    return map_of(tokens)
