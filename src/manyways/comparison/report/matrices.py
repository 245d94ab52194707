"""The best entry's predictions: the confusion matrix as a table and, for numbers, predicted against true as a plot."""

from dataclasses import dataclass

from manyways.comparison import wording
from manyways.comparison.report.colours import SYMBOLS, colours
from manyways.comparison.report.plots import Mark, Plot, Series, Tip, path
from manyways.comparison.report.scales import linear_scale
from manyways.comparison.results import Comparison, Confusion

MOST_CLASSES = 16
"""Classes in the matrix; of more, those with the most mistakes."""
SHORT_NAME = 4
MOST_PAIRS = 8


@dataclass(frozen=True)
class ConfusionTable:
    """A confusion matrix: classes, counts by true class and prediction, and the share of each row in [0, 1].

    `left_out` counts the classes that are not in it; each row's last number is then the rows that were taken for one
    of them.
    """

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    shares: tuple[tuple[float, ...], ...]
    left_out: int = 0

    @property
    def narrow(self) -> bool:
        """True if the names of the classes are not wider than a column."""
        return not self.left_out and max(map(len, self.classes)) <= SHORT_NAME


def confusion_table(comparison: Comparison) -> ConfusionTable | None:
    """The confusion matrix of the best entry; of many classes, those with the most mistakes."""
    if comparison.best is None or comparison.best.confusion is None:
        return None
    confusion = comparison.best.confusion
    size = len(confusion.classes)
    chosen = list(range(size)) if size <= MOST_CLASSES else _most_mistaken(confusion)
    counts = []
    for truth in chosen:
        row = confusion.counts[truth]
        kept = [row[guess] for guess in chosen]
        counts.append((*kept, sum(row) - sum(kept)) if len(chosen) < size else tuple(kept))
    totals = [max(sum(confusion.counts[truth]), 1) for truth in chosen]
    shares = tuple(tuple(round(n / total, 3) for n in row) for row, total in zip(counts, totals, strict=True))
    return ConfusionTable(tuple(confusion.classes[at] for at in chosen), tuple(counts), shares, size - len(chosen))


def _most_mistaken(confusion: Confusion) -> list[int]:
    """The classes with the most mistakes, as truth or as prediction, in the order of the classes."""
    size = range(len(confusion.classes))
    counts = confusion.counts

    def mistakes(of: int) -> int:
        return sum(counts[of][other] + counts[other][of] for other in size if other != of)

    return sorted(sorted(size, key=lambda at: (-mistakes(at), at))[:MOST_CLASSES])


def confused_pairs(comparison: Comparison, most: int = MOST_PAIRS) -> list[tuple[str, str, int]]:
    """The (true class, predicted class, test rows) that are confused most often, at most `most` of them."""
    if comparison.best is None or comparison.best.confusion is None:
        return []
    names, counts = comparison.best.confusion.classes, comparison.best.confusion.counts
    pairs = [
        (names[truth], names[guess], count)
        for truth, row in enumerate(counts)
        for guess, count in enumerate(row)
        if count and truth != guess
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:most]


def scatter(comparison: Comparison) -> Plot | None:
    """Predicted against true values; on the line, a prediction is right."""
    best = comparison.best
    if best is None or not best.scatter:
        return None
    looks = colours(comparison)
    look = looks[best.name]
    values = [value for pair in best.scatter for value in pair]
    low, high = min(values), max(values)
    room = 0.04 * (high - low) or 1.0
    label = comparison.data.label
    x = linear_scale((low - room, high + room), f"true {label}")
    y = linear_scale((low - room, high + room), f"predicted {label}")
    places = [(x.place(truth), round(100 - y.place(predicted), 2)) for truth, predicted in best.scatter]
    tips = (
        Tip(*place, f"true {wording.field(truth)}, predicted {wording.field(predicted)}")
        for place, (truth, predicted) in zip(places, best.scatter, strict=True)
    )
    marks = tuple(Mark(*place, SYMBOLS["circle"], 0.7, faint=True) for place in places)
    title = next((entry.title for entry in comparison.entries if entry.name == best.name), best.name)
    points = Series(look, title, lines=(path([(0, 100), (100, 0)]),), marks=marks, tips=tuple(tips))
    words = f"Predicted against true {label} of {len(places)} test rows; on the line a prediction is right."
    return Plot("scatter", words, x, y, (points,), square=True)
