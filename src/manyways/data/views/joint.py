"""Views of pictures together with what lies in them: boxes and masks move as the picture does."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from manyways.data.specs import ImageSpec
from manyways.data.views import geometry
from manyways.data.views.images import ImagePhotometric, as_float
from manyways.data.views.ranges import coin, integers, uniform
from manyways.errors import DataError, ParameterError

if TYPE_CHECKING:
    from manyways.data.views import Views

SHOWN = (0.7, 1.3)
"""Part of the picture's side that a view of boxes shows, at least and at most; beyond it is as grey as the picture."""
ASPECT = 1.2
"""Highest ratio by which a view is stretched one way or the other."""
KEPT = 0.25
"""Part of a box that must be within the view; of less nothing is said."""
CROP = 128
"""Pixels of a side of the squares that views of masks show, where pictures are larger."""
NO_BOX, UNKNOWN_ROW = -1.0, -2.0
"""Codes of boxes that are none, and of all in a row of which nothing is known; see `manyways.data.targets.centres`."""
UPRIGHT, ANY_WAY_UP = "weak", "dihedral"
COLOURED = ("strong", "contrastive")
"""Views that change colours besides."""


def moved_boxes(
    views: "Views", name: str, inputs: Mapping[str, Tensor], labels: Tensor, rng: torch.Generator
) -> tuple[dict[str, Tensor], Tensor]:
    """The view `name` of a batch whose labels are boxes [rows, most, 5]: class, left, top, right, bottom, as parts.

    One resampling for each picture: a crop of 0.7 to 1.3 of its sides, a change of aspect, and mirrored left to right
    with probability 1/2 (weak), or upside down as well (dihedral). Views called strong change the colours besides.
    Boxes are cut at the border; of those with less than a quarter in the view nothing is left.
    """
    picture, spec, seen = _picture(views, name, inputs, rng)
    if name not in (UPRIGHT, ANY_WAY_UP, *COLOURED):
        return seen, labels
    images = as_float(inputs[picture])
    rows, device = len(images), images.device
    part, stretch = (_between(rng, rows, low, high, device) for low, high in (SHOWN, (ASPECT**-0.5, ASPECT**0.5)))
    height, width = spec.height * part / stretch, spec.width * part * stretch
    top = uniform(rng, rows, 0, 1, device) * (spec.height - height)
    left = uniform(rng, rows, 0, 1, device) * (spec.width - width)
    mirrored = coin(rng, rows, 0.5, device)
    turned = coin(rng, rows, 0.5 if name == ANY_WAY_UP else 0.0, device)
    matrices = geometry.crop_matrices(top, left, height, width, (spec.height, spec.width))
    matrices[:, 0, 0] *= 1 - 2 * mirrored.float()
    matrices[:, 1, 1] *= 1 - 2 * turned.float()
    grey = images.mean((2, 3), keepdim=True)
    images = geometry.affine(images - grey, matrices).add_(grey).clamp_(0, 1)
    if name in COLOURED:
        images = ImagePhotometric(spec)(images, rng)
    frame = (left / spec.width, top / spec.height, width / spec.width, height / spec.height)
    return {**seen, picture: images}, _cut(labels, frame, mirrored, turned)


def _cut(labels: Tensor, frame: tuple[Tensor, Tensor, Tensor, Tensor], mirrored: Tensor, turned: Tensor) -> Tensor:
    """Boxes in the view that shows `frame` (left, top, width and height, as parts, [rows] each) of the picture."""
    left, top, width, height = (side[:, None] for side in frame)
    code, *sides = labels.unbind(-1)
    low_x, low_y, high_x, high_y = (
        (side - start) / size for side, start, size in zip(sides, (left, top) * 2, (width, height) * 2, strict=True)
    )
    mirrored, turned = mirrored[:, None], turned[:, None]
    low_x, high_x = torch.where(mirrored, 1 - high_x, low_x), torch.where(mirrored, 1 - low_x, high_x)
    low_y, high_y = torch.where(turned, 1 - high_y, low_y), torch.where(turned, 1 - low_y, high_y)
    whole = (high_x - low_x) * (high_y - low_y)
    cut = [side.clamp(0, 1) for side in (low_x, low_y, high_x, high_y)]
    within = (cut[2] - cut[0]) * (cut[3] - cut[1])
    gone = (within < KEPT * whole) & ((code >= 0) | (code < UNKNOWN_ROW))
    return torch.stack((torch.where(gone, NO_BOX, code), *cut), dim=-1)


def moved_masks(
    views: "Views",
    name: str,
    inputs: Mapping[str, Tensor],
    labels: Tensor,
    rng: torch.Generator,
    *,
    upright: bool = True,
) -> tuple[dict[str, Tensor], Tensor]:
    """The view `name` of a batch whose labels are masks [rows, height, width]; see `moved_together`."""
    seen, moved = moved_together(views, name, inputs, {"mask": labels}, rng, upright=upright)
    return seen, moved["mask"]


