"""Where labels go so that they do not cover each other."""

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
    order = sorted(range(len(positions)), key=lambda at: positions[at])
    # Without their spacing, the places must only not decrease: blocks that would are averaged (isotonic fit).
    blocks: list[list[float]] = []
    for rank, at in enumerate(order):
        blocks.append([positions[at] - rank * spacing])
        while len(blocks) > 1 and fmean(blocks[-2]) > fmean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    level = [fmean(block) for block in blocks for _ in block]
    top = highest - (len(order) - 1) * spacing
    placed = dict.fromkeys(order, 0.0)
    for rank, at in enumerate(order):
        placed[at] = min(max(level[rank], lowest), top) + rank * spacing
    return [placed[at] for at in range(len(order))]


Box = tuple[float, float, float, float]


def beside(points: Sequence[tuple[float, float]], widths: Sequence[float], area: tuple[float, float]) -> list[str]:
    """For labels beside `points`, the place of each (a plotly textposition) that covers least.

    Points, `widths` of the labels and the plot's `area` (width, height) are in pixels, y upwards.
    """
    height, away = 15.0, 11.0
    taken: list[Box] = [(x - 6, y - 6, x + 6, y + 6) for x, y in points]
    chosen = []
    for (x, y), width in zip(points, widths, strict=True):
        costs = []
        for place in PLACES:
            vertical, horizontal = place.split()
            left = {"right": x + away, "left": x - away - width, "center": x - width / 2}[horizontal]
            base = {"middle": y - height / 2, "top": y + away - 4, "bottom": y - away + 4 - height}[vertical]
            box = (left, base, left + width, base + height)
            outside = max(0.0, -left) + max(0.0, left + width - area[0]) + max(0.0, -base)
            outside += max(0.0, base + height - area[1])
            costs.append((sum(_overlap(box, other) for other in taken) + 50 * outside, box, place))
        _, box, place = min(costs, key=lambda cost: cost[0])
        taken.append(box)
        chosen.append(place)
    return chosen


def _overlap(one: Box, other: Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    along = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, across) * max(0.0, along)
