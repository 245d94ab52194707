"""One colour per entry, the same in every chart and table, legible on light and on dark ground."""

from dataclasses import dataclass

from manyways.comparison.conclusion import BASELINES
from manyways.comparison.results import Comparison

GREY = "#868d99"
PALETTE = (
    "#3f74e0",
    "#e07b39",
    "#2c9f7a",
    "#c4508f",
    "#8a66d9",
    "#b58a1b",
    "#1f9bb8",
    "#d24d57",
    "#74923a",
    "#8f6f63",
)
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


@dataclass(frozen=True)
class Look:
    """The drawing of an entry; entries beyond the palette repeat its colours with other symbols and dashes."""

    colour: str
    symbol: str
    dash: str

    def faint(self, opacity: float) -> str:
        """The colour as rgba with `opacity` in [0, 1]."""
        red, green, blue = (int(self.colour[at : at + 2], 16) for at in (1, 3, 5))
        return f"rgba({red},{green},{blue},{opacity})"


def colours(comparison: Comparison) -> dict[str, Look]:
    """The look of each entry by name, best first; the references, plain supervision and the start, are grey."""
    others = [entry.name for entry in comparison.ranked()]
    others += [entry.name for entry in comparison.entries if not entry.scored]
    looks = dict.fromkeys(BASELINES, Look(GREY, "circle", "solid"))
    for at, name in enumerate(name for name in others if name not in BASELINES):
        turn, step = divmod(at, len(PALETTE))
        looks[name] = Look(PALETTE[step], SYMBOLS[turn % len(SYMBOLS)], DASHES[turn % len(DASHES)])
    return looks
