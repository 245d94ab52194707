"""A family as a picture: SVG, the oldest models to the left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap

from manyways.lineage.store.family_tree import Member, short_id

WIDTH, LINE, GAP, ACROSS = 236, 16, 22, 74
"""Pixels: of a box, of a line of text, between two boxes of a column, and between columns."""
LETTERS, TITLE_LINES = 29, 3
COLOURS = {"self": "#0b6e4f", "kept": "#2f4b7c", "stranger": "#888888"}


@dataclass
class _Box:
    member: Member
    kind: str
    column: int
    lines: list[str]
    x: float = 0.0
    y: float = 0.0

    @property
    def height(self) -> float:
        return LINE * (len(self.lines) + 1) + 12


def family_svg(before: Sequence[Member], after: Sequence[Member] = ()) -> str:
    """The picture of the ancestors of models (`before`) and of their descendants (`after`).

    The roots of both are the models that it is of; the same model is drawn once.
    """
    boxes: dict[str, _Box] = {}
    links: dict[tuple[str, str], str] = {}
    for step, roots in ((-1, before), (1, after)):
        for column, root in enumerate(roots):
            _add(root, "self", 0, step, boxes, links, None, str(column))
    _straighten(boxes, links)
    columns: dict[int, list[_Box]] = {}
    for box in boxes.values():
        columns.setdefault(box.column, []).append(box)
    first = min(columns)
    heights = {column: sum(box.height + GAP for box in stack) - GAP for column, stack in columns.items()}
    tallest = max(heights.values())
    for column, stack in columns.items():
        y = 12 + (tallest - heights[column]) / 2
        for box in stack:
            box.x, box.y = 12 + (column - first) * (WIDTH + ACROSS), y
            y += box.height + GAP
    width = 24 + WIDTH + (max(columns) - first) * (WIDTH + ACROSS)
    far = [(boxes[old], boxes[new], role) for (old, new), role in links.items() if _is_far(boxes[old], boxes[new])]
    near = [(boxes[old], boxes[new], role) for (old, new), role in links.items() if not _is_far(boxes[old], boxes[new])]
    lines = [_line(*link) for link in near] + [
        _line_below(*link, tallest + 20 + 20 * column) for column, link in enumerate(far)
    ]
    height = tallest + 24 + 20 * len(far)
    drawn = [*lines, *map(_box, boxes.values())]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" font-family="system-ui, sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(drawn)}</svg>\n'
    )


def _add(
    member: Member, kind: str, column: int, step: int, boxes: dict[str, _Box], links: dict[tuple[str, str], str],
    below: str | None, place: str,
) -> None:  # fmt: skip
    key = member.id or place
    if key not in boxes:
        lines = [*wrap(member.title, LETTERS)[:TITLE_LINES], short_id(member), *wrap(member.summary, LETTERS + 7)]
        boxes[key] = _Box(member, kind if member.id or kind == "self" else "stranger", column, lines)
    if below is not None:
        links.setdefault((key, below) if step < 0 else (below, key), member.role)
    for at, each in enumerate(member.relatives):
        _add(each, "kept", column + step, step, boxes, links, key, f"{place}.{step}.{at}")


def _straighten(boxes: dict[str, _Box], links: Mapping[tuple[str, str], str]) -> None:
    """Put every model to the right of all that it was made from."""
    for _ in boxes:
        moved = False
        for old, new in links:
            if boxes[new].column <= boxes[old].column:
                boxes[old].column, moved = boxes[new].column - 1, True
        if not moved:
            return


def _is_far(old: _Box, new: _Box) -> bool:
    """True if other columns lie between two boxes, so that a straight line would run through what stands there."""
    return new.column - old.column > 1


def _line_below(old: _Box, new: _Box, role: str, y: float) -> str:
    """A line that runs below everything at the height `y`."""
    x, to_x = old.x + WIDTH - 24, new.x + 24 + (y % 60)
    path = (
        f"M{x:.1f} {old.y + old.height:.1f} V{y - 8:.1f} Q{x:.1f} {y:.1f} {x + 8:.1f} {y:.1f} H{to_x - 8:.1f} "
        f"Q{to_x:.1f} {y:.1f} {to_x:.1f} {y - 8:.1f} V{new.y + new.height:.1f}"
    )
    label = f'<text x="{x + 14:.1f}" y="{y - 4:.1f}" fill="#666666" font-size="10">{escape(role[:40])}</text>'
    return f'<path d="{path}" fill="none" stroke="#999999" stroke-width="1.4"/>{label if role else ""}'


def _line(old: _Box, new: _Box, role: str) -> str:
    x, y, to_x, to_y = old.x + WIDTH, old.y + old.height / 2, new.x, new.y + new.height / 2
    middle = (x + to_x) / 2
    path = f"M{x:.1f} {y:.1f} C{middle:.1f} {y:.1f} {middle:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"
    label = (
        f'<text x="{to_x - 6:.1f}" y="{to_y - 5:.1f}" text-anchor="end" fill="#666666" font-size="10">'
        f"{escape(role[:14])}</text>"
    )
    return f'<path d="{path}" fill="none" stroke="#999999" stroke-width="1.4"/>{label if role else ""}'


def _box(box: _Box) -> str:
    colour = COLOURS[box.kind]
    dashed = ' stroke-dasharray="5 4"' if box.kind == "stranger" else ""
    titles = len(wrap(box.member.title, LETTERS)[:TITLE_LINES])
    texts = [
        f'<text x="{box.x + 10:.1f}" y="{box.y + 20 + LINE * at:.1f}" '
        + (f'font-weight="600" fill="{colour}">' if at < titles else 'fill="#444444" font-size="11">')
        + f"{escape(line)}</text>"
        for at, line in enumerate(box.lines)
    ]
    weight = 2.4 if box.kind == "self" else 1.2
    return (
        f'<g><title>{escape(box.member.title)}</title><rect x="{box.x:.1f}" y="{box.y:.1f}" width="{WIDTH}" '
        f'height="{box.height:.1f}" rx="7" fill="#fafafa" stroke="{colour}" stroke-width="{weight}"{dashed}/>'
        f"{''.join(texts)}</g>"
    )
