"""Boxes around objects in pictures, in the one spelling that columns hold: compact JSON of a list of boxes."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMS = '["cat", left, top, right, bottom] or {"label": "cat", "box": [left, top, right, bottom]}'
COCO_BOX = "bbox"
"""The key of a box as COCO has it: left, top, width, height."""
NAMES = ("label", "category", "name", "class")
"""Keys of an object's class."""
OUTSIDE = 2.0
"""Pixels by which a box may reach over the border: rounding, or a border drawn around it. It is cut there."""


@dataclass(frozen=True)
class Box:
    """An object of the class `label`: its corners in pixels of the picture as it was read, from its upper left one."""

    label: str
    left: float
    top: float
    right: float
    bottom: float

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom."""
        return self.left, self.top, self.right, self.bottom

    def cut(self, height: float, width: float) -> "Box":
        """The part of the box within a picture of that size.

        Raises:
            ValueError: It lies outside, or reaches further over the border than `OUTSIDE`.
        """
        over = max(-self.left, -self.top, self.right - width, self.bottom - height)
        if over > OUTSIDE or self.left >= width or self.top >= height or self.right <= 0 or self.bottom <= 0:
            raise ValueError(
                f"the box {self} reaches {over:g} pixels over the border of its picture of {width:g}x{height:g} pixels"
            )
        edges = max(self.left, 0.0), max(self.top, 0.0), min(self.right, width), min(self.bottom, height)
        return Box(self.label, *edges)

    def __str__(self) -> str:
        return f"({', '.join(f'{side:g}' for side in self.corners)}) of {self.label}"


def spelled(boxes: Iterable[Box]) -> str:
    """The boxes as a column holds them."""
    rows = [[box.label, *map(_short, box.corners)] for box in boxes]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def boxes_in(cell: str) -> list[Box]:
    """The boxes in a cell of a column, as `spelled` wrote them."""
    return [Box(*row) for row in json.loads(cell)]


def boxes_of(value: Any) -> list[Box]:
    """Boxes of a list, a mapping of lists, or JSON of either: see `FORMS`.

    Boxes of COCO's form, {"category": …, "bbox": [left, top, width, height]}, are read, too, and what lies beside them,
    such as a score, is left out.

    Raises:
        ValueError: It is something else, or a box has no area. The message says what.
    """
    if isinstance(value, str):
        value = json.loads(value)
    if isinstance(value, Mapping):
        value = _of_lists(value)
    if not isinstance(value, list | tuple | np.ndarray):
        raise ValueError(f"{_brief(value)} is no list of boxes such as {FORMS}")
    return [_box(each) for each in value]


def misfits(cells: Sequence[Any], sizes: NDArray[np.int32]) -> dict[int, str]:
    """Reasons why rows cannot be used: their boxes are none, or lie outside of their picture.

    Args:
        cells: Boxes of each row in any form, None where nothing is known.
        sizes: Height and width of each picture, [rows, 2].
    """
    bad: dict[int, str] = {}
    for row, (cell, (height, width)) in enumerate(zip(cells, sizes.tolist(), strict=True)):
        try:
            for each in boxes_of(cell) if cell is not None and cell != "" else ():
                each.cut(height, width)
        except ValueError as error:
            bad[row] = str(error).rstrip(".")
    return bad


def box(label: Any, left: Any, top: Any, right: Any, bottom: Any) -> Box:
    """A box of that class and those corners.

    Raises:
        ValueError: A corner is no number, or it has no area.
    """
    try:
        corners = [float(side) for side in (left, top, right, bottom)]
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"the corners of a {label} are no numbers: {(left, top, right, bottom)}") from None
    new = Box(str(label), *corners)
    if not all(map(isfinite, corners)):
        raise ValueError(f"the box {new} is not finite")
    if not (new.right > new.left and new.bottom > new.top):
        raise ValueError(f"the box {new} has no area")
    return new


def _box(value: Any) -> Box:
    if isinstance(value, Box):
        return box(value.label, *value.corners)
    if isinstance(value, Mapping):
        label = next((value[name] for name in NAMES if name in value), None)
        corners = value.get("box")
        if corners is None and COCO_BOX in value:
            corners = corners_of(value[COCO_BOX])
        value = [label, *corners] if label is not None and isinstance(corners, list | tuple | np.ndarray) else value
    if not isinstance(value, list | tuple | np.ndarray) or len(value) != 5 or isinstance(value[0], list | dict):
        raise ValueError(f"{_brief(value)} is no box such as {FORMS}")
    return box(*value)


def corners_of(sides: Any) -> list[Any]:
    """The corners of a box as COCO has it: left, top, width, height.

    Raises:
        ValueError: These are not four numbers.
    """
    try:
        left, top, width, height = map(float, sides)
    except (TypeError, ValueError):
        raise ValueError(f"{_brief(sides)} is no box of four numbers: left, top, width, height") from None
    return [left, top, left + width, top + height]


def _of_lists(value: Mapping[str, Any]) -> Any:
    """Objects as lists side by side, {"bbox": […], "category": […]}, one by one; a single box as a list of it."""
    keys = [key for key, held in value.items() if isinstance(held, list | tuple | np.ndarray)]
    label = next((name for name in NAMES if name in keys), None)
    corners = next((name for name in ("box", COCO_BOX) if name in keys), None)
    if label is None or corners is None:
        return [value] if "box" in value or COCO_BOX in value else value
    if len(value[label]) != len(value[corners]):
        raise ValueError(f"{len(value[corners])} boxes have {len(value[label])} classes")
    return [{label: one, corners: sides} for one, sides in zip(value[label], value[corners], strict=True)]


def _short(number: float) -> float | int:
    rounded = round(number, 3)
    return int(rounded) if rounded == int(rounded) else rounded


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
