"""One look per entry, the same in every chart and table: a colour, a marker and a dash, never the same three twice."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product

from manyways.comparison.conclusion import BASELINES
from manyways.comparison.results import Comparison

PALETTE_LIGHT = ("#605cdb", "#ac8e00", "#34a374", "#d567cb", "#821f48", "#f03659", "#473f76", "#5d420d")
PALETTE_DARK = ("#619eff", "#de8862", "#38f0a8", "#ffc1f6", "#9848b1", "#c9275b", "#b3e550", "#327a00")
"""Colours that stay apart for people who do not see red, green or blue."""
GREY = 0
"""The number of the references' colour; those of the palettes count from 1."""
SYMBOLS = {
    "circle": "M5 0A5 5 0 1 1-5 0A5 5 0 1 1 5 0Z",
    "diamond": "M0-6.4L6.4 0L0 6.4L-6.4 0Z",
    "square": "M-4.6-4.6H4.6V4.6H-4.6Z",
    "triangle": "M0-6L6 4.6H-6Z",
    "cross": "M-2-6H2V-2H6V2H2V6H-2V2H-6V-2H-2Z",
    "inverted": "M0 6L6-4.6H-6Z",
    "star": "M0-7L1.8-2.4L6.7-2.2L2.8.9L4.1 5.7L0 3L-4.1 5.7L-2.8.9L-6.7-2.2L-1.8-2.4Z",
}
"""Paths of the markers around (0, 0), in pixels."""
ARROWS = {"more": "M-5-6L6 0L-5 6Z", "fewer": "M5-6L-6 0L5 6Z"}
"""Markers at the end of a plot, beyond which a value lies."""
DASHES = ("", "7 4", "2 3.5", "9 3 2 3", "14 4")


@dataclass(frozen=True)
class Look:
    """The drawing of an entry: `key` finds it in the page, `colour` counts from 1 in the palettes, 0 is grey."""

    key: str
    colour: int
    symbol: str
    dash: str

    @property
    def classes(self) -> str:
        """The classes of its elements: its key and its colour."""
        return f"{self.key} c{self.colour}"

    @property
    def path(self) -> str:
        """The path of its marker."""
        return SYMBOLS[self.symbol]


def colours(comparison: Comparison) -> dict[str, Look]:
    """The look of each entry by name, best first; plain supervision, the start and lines for reference are grey."""
    names = [entry.name for entry in comparison.ranked()]
    names += [entry.name for entry in comparison.entries if not entry.scored]
    keys = {name: f"e{at}" for at, name in enumerate(names)}
    grey = {*BASELINES, *(entry.name for entry in comparison.entries if entry.reference)}
    looks = {name: Look(keys.get(name, name), GREY, "circle", "") for name in grey}
    others = [name for name in names if name not in grey]
    for name, (colour, symbol, dash) in zip(others, islice(_combinations(), len(others)), strict=True):
        looks[name] = Look(keys[name], colour, symbol, dash)
    return looks


def _combinations() -> Iterator[tuple[int, str, str]]:
    """Colours, markers and dashes: all three change from one to the next as long as there are new ones."""
    count = len(PALETTE_LIGHT)
    symbols, dashes = list(SYMBOLS), list(DASHES)
    for turn, at in product(range(len(symbols) * len(dashes)), range(count)):
        shift = turn // len(dashes)
        yield at + 1, symbols[(at + turn + shift) % len(symbols)], dashes[turn % len(dashes)]
