"""Moving the pixels of whole batches of images, every image by its own amount."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


def shift_and_mirror(images: Tensor, down: Tensor, right: Tensor, mirrored: Tensor) -> Tensor:
    """`images` [B, C, H, W] moved by whole pixels, then mirrored left to right where `mirrored` [B] is true.

    `down` and `right` are int64 [B] with |down| < H and |right| < W; what enters from outside is the image
    reflected at its border (the edge pixel is not repeated). The data type is kept.
    """
    batch, channels, height, width = images.shape
    rows = _reflected(height, down)
    columns = _reflected(width, right)
    columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    pixels = (rows[:, :, None] * width + columns[:, None, :]).view(batch, 1, height * width)
    # One gather of single bytes is several times faster than sampling a grid of floats.
    return images.flatten(2).gather(2, pixels.expand(batch, channels, -1)).view(images.shape)


def _reflected(size: int, offset: Tensor) -> Tensor:
    """Source index of each of `size` places after a move by `offset` [B], reflected into range: [B, size]."""
    source = (torch.arange(size, device=offset.device) - offset[:, None]).abs()
    return torch.where(source >= size, 2 * (size - 1) - source, source)


def affine_matrices(
    *, angle: Tensor, shear_x: Tensor, shear_y: Tensor, zoom: Tensor, right: Tensor, down: Tensor
) -> Tensor:
    """Matrices [B, 2, 3] for `affine` from one number of each kind per image, all float32 [B].

    `angle` in radians (counter-clockwise as seen), shears as a slope, `zoom` > 0 (2 shows the content twice
    as large), `right` and `down` in pixels.
    """
    cosine, sine = angle.cos() / zoom, angle.sin() / zoom
    # Columns of (rotation · shear): where a step of one output pixel to the right or down lands in the input.
    matrix = torch.stack(
        (
            cosine - sine * shear_y,
            cosine * shear_x - sine,
            -right,
            sine + cosine * shear_y,
            sine * shear_x + cosine,
            -down,
        ),
        dim=1,
    )
    return matrix.view(-1, 2, 3)


def affine(images: Tensor, matrices: Tensor, outside: Literal["zeros", "border"] = "zeros") -> Tensor:
    """`images` float [B, C, H, W] resampled bilinearly, image i by `matrices[i]` [2, 3].

    A matrix takes the (x, y) of an output pixel to the place in the input that it shows; both are in pixels
    from the centre of the image, x to the right and y down. Outside the image is 0 or the nearest edge pixel.
    """
    batch, _, height, width = images.shape
    device, dtype = images.device, images.dtype
    x = torch.arange(width, device=device, dtype=dtype) - (width - 1) / 2
    y = torch.arange(height, device=device, dtype=dtype) - (height - 1) / 2
    # Planes of x and of y: both the additions here and the sampling read them as whole vectors.
    grid = torch.empty(2, batch, height, width, device=device, dtype=dtype)
    # F.affine_grid multiplies tiny matrices one by one, which takes longer than the sampling itself.
    for axis, half in ((0, width / 2), (1, height / 2)):
        across, along, constant = (matrices[:, axis] / half).unbind(1)
        start = along[:, None] * y + constant[:, None]
        torch.add(start[:, :, None], (across[:, None] * x)[:, None, :], out=grid[axis])
    grid = grid.permute(1, 2, 3, 0)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode=outside, align_corners=False)


def crop_matrices(top: Tensor, left: Tensor, height: Tensor, width: Tensor, size: tuple[int, int]) -> Tensor:
    """Matrices [B, 2, 3] for `affine` that enlarge a box per image to the full `size` (height, width).

    The box is given in pixels, each float32 [B].
    """
    full_height, full_width = size
    zero = torch.zeros_like(top)
    middle_x = left + width / 2 - full_width / 2
    middle_y = top + height / 2 - full_height / 2
    matrix = torch.stack((width / full_width, zero, middle_x, zero, height / full_height, middle_y), dim=1)
    return matrix.view(-1, 2, 3)


def erase(images: Tensor, centre_y: Tensor, centre_x: Tensor, side: Tensor, fill: Tensor) -> Tensor:
    """`images` [B, C, H, W], changed in place: a square per image becomes `fill` [B, C, 1, 1].

    Centres and sides are int64 [B] in pixels; what reaches over the border is cut off. Cutout (DeVries and
    Taylor, 2017).
    """
    _, _, height, width = images.shape
    rows = torch.arange(height, device=images.device) - (centre_y - side // 2)[:, None]
    columns = torch.arange(width, device=images.device) - (centre_x - side // 2)[:, None]
    in_rows = (rows >= 0) & (rows < side[:, None])
    in_columns = (columns >= 0) & (columns < side[:, None])
    # A product of floats and lerp_ are vectorised; masks of booleans and torch.where are much slower here.
    square = in_rows.to(images.dtype)[:, None, :, None] * in_columns.to(images.dtype)[:, None, None, :]
    return images.lerp_(fill.expand_as(images), square.expand_as(images))


def background(images: Tensor) -> Tensor:
    """The second darkest of the four corner pixels of each image and channel: [B, C, 1, 1].

    It stands for "nothing here" on dark and on light paper alike, where a constant would add an object.
    """
    top, bottom = images[:, :, 0], images[:, :, -1]
    a, b, c, d = top[..., 0], top[..., -1], bottom[..., 0], bottom[..., -1]
    second = torch.minimum(
        torch.maximum(torch.minimum(a, b), torch.minimum(c, d)),
        torch.minimum(torch.maximum(a, b), torch.maximum(c, d)),
    )
    return second[:, :, None, None]
