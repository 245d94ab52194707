"""Uncertainty: the intervals of a comparison over seeds and test rows, and how its entries differ from the best."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from manyways.comparison.conclusion import BASELINE
from manyways.comparison.evidence import Evidence, Key
from manyways.comparison.label_efficiency import LabelCurve, Worth, starved
from manyways.comparison.results import Comparison, Entry, LabelPoint, within
from manyways.comparison.statistics.components import Floats, components
from manyways.comparison.statistics.draws import joint_draws
from manyways.comparison.statistics.intervals import mean_interval
from manyways.comparison.statistics.simultaneous import gaps_to_best

Scored = TypeVar("Scored", Entry, LabelPoint)


def with_uncertainty(comparison: Comparison, evidence: Evidence) -> Comparison:
    """`comparison` with the intervals of its scores, the distances from its best, and what entries are worth."""
    points = tuple(_with_interval(comparison, point, evidence) for point in comparison.label_curve)
    ranked = comparison.contestants()
    keys = [_key(comparison, entry) for entry in ranked]
    entries = {entry.name: _with_interval(comparison, entry, evidence) for entry in comparison.ranked()}
    if ranked:
        gaps = gaps_to_best(evidence.table(keys), 0, comparison.higher_is_better, comparison.confidence)
        for entry, gap in zip(ranked, gaps, strict=True):
            entries[entry.name] = replace(
                entries[entry.name], behind=gap.mean, behind_error=gap.error, behind_half=gap.half
            )
    comparison = replace(
        comparison,
        entries=tuple(entries.get(entry.name, entry) for entry in comparison.entries),
        label_curve=points,
        interval_over=evidence.sources(keys),
    )
    return _with_worth(comparison, evidence) if evidence.plan.task.labelled else comparison


def _key(comparison: Comparison, entry: Entry) -> Key:
    return entry.name, comparison.labels


def _with_interval(comparison: Comparison, scored: Scored, evidence: Evidence) -> Scored:
    key = (BASELINE, scored.labels) if isinstance(scored, LabelPoint) else _key(comparison, scored)
    low, high = within(comparison.metric, *mean_interval(evidence.table([key]), comparison.confidence))
    return replace(scored, low=low, high=high)


def _with_worth(comparison: Comparison, evidence: Evidence) -> Comparison:
    """`comparison` with the number of labels that each entry is worth."""
    ranked = [entry for entry in comparison.ranked() if entry.name != BASELINE and not entry.reference]
    points = [point for point in comparison.label_curve if point.score is not None]
    keys: list[Key] = [_key(comparison, entry) for entry in ranked]
    keys += [(BASELINE, point.labels) for point in points]
    sign = 1.0 if comparison.higher_is_better else -1.0
    errors = _errors(evidence, keys) if len(points) > 1 else None
    curve = LabelCurve(
        [point.labels for point in points],
        sign * np.array([point.score for point in points], float),
        None if errors is None else sign * errors[:, len(ranked) :],
        comparison.confidence,
        _starved(evidence, [point.labels for point in points]),
    )
    used = comparison.data.labels_shown
    worth = {BASELINE: Worth(float(used), float(used), float(used))}
    for at, entry in enumerate(ranked):
        worth[entry.name] = curve.worth(
            sign * (entry.score or 0.0), used, None if errors is None else sign * errors[:, at]
        )
    return replace(
        comparison,
        entries=tuple(
            _worth(entry, worth[entry.name]) if entry.name in worth and entry.scored else entry
            for entry in comparison.entries
        ),
    )


def _starved(evidence: Evidence, counts: Sequence[int]) -> str:
    """The reason why trainings of the curve got too few steps within a budget in seconds; empty where they did not."""
    if evidence.plan.budget.unit != "seconds":
        return ""
    return starved(counts, [evidence.pace(BASELINE, count) for count in counts])


def _worth(entry: Entry, worth: Worth) -> Entry:
    return replace(
        entry, labels_equivalent=worth.labels, labels_low=worth.low, labels_high=worth.high, labels_note=worth.note
    )


def _errors(evidence: Evidence, keys: Sequence[Key]) -> Floats | None:
    """Draws of the errors of the ways `keys` together, float [draws, ways]; None where nothing is known of them."""
    parts = components(evidence.table(keys))
    if parts.units is None and parts.count < 2:
        return None
    return np.concatenate([draw.wide for draw in joint_draws(parts)])
