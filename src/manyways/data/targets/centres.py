"""Objects as points (CenterNet, Zhou et al., 2019): heat maps of centres, and boxes of their peaks.

Boxes are [rows, most, 5]: class, left, top, right, bottom, the sides as parts of the picture's width and height. Class
`NONE` is no box, and `DOUBTFUL` less a class one that may be there: nothing is learned around it. A place of a map
stands for a small square of the picture.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from manyways.data.targets.structured import Structure

SPREAD = 0.54 / 6
"""Standard deviation of the Gaussian around a centre, as a part of the side of its box."""
NARROWEST = 0.3
"""The least standard deviation, in places: of objects smaller than a place."""
ALPHA, BETA = 2.0, 4.0
"""Exponents of the focal loss: of what is well predicted, and of what lies near a centre."""
LEAST = 1e-4
"""Places that a side has at least, so that its logarithm is finite."""
NONE, UNKNOWN, DOUBTFUL = -1, -2, -3
"""Codes in place of a class: no box; a row of which nothing is known; the first of boxes that may be there."""
NEAR = 0.1
"""Height of the Gaussian of a doubtful box from which on nothing is learned."""


@dataclass(frozen=True, eq=False)
class CentreMaps(Structure):
    """Outputs for every place of a map, for a batch.

    Attributes:
        heat: Logits of a centre of each class, [rows, classes, h, w].
        sides: Distances from the middle of the place to the centre (x, y), and logarithms of width and height, all in
            places: [rows, 4, h, w].
    """

    heat: Tensor
    sides: Tensor


class Places(NamedTuple):
    """Boxes in places of a map: centres x, y and sizes [B, most], the place of each centre, and which are boxes."""

    x: Tensor
    y: Tensor
    width: Tensor
    height: Tensor
    column: Tensor
    row: Tensor
    real: Tensor


def places_of(boxes: Tensor, height: int, width: int) -> Places:
    """The boxes [B, most, 5] on a map of `height` x `width` places."""
    left, top, right, bottom = boxes[..., 1:].float().unbind(-1)
    x, y = (left + right) * (width / 2), (top + bottom) * (height / 2)
    column = x.floor().clamp(0, width - 1).long()
    row = y.floor().clamp(0, height - 1).long()
    return Places(x, y, (right - left) * width, (bottom - top) * height, column, row, boxes[..., 0] >= 0)


def heat_of(boxes: Tensor, classes: int, height: int, width: int) -> Tensor:
    """The heat map [B, classes, height, width]: 1 at the place of a centre, a Gaussian of the box's shape around it."""
    places = places_of(boxes, height, width)
    across = torch.arange(width, device=boxes.device, dtype=torch.float32)
    along = torch.arange(height, device=boxes.device, dtype=torch.float32)
    steps_x = (across - places.column[..., None]) / (SPREAD * places.width).clamp_min(NARROWEST)[..., None]
    steps_y = (along - places.row[..., None]) / (SPREAD * places.height).clamp_min(NARROWEST)[..., None]
    gauss_x, gauss_y = (steps_x.square() / -2).exp(), (steps_y.square() / -2).exp()
    heat = boxes.new_zeros(len(boxes), classes, height, width, dtype=torch.float32)
    for place in range(boxes.shape[1]):
        rows = places.real[:, place].nonzero()[:, 0]
        if not len(rows):
            continue
        of_class = boxes[rows, place, 0].long()
        blob = gauss_y[rows, place, :, None] * gauss_x[rows, place, None, :]
        heat[rows, of_class] = torch.maximum(heat[rows, of_class], blob)
    return heat


def focal_losses(logits: Tensor, heat: Tensor, learned: Tensor | None = None) -> Tensor:
    """The penalty-reduced focal loss of each row [B], summed over the places and classes that are `learned`."""
    logits = logits.float()
    right, wrong = F.logsigmoid(logits), F.logsigmoid(-logits)  # log p and log(1 - p)
    centre = heat == 1
    of_centres = (2 * wrong).exp() * right
    of_others = (1 - heat).pow(BETA) * (ALPHA * right).exp() * wrong
    losses = torch.where(centre, of_centres, of_others)
    return -(losses if learned is None else losses * learned).flatten(1).sum(1)


