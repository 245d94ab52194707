"""Remarks: what makes entries less comparable than their scores look."""

from manyways.comparison import wording
from manyways.comparison.results import Comparison

LONGEST = 100


def remarks(comparison: Comparison) -> list[str]:
    """Sentences on entries of which some trainings failed, and on those that took more than the budget."""
    sentences = []
    for entry in comparison.entries:
        if reasons := list(dict.fromkeys(entry.failed_seeds.values())):
            sentences.append(
                f"{len(entry.failed_seeds)} of {len(entry.scores)} trainings of {entry.title} failed, and its score is "
                f"the mean of the others: {wording.first_line(reasons[0], LONGEST)}."
            )
    if slow := [entry for entry in comparison.entries if entry.over_budget is not None]:
        times = [f"{entry.title} ({wording.number(entry.over_budget, 2)} times as much)" for entry in slow]
        words = wording.listed(times)
        sentences.append(f"More than the budget took {words}: what the others would reach with it was not tried.")
    return sentences
