"""Exhibits of the entries side by side: those of one title stand together, the best entry's first."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from manyways.comparison.exhibits import Exhibit, Item, Matrix
from manyways.comparison.report.scatters import new_items
from manyways.comparison.results import Comparison, Entry, Mistake

MOST_BYTES = 400_000
"""Of what is shown of mistakes, and of all exhibits; the first that fit are shown."""
MOST_TO_READ = 12
"""Mistakes that are shown, where they are no pictures, of which an eye takes in more."""
OPEN = 4
"""Entries whose exhibit is seen at once; those of the others open at a click."""


@dataclass(frozen=True)
class Shelf:
    """The exhibits of one title, each with its entry: those that are seen at once, and the rest."""

    title: str
    note: str
    open: list[tuple[Entry, Exhibit]] = field(default_factory=list)
    folded: list[tuple[Entry, Exhibit]] = field(default_factory=list)
    left_out: list[Entry] = field(default_factory=list)


def shelves(comparison: Comparison, most: int = MOST_BYTES) -> list[Shelf]:
    """All exhibits of the entries that have a score, by title in the order in which titles first come.

    The best entries come first; an exhibit with which they would take more than `most` bytes is left out.
    """
    by_title: dict[str, Shelf] = {}
    taken, known = 0, set[str]()
    for entry in comparison.ranked():
        for exhibit in entry.exhibits:
            shelf = by_title.setdefault(exhibit.title, Shelf(exhibit.title, exhibit.note))
            items = [*_items(exhibit), *new_items(exhibit, also := set(known))]
            size = sum(len(str(item.payload)) for item in items)
            if taken + size > most:
                shelf.left_out.append(entry)
                continue
            taken, known = taken + size, also
            (shelf.open if len(shelf.open) < OPEN else shelf.folded).append((entry, exhibit))
    return list(by_title.values())


def _items(exhibit: Exhibit) -> Iterator[Item]:
    yield from exhibit.items
    for hits in exhibit.hits:
        yield hits.asked
        yield from hits.found


def shares(matrix: Matrix) -> Callable[[float | None], float]:
    """For a value of `matrix` how strong the colour of its cell is, in [0, 1]: fractions as they are."""
    values = [value for row in matrix.values for value in row if value is not None]
    low, high = (0.0, 1.0) if matrix.percent else (min(values, default=0.0), max(values, default=0.0))

    def share(value: float | None) -> float:
        if value is None or high <= low:
            return 0.0
        return round(min(max((value - low) / (high - low), 0.0), 1.0), 3)

    return share


def fitting(mistakes: Sequence[Mistake], most: int = MOST_BYTES) -> tuple[Mistake, ...]:
    """The first of `mistakes` that together take at most `most` bytes; of rows to be read, a dozen."""
    mistakes = [each for at, each in enumerate(mistakes) if at < MOST_TO_READ or each.kind == "image"]
    sizes = accumulate(len(str(each.payload)) for each in mistakes)
    return tuple(each for each, size in zip(mistakes, sizes, strict=True) if size <= most)
