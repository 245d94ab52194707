"""The legend of the plots: which entries are seen at once."""

from manyways.comparison.conclusion import BASELINES
from manyways.comparison.report.plots import drawn
from manyways.comparison.results import Comparison, Entry

SHOWN_FIRST = 5
"""Entries whose lines are seen at once, beside the references; the legend shows the others."""


def legend(comparison: Comparison) -> list[tuple[Entry, bool]]:
    """The entries that plots have lines of, and True for those that are seen at once."""
    entries = [entry for entry, _ in drawn(comparison) if not entry.reference]
    first = [entry.name for entry in entries if entry.name not in BASELINES][:SHOWN_FIRST]
    return [(entry, entry.name in BASELINES or entry.name in first) for entry in entries]
