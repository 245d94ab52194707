"""Places of labels so that they do not cover each other."""

from collections.abc import Sequence
from statistics import fmean

PLACES = ("middle right", "middle left", "top center", "bottom center", "top right", "bottom right")


def spread(positions: Sequence[float], spacing: float, lowest: float, highest: float) -> list[float]:
    """`positions` moved as little as needed to lie `spacing` apart within [lowest, highest], in their order.

    Where they cannot all fit, the spacing shrinks.
    """
    if len(positions) < 2:
        return [min(max(position, lowest), highest) for position in positions]
    spacing = min(spacing, (highest - lowest) / (len(positions) - 1))
    order = sorted(range(len(positions)), key=lambda place: positions[place])
    # Without their spacing, the places must only not decrease: blocks that would are averaged (isotonic fit).
    blocks: list[list[float]] = []
    for rank, place in enumerate(order):
        blocks.append([positions[place] - rank * spacing])
        while len(blocks) > 1 and fmean(blocks[-2]) > fmean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    level = [fmean(block) for block in blocks for _ in block]
    top = highest - (len(order) - 1) * spacing
    placed = dict.fromkeys(order, 0.0)
    for rank, place in enumerate(order):
        placed[place] = min(max(level[rank], lowest), top) + rank * spacing
    return [placed[place] for place in range(len(order))]


Box = tuple[float, float, float, float]


def beside(
    points: Sequence[tuple[float, float]], widths: Sequence[float], area: tuple[float, float]
) -> list[str | None]:
    """For labels beside `points`, a place of each where it covers nothing, "middle left"; None where none is free.

    Points, `widths` of the labels and the plot's `area` (width, height) are in pixels, y upwards.
    """
    height, away = 15.0, 11.0
    taken: list[Box] = [(x - 6, y - 6, x + 6, y + 6) for x, y in points]
    chosen: list[str | None] = []
    for (x, y), width in zip(points, widths, strict=True):
        for place in PLACES:
            vertical, horizontal = place.split()
            left = {"right": x + away, "left": x - away - width, "center": x - width / 2}[horizontal]
            base = {"middle": y - height / 2, "top": y + away - 4, "bottom": y - away + 4 - height}[vertical]
            box = (left, base, left + width, base + height)
            within = left >= 0 and left + width <= area[0] and base >= 0 and base + height <= area[1]
            if within and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                chosen.append(place)
                break
        else:
            chosen.append(None)
    return chosen


def _overlap(one: Box, other: Box) -> bool:
    return min(one[2], other[2]) > max(one[0], other[0]) and min(one[3], other[3]) > max(one[1], other[1])
