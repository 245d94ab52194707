"""Dependency arcs over a sentence, the wrong ones marked."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from manyways.comparison.report.drawings.base import Drawing, rows_of, texts
from manyways.errors import DataError

if TYPE_CHECKING:
    from markupsafe import Markup

LETTER, SPACE, LEVEL, BASE = 8.2, 18.0, 17.0, 16.0
"""Width of a letter, between words, height of a level of arcs and of the line of words, in pixels."""
MOST_WORDS = 40

Arc = tuple[int, str]


class Tree(Drawing):
    """Payload: `words`, and for each [head, relation] in `truth` and `predicted`; heads count from 1, 0 is the root."""

    kind = "tree"
    legend = (
        "Arcs go from its head to each word, dashed where a prediction is wrong; below such a word is its true head."
    )

    def draw(self, payload: Mapping[str, Any]) -> "Markup":
        from markupsafe import Markup

        words = texts(payload, "words")
        truth, predicted = arcs(payload, "truth", len(words)), arcs(payload, "predicted", len(words))
        left_out = len(words) - MOST_WORDS
        words = words[:MOST_WORDS]
        centres, width = [], SPACE
        for word in words:
            wide = max(len(word), 3) * LETTER
            centres.append(width + wide / 2)
            width += wide + SPACE
        levels = heights(predicted[: len(words)])
        top = (max(levels, default=0) + 1) * LEVEL + 14
        out = [
            _arc(centres, at, head, relation, levels[at], top, right=(head, relation) == truth[at])
            for at, (head, relation) in enumerate(predicted[: len(words)])
            if head <= len(words)
        ]
        for at, word in enumerate(words):
            wrong = truth[at] != predicted[at]
            out.append(
                Markup('<text class="{}" x="{:.0f}" y="{:.0f}">{}</text>').format(
                    "word wrong" if wrong else "word", centres[at], top + BASE, word
                )
            )
            if wrong:
                head, relation = truth[at]
                named = "root" if head == 0 else payload["words"][head - 1]
                out.append(
                    Markup('<text class="truth" x="{:.0f}" y="{:.0f}">{} ← {}</text>').format(
                        centres[at], top + BASE + 14 + 11 * (at % 2), relation, named
                    )
                )
        more = Markup("<p class=note>{} more words</p>").format(left_out) if left_out > 0 else Markup("")
        sentence = " ".join(words)
        opening = '<div class="scroll"><svg class="tree" role="img" aria-label="{}" width="{:.0f}" height="{:.0f}">'
        begun = Markup(opening).format(sentence, width, top + BASE + 34)
        return begun + Markup("").join(out) + Markup("</svg></div>") + more


def arcs(payload: Mapping[str, Any], name: str, count: int) -> list[Arc]:
    """The head and the relation of each word."""
    pairs = [(int(head), str(relation)) for head, relation in rows_of(payload, name, 2)]
    if len(pairs) != count or any(not 0 <= head <= count for head, _ in pairs):
        raise DataError(f"The tree {name!r} of an example must have a head within the sentence for each word.")
    return pairs


def heights(tree: list[Arc]) -> list[int]:
    """The level on which each word's arc is drawn: above all arcs that it spans."""
    spans = [(min(at + 1, head), max(at + 1, head)) for at, (head, _) in enumerate(tree)]
    levels = [0] * len(tree)
    for at in sorted(range(len(tree)), key=lambda each: spans[each][1] - spans[each][0]):
        low, high = spans[at]
        within = [levels[other] for other in range(len(tree)) if other != at and _within(spans[other], (low, high))]
        levels[at] = 1 + max(within, default=0) if tree[at][0] else 0
    return levels


def _within(inner: tuple[int, int], outer: tuple[int, int]) -> bool:
    return inner != outer and inner[0] >= outer[0] and inner[1] <= outer[1]


def _arc(centres: list[float], at: int, head: int, relation: str, level: int, top: float, *, right: bool) -> "Markup":
    from markupsafe import Markup

    kind = "arc" if right else "arc wrong"
    end = centres[at]
    if head == 0:
        path, x, y = f"M{end:.0f} 4 V{top:.0f}", end, 10.0
    else:
        start, y = centres[head - 1], top - level * LEVEL
        side = 6 if start < end else -6
        bend, upper = start + side, y + 6
        path = (
            f"M{bend:.0f} {top:.0f} V{upper:.0f} Q{bend:.0f} {y:.0f} {bend + side:.0f} {y:.0f} H{end - side:.0f} "
            f"Q{end:.0f} {y:.0f} {end:.0f} {upper:.0f} V{top:.0f}"
        )
        x = (start + end) / 2
    label = Markup('<text class="relation" x="{:.0f}" y="{:.0f}">{}</text>').format(x, y - 2, relation)
    return Markup('<path class="{}" d="{}"/>').format(kind, path) + label