def side_losses(sides: Tensor, boxes: Tensor) -> Tensor:
    """The L1 loss of centre and size of each row [B], summed over boxes, at the 3 x 3 places around each centre."""
    height, width = sides.shape[2:]
    places = places_of(boxes, height, width)
    near = torch.arange(-1, 2, device=boxes.device)
    down, right = near.repeat_interleave(3), near.repeat(3)
    row, column = places.row[..., None] + down, places.column[..., None] + right
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width) & places.real[..., None]
    row, column = row.clamp(0, height - 1), column.clamp(0, width - 1)
    there = (row * width + column).flatten(1)
    predicted = sides.flatten(2).float().gather(2, there[:, None].expand(-1, 4, -1)).view(len(row), 4, *row.shape[1:])
    wanted = torch.stack(
        (
            places.x[..., None] - column - 0.5,
            places.y[..., None] - row - 0.5,
            places.width.clamp_min(LEAST).log()[..., None].expand(row.shape),
            places.height.clamp_min(LEAST).log()[..., None].expand(row.shape),
        ),
        dim=1,
    )
    wrong = (predicted - wanted).abs().sum(1) * inside
    by_box: Tensor = wrong.sum(2) / inside.sum(2).clamp_min(1)
    return by_box.sum(1)


def losses_of(maps: CentreMaps, boxes: Tensor) -> Tensor:
    """The loss of each row [B]: focal, and of centre and size, both by the mean number of objects in a row."""
    classes, height, width = maps.heat.shape[1:]
    heat = heat_of(boxes, classes, height, width)
    objects = (boxes[..., 0] >= 0).sum().clamp_min(1) / len(boxes)
    return (focal_losses(maps.heat, heat, _learned(boxes, classes, height, width)) + side_losses(maps.sides, boxes)) / (
        objects
    )


def _learned(boxes: Tensor, classes: int, height: int, width: int) -> Tensor | None:
    """1 for the places that are learned from, 0 around doubtful boxes; None where there are none."""
    if not bool((boxes[..., 0] <= DOUBTFUL).any()):
        return None
    doubtful = boxes.clone()
    doubtful[..., 0] = torch.where(boxes[..., 0] <= DOUBTFUL, DOUBTFUL - boxes[..., 0], NONE)
    return (heat_of(doubtful, classes, height, width) < NEAR).float()


def resampled(maps: CentreMaps, height: int, width: int) -> CentreMaps:
    """The maps at another size, in whose places the sides are."""
    rows, columns = maps.heat.shape[2:]
    if (rows, columns) == (height, width):
        return maps
    heat = F.interpolate(maps.heat.float(), (height, width), mode="bilinear", align_corners=False)
    x, y, wide, high = F.interpolate(maps.sides.float(), (height, width), mode="nearest-exact").unbind(1)
    across, along = width / columns, height / rows
    sides = (x * across, y * along, wide + math.log(across), high + math.log(along))
    return CentreMaps(heat, torch.stack(sides, dim=1))


def peaks_of(maps: CentreMaps, most: int) -> Tensor:
    """The `most` highest peaks as boxes [B, most, 6]: class, left, top, right, bottom, score, the best first.

    A peak is as high as all of the 3 x 3 places around it; so there is no need to suppress overlapping boxes.
    """
    scores = maps.heat.float().sigmoid()
    classes, height, width = scores.shape[1:]
    peaks = torch.where(F.max_pool2d(scores, 3, stride=1, padding=1) == scores, scores, 0)
    best, at = peaks.flatten(1).topk(min(most, classes * height * width), dim=1)
    code, place = at // (height * width), at % (height * width)
    x, y, wide, high = maps.sides.float().flatten(2).gather(2, place[:, None].expand(-1, 4, -1)).unbind(1)
    x, y = x + place % width + 0.5, y + place // width + 0.5
    # As wide as the map at most: a size that was never trained may be anything.
    wide, high = wide.clamp(-8, 8).exp().clamp_max(width), high.clamp(-8, 8).exp().clamp_max(height)
    edges = ((x - wide / 2) / width, (y - high / 2) / height, (x + wide / 2) / width, (y + high / 2) / height)
    return torch.stack((code.float(), *(edge.clamp(0, 1) for edge in edges), best), dim=2)
