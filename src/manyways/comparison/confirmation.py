"""Confirmation: rows kept apart from a comparison, on which only the entry that it chose is scored."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from manyways.comparison.comparison_plan import ComparisonPlan
from manyways.comparison.conclusion import START
from manyways.comparison.evidence import FEWEST_UNITS
from manyways.comparison.results import Comparison, Confirmed, within
from manyways.comparison.statistics.components import Floats, ScoreTable
from manyways.comparison.statistics.intervals import mean_interval
from manyways.comparison.tasks.base import TEST_ROWS
from manyways.data.data import Data
from manyways.data.groups import dependent_groups
from manyways.metrics import bounds
from manyways.models.evaluation import Evaluation
from manyways.models.model import Model
from manyways.models.saving import load_model


def confirm(plan: ComparisonPlan, comparison: Comparison, folder: Path) -> Confirmed | None:
    """The score of the recommended entry on the rows that `plan` keeps apart.

    The models are those of its seeds, which lie in `folder`. None where nothing was recommended, or its score cannot
    be computed on these rows alone.
    """
    chosen = comparison.conclusion.recommended if comparison.conclusion else None
    if plan.apart is None or chosen is None:
        return None
    evaluations = [plan.task.evaluate(model, plan.apart, plan.metric) for model in _models(plan, chosen, folder)]
    if not evaluations or any(plan.metric not in each.scores for each in evaluations):
        return None
    scores = np.array([[each.scores[plan.metric] for each in evaluations]])
    table = _table(plan, plan.apart, scores, evaluations)
    low, high = within(plan.metric, *mean_interval(table, comparison.confidence))
    return Confirmed(chosen, len(plan.apart), float(scores.mean()), low, high, tuple(scores[0].tolist()))


def _models(plan: ComparisonPlan, chosen: str, folder: Path) -> list[Model]:
    """The models of the chosen entry that were kept: one of each seed, or the start as it is."""
    if chosen == START and plan.start is not None:
        return [plan.start.model]
    places = [folder / job.key / "model" for job in plan.jobs() if job.method == chosen and job.keep_model]
    return [load_model(place) for place in places if place.exists()]


def _table(plan: ComparisonPlan, apart: Data, scores: Floats, evaluations: Sequence[Evaluation]) -> ScoreTable:
    fraction = bounds(plan.metric) == (0.0, 1.0)
    rows = [each.rows for each in evaluations if each.rows is not None]
    if len(rows) < len(evaluations):
        return ScoreTable(scores, fraction=fraction)
    scored = ~np.isnan(rows[0])
    groups = dependent_groups(apart) if plan.task.units == TEST_ROWS else None
    if groups is not None:
        groups = np.unique(groups[scored], return_inverse=True)[1].reshape(-1)
    units = int(scored.sum()) if groups is None else int(groups.max(initial=-1)) + 1
    if units < FEWEST_UNITS:
        return ScoreTable(scores, fraction=fraction)
    return ScoreTable(scores, np.array([[each[scored] for each in rows]]), groups, fraction)
