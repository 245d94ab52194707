"""The table of all entries: a row each, with its interval as a picture on one scale, and its numbers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from manyways.comparison import wording
from manyways.comparison.report.colours import ARROWS, Look, colours
from manyways.comparison.report.plots import drawn
from manyways.comparison.report.scales import Scale, score_scale
from manyways.comparison.results import Comparison, Conclusion, Entry

STRIP_TICKS = 4
LONG_TITLE = 36


@dataclass(frozen=True)
class Cell:
    """A number of an entry as it is read, small print beside it, and the value that rows are sorted by."""

    text: str
    small: str = ""
    value: float | None = None


@dataclass(frozen=True)
class Mark:
    """A word on an entry, and what it means in full; `kind` gives its colour."""

    word: str
    meaning: str = ""
    kind: Literal["best", "plain", "caution"] = "plain"


@dataclass(frozen=True)
class Row:
    """An entry in the table; `marks` are words on it, places are per cent of the common scale."""

    entry: Entry
    look: Look
    place: float
    interval: tuple[float, float] | None
    seeds: tuple[float, ...]
    cells: tuple[Cell, ...]
    marks: tuple[Mark, ...] = ()
    best: bool = False
    beyond: str = ""
    """The path of an arrow where the score lies beyond the scale: a line for reference far from all entries."""


@dataclass(frozen=True)
class Ways:
    """The table: its scale, the headings of its numbers, its rows best first, and the lines for reference."""

    scale: Scale
    headings: tuple[str, ...]
    rows: tuple[Row, ...]
    lines: tuple[tuple[float, str], ...] = ()

    @property
    def long(self) -> bool:
        """True if names are so long that the picture of the intervals leaves them some of its room."""
        return max(len(row.entry.title) for row in self.rows) > LONG_TITLE

    @property
    def smalls(self) -> tuple[int, ...]:
        """The characters of the longest interval in each column, so that numbers stand below each other."""
        return tuple(max(len(row.cells[at].small) for row in self.rows) for at in range(len(self.headings)))


def ways(comparison: Comparison, conclusion: Conclusion) -> Ways | None:
    """The table of the entries that have a score; None where none has."""
    entries = drawn(comparison)
    if not entries:
        return None
    scale = score_scale(comparison, wording.score_range(comparison), STRIP_TICKS)
    looks = colours(comparison)
    columns = _columns(comparison, [entry for entry, _ in entries])
    rows = tuple(
        Row(
            entry,
            looks[entry.name],
            scale.place(score),
            None
            if entry.low is None or entry.high is None
            else _ordered(scale.place(entry.low), scale.place(entry.high)),
            tuple(scale.place(value) for value in entry.scores if value is not None)
            if len(entry.scores) > 1 and scale.holds(score)
            else (),
            tuple(cell(entry) for _, cell in columns),
            tuple(_marks(entry, conclusion)) if len(entries) > 1 else (),
            entry.name == conclusion.recommended,
            "" if scale.holds(score) else ARROWS["fewer" if scale.place(score) == 0 else "more"],
        )
        for entry, score in entries
    )
    lines = tuple(
        (scale.place(score), entry.title) for entry, score in entries if entry.reference and scale.holds(score)
    )
    return Ways(scale, tuple(heading for heading, _ in columns), rows, lines)


def _ordered(one: float, other: float) -> tuple[float, float]:
    return min(one, other), max(one, other)


def _marks(entry: Entry, conclusion: Conclusion) -> Iterator[Mark]:
    if entry.name == conclusion.recommended:
        yield Mark("recommended", kind="best")
    elif entry.name in conclusion.indistinguishable:
        yield Mark("level", "It cannot be told apart from the best mean.")
    if entry.reference:
        yield Mark("for reference", "It is no candidate, but a line that every way should be above.")
    if entry.bound:
        yield Mark(entry.bound, "It learns under easier conditions than the others.")
    for words in wording.marks(entry):
        yield Mark(words, "It is not quite comparable with the others: see the cautions above.", "caution")
    if entry.caution:
        yield Mark("caution", entry.caution, "caution")


def _columns(comparison: Comparison, entries: list[Entry]) -> list[tuple[str, Callable[[Entry], Cell]]]:
    """The headings and cells of the numbers; those that no entry has are left out."""

    def score(entry: Entry) -> Cell:
        return Cell(wording.score(comparison, entry.score), wording.margin(comparison, entry), entry.score)

    def labels(entry: Entry) -> Cell:
        return Cell(wording.bare_labels(entry), wording.between_labels(entry), entry.labels_equivalent)

    def metric(name: str) -> Callable[[Entry], Cell]:
        return lambda entry: Cell(wording.measured(name, entry.metrics.get(name)), value=entry.metrics.get(name))

    columns: list[tuple[str, Callable[[Entry], Cell]]] = [
        (wording.metric_words(comparison.metric), score),
        *([("labels worth", labels)] if comparison.labelled else []),
        *((wording.metric_words(name), metric(name)) for name in comparison.beside),
        ("time", lambda entry: Cell(wording.seconds(entry.seconds), value=entry.seconds)),
        ("memory", lambda entry: Cell(wording.megabytes(entry.peak_memory_mb), value=entry.peak_memory_mb)),
        ("parameters", lambda entry: Cell(wording.quantity(entry.parameters), value=entry.parameters)),
        ("steps", lambda entry: Cell(wording.count(entry.steps), value=entry.steps)),
    ]
    blank = {"", wording.MISSING}
    return [
        (wording.sentence_start(heading), cell)
        for heading, cell in columns
        if any(not {cell(entry).text, cell(entry).small} <= blank for entry in entries)
    ]
