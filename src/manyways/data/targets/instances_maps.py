"""Objects that touch, as maps: what lies inside an object, and the border between two; and objects of such maps."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

UNKNOWN = -1
"""The number of a pixel of which nothing is known."""
REACH = 2
"""Pixels from which a border reaches into the objects on both of its sides."""
BORDER_WEIGHT = 5.0
"""Weight of pixels on a border in its loss, which are few."""
CORE_INSIDE, CORE_BORDER = 0.5, 0.4
"""Probabilities between which the core of an object lies: at least of the inside, and less of a border."""
SMALLEST = 8
"""Pixels of the smallest core: less is no object of its own."""
EIGHT = np.ones((3, 3), bool)
"""Neighbours of a pixel: all around it."""


def inside_and_border(numbers: Tensor) -> Tensor:
    """The maps of numbered objects [rows, height, width], float32 [rows, 2, height, width].

    The first is 1 inside an object, the second where two different objects lie within `REACH` pixels.
    """
    ids = numbers.float()[:, None]
    inside = ids > 0
    side = 2 * REACH + 1
    highest = F.max_pool2d(ids.clamp_min(0), side, stride=1, padding=REACH)
    lowest = -F.max_pool2d(torch.where(inside, -ids, -torch.inf), side, stride=1, padding=REACH)
    border = (highest > 0) & (highest != lowest) & torch.isfinite(lowest)
    return torch.cat([inside, border], dim=1).float()


def losses_of(logits: Tensor, numbers: Tensor) -> Tensor:
    """The loss of each row: cross-entropy and Dice of the inside, and weighted cross-entropy of the border."""
    logits = logits[..., : numbers.shape[1], : numbers.shape[2]].float()
    wanted = inside_and_border(numbers)
    known = (numbers != UNKNOWN).float()
    inside, border = logits.unbind(1)
    wrong = F.binary_cross_entropy_with_logits(inside, wanted[:, 0], reduction="none")
    weight = 1 + (BORDER_WEIGHT - 1) * wanted[:, 1]
    between = F.binary_cross_entropy_with_logits(border, wanted[:, 1], weight=weight, reduction="none")
    entropies = ((wrong + between) * known).sum((1, 2)) / known.sum((1, 2)).clamp_min(1)
    return entropies + dice_losses(inside.sigmoid() * known, wanted[:, 0] * known)


def dice_losses(probabilities: Tensor, wanted: Tensor) -> Tensor:
    """1 less the Dice coefficient of each row of probabilities and masks [rows, height, width] (Milletari et al. 2016).

    One is added above and below, so that a row without any object has a loss, too.
    """
    shared = (probabilities * wanted).sum((1, 2))
    return 1 - (2 * shared + 1) / (probabilities.sum((1, 2)) + wanted.sum((1, 2)) + 1)


def objects_of(inside: NDArray[Any], border: NDArray[Any]) -> NDArray[np.int32]:
    """Numbered objects [height, width] of the probabilities of the inside and of a border.

    What is connected inside and on no border is a core; cores grow back over what is inside, each pixel to the nearest
    core of its own region. A region without a core is one object.
    """
    from scipy import ndimage

    within = inside > CORE_INSIDE
    regions, _ = ndimage.label(within, EIGHT)
    cores, count = ndimage.label(within & (border < CORE_BORDER))
    small = np.bincount(cores.ravel(), minlength=count + 1) < SMALLEST
    cores[small[cores]] = 0
    with_core = np.unique(regions[cores > 0])
    without = within & ~np.isin(regions, with_core)
    cores = np.where(without, regions + count, cores)
    if not cores.any():
        return np.zeros(inside.shape, np.int32)
    rows, columns = ndimage.distance_transform_edt(cores == 0, return_distances=False, return_indices=True)
    grown = np.where(within & (regions[rows, columns] == regions), cores[rows, columns], 0)
    lone = within & (grown == 0)  # the nearest core is that of another region
    grown = np.where(lone, _of_own_region(cores, regions)[regions], grown)
    _, numbers = np.unique(np.append(grown.ravel(), 0), return_inverse=True)
    return np.asarray(numbers[:-1].reshape(inside.shape), np.int32)


def _of_own_region(cores: NDArray[Any], regions: NDArray[Any]) -> NDArray[Any]:
    """A core of each region, by its number."""
    out = np.zeros(int(regions.max()) + 1, cores.dtype)
    covered = cores > 0
    out[regions[covered]] = cores[covered]
    return out


def pairs_of(predicted: NDArray[Any], truth: NDArray[Any]) -> tuple[int, int, int]:
    """Objects that overlap by more than half (intersection over union), objects predicted, and objects that are there.

    Two objects can overlap an object by more than half only if they overlap each other, which none do: so there is one
    way to match them.
    """
    predicted_ids, predicted_at = np.unique(predicted, return_inverse=True)
    truth_ids, truth_at = np.unique(truth, return_inverse=True)
    shared = np.zeros((len(predicted_ids), len(truth_ids)), np.int64)
    np.add.at(shared, (predicted_at.ravel(), truth_at.ravel()), 1)
    union = shared.sum(axis=1, keepdims=True) + shared.sum(axis=0, keepdims=True) - shared
    overlaps = (shared / np.maximum(union, 1))[predicted_ids > 0][:, truth_ids > 0]
    return int((overlaps > 0.5).sum()), int((predicted_ids > 0).sum()), int((truth_ids > 0).sum())