def moved_together(
    views: "Views",
    name: str,
    inputs: Mapping[str, Tensor],
    labels: Mapping[str, Tensor],
    rng: torch.Generator,
    *,
    upright: bool = True,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The view `name` of a batch whose labels are masks [rows, height, width] and boxes [rows, most, 5], moved alike.

    A square of 128 pixels at any place, the whole where pictures are smaller, mirrored left to right with probability
    1/2 (weak), or as any of the eight turns and mirrors of it (dihedral; weak, too, unless pictures are `upright`).
    Pixels are never mixed. Views called strong change the colours besides.
    """
    picture, spec, seen = _picture(views, name, inputs, rng)
    if name not in (UPRIGHT, ANY_WAY_UP, *COLOURED):
        return seen, dict(labels)
    images, device = inputs[picture], inputs[picture].device
    rows, height, width = len(images), *images.shape[2:]
    side = (min(CROP, height), min(CROP, width))
    top, left = integers(rng, rows, 0, height - side[0], device), integers(rng, rows, 0, width - side[1], device)
    mirrored = coin(rng, rows, 0.5, device)
    turns = integers(rng, rows, 0, 3, device)
    if upright and name != ANY_WAY_UP:
        turns = torch.zeros_like(turns)
    elif side[0] != side[1]:
        turns = turns // 2 * 2
    moves = list(zip(top.tolist(), left.tolist(), mirrored.tolist(), turns.tolist(), strict=True))
    pixels = torch.stack([_moved(image, side, *move) for image, move in zip(images, moves, strict=True)])
    moved = {key: _with_square(label, (height, width), side, moves) for key, label in labels.items()}
    if name in COLOURED:
        pixels = ImagePhotometric(ImageSpec(spec.channels, *side))(as_float(pixels), rng)
    return {**seen, picture: pixels}, moved


Move = tuple[int, int, bool, int]
"""The move of a square: its top and left, True if it is mirrored left to right, and quarter turns after that."""


def _with_square(label: Tensor, size: tuple[int, int], side: tuple[int, int], moves: Sequence[Move]) -> Tensor:
    """Masks or boxes as they lie in the squares of `side` that were moved, of pictures of `size`."""
    if not _are_boxes(label):
        return torch.stack([_moved(mask, side, *move) for mask, move in zip(label, moves, strict=True)])
    top, left, mirrored, turns = (torch.tensor(each, device=label.device) for each in zip(*moves, strict=True))
    (height, width), (down, across) = size, side
    frame = (left / width, top / height, torch.full_like(left, across) / width, torch.full_like(top, down) / height)
    boxes = _cut(label, frame, mirrored, torch.zeros_like(mirrored))
    for quarter in (1, 2, 3):  # each turns what is left to turn by a quarter, counter-clockwise
        code, low_x, low_y, high_x, high_y = boxes.unbind(-1)
        turned = torch.stack((code, low_y, 1 - high_x, high_y, 1 - low_x), dim=-1)
        boxes = torch.where((turns >= quarter)[:, None, None], turned, boxes)
    return boxes


def _are_boxes(label: Tensor) -> bool:
    return label.is_floating_point()


def in_place(views: "Views", name: str, inputs: Mapping[str, Tensor], rng: torch.Generator) -> dict[str, Tensor]:
    """A view of inputs in which nothing in the picture moves: colours alone, more of them the stronger it is."""
    if name not in (UPRIGHT, ANY_WAY_UP, *COLOURED):
        return _picture(views, name, inputs, rng)[2]
    picture, spec, seen = _picture(views, name, inputs, rng)
    strength = 1.0 if name in COLOURED else 0.25
    return {**seen, picture: ImagePhotometric(spec, strength)(inputs[picture], rng)}


def _moved(image: Tensor, side: tuple[int, int], top: int, left: int, mirrored: bool, turns: int) -> Tensor:
    crop = image[..., top : top + side[0], left : left + side[1]]
    crop = crop.flip(-1) if mirrored else crop
    return torch.rot90(crop, turns, (-2, -1)) if turns else crop


def _picture(
    views: "Views", name: str, inputs: Mapping[str, Tensor], rng: torch.Generator
) -> tuple[str, ImageSpec, dict[str, Tensor]]:
    """The only image among the inputs, its spec, and the view of what is beside it: of all, where it moves nothing."""
    images = {key: spec for key, spec in views.specs.items() if isinstance(spec, ImageSpec)}
    if len(images) != 1:
        raise DataError(f"Boxes and masks lie in one image; the inputs hold {', '.join(images) or 'none'}.")
    picture, spec = next(iter(images.items()))
    if name in (UPRIGHT, ANY_WAY_UP, *COLOURED):
        beside = views.without(picture)
        rest = {key: value for key, value in inputs.items() if key != picture}
        return (
            picture,
            spec,
            {**beside.see(UPRIGHT if name == ANY_WAY_UP else name, rest, rng), picture: inputs[picture]},
        )
    if views.moves(name):
        raise ParameterError(
            f"The view {name!r} may move pixels, and does not say where to, so boxes and masks cannot follow. Take "
            "weak, strong, dihedral or photometric."
        )
    return picture, spec, views.see(name, inputs, rng)


def _between(rng: torch.Generator, rows: int, low: float, high: float, device: torch.device) -> Tensor:
    """Numbers between `low` and `high` [rows], a factor above 1 as probable as the same below."""
    share = uniform(rng, rows, 0, 1, device)
    return low * (high / low) ** share
