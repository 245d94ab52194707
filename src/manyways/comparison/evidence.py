"""Evidence: the scores of a comparison by entry, seed and test row, as statistics take them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from manyways.comparison.comparison_plan import ComparisonPlan
from manyways.comparison.conclusion import START
from manyways.comparison.contributions import read_contributions
from manyways.comparison.job import Job, Outcome
from manyways.comparison.statistics.components import Floats, ScoreTable
from manyways.comparison.tasks.base import TEST_ROWS
from manyways.data.groups import dependent_groups
from manyways.data.splitting import Split
from manyways.metrics import bounds

Outcomes = Mapping[Job, Outcome]
Key = tuple[str, int | None]
"""A method, as text, and its number of labels."""
FEWEST_UNITS = 5
"""Independent rows, or groups, of which an error can be estimated at all."""


@dataclass(frozen=True)
class Evidence:
    """The outcomes of a comparison, and the folder that their contributions lie in."""

    plan: ComparisonPlan
    outcomes: Outcomes
    folder: Path
    _positions: dict[Split, NDArray[np.int64]] = field(default_factory=dict)

    def scores(self, method: str, labels: int | None) -> dict[int, float]:
        """The score of each seed that has one, over its splits, in which a test row counts as one."""
        return by_seed(self._of((method, labels)))

    def pace(self, method: str, labels: int | None) -> float:
        """The mean number of steps that a training took in a second, also where it was stopped early."""
        outcomes = self._of((method, labels)).values()
        return float(np.mean([outcome.steps / outcome.seconds if outcome.seconds else 0.0 for outcome in outcomes]))

    def table(self, keys: Sequence[Key]) -> ScoreTable:
        """The table of the ways `keys`, all of which have a score.

        It has no rows where one of them has no contributions, and of repeated splits, whose test rows are others each
        time: there a score is that of one split, the mean over seeds.
        """
        jobs = [self._of(key) for key in keys]
        fraction = bounds(self.plan.metric) == (0.0, 1.0)
        if self._repeated:
            numbers = sorted({job.split.number for mine in jobs for job in mine})
            scores = np.array([[_mean(mine, number) for number in numbers] for mine in jobs])
            done = [outcome for mine in jobs for outcome in mine.values()]
            return ScoreTable(scores, fraction=fraction, overlap=_overlap(done) if len(numbers) > 1 else 0.0)
        seeds = self.plan.seeds
        scores = np.array([self._by_seed(key, mine, seeds) for key, mine in zip(keys, jobs, strict=True)])
        rows, groups = self._contributions(keys, jobs, scores)
        return ScoreTable(scores, rows, groups, fraction)

    def sources(self, keys: Sequence[Key]) -> tuple[str, ...]:
        """The words for what the intervals of `keys` are over: "seeds", "test rows"."""
        table = self.table(keys) if keys else None
        over = "splits" if self._repeated else "seeds"
        return (over, self.plan.task.units) if table is not None and table.rows is not None else (over,)

    @property
    def _repeated(self) -> bool:
        return bool(self.plan.splitting.repeats) and self.plan.rule != "own"

    def _of(self, key: Key) -> dict[Job, Outcome]:
        return {
            job: outcome
            for job, outcome in self.outcomes.items()
            if (job.method, job.labels) == key and outcome.score is not None
        }

    def _by_seed(self, key: Key, mine: Outcomes, seeds: Iterable[int]) -> list[float]:
        """A score for each of `seeds`, NaN where it has none; the start has one, which stands for all."""
        scores = by_seed(mine)
        if key[0] == START:
            scores = dict.fromkeys(seeds, next(iter(scores.values())))
        return [scores.get(seed, np.nan) for seed in seeds]

    def _contributions(
        self, keys: Sequence[Key], jobs: Sequence[Outcomes], scores: Floats
    ) -> tuple[Floats | None, NDArray[np.int64] | None]:
        if not all(outcome.contributions for mine in jobs for outcome in mine.values()):
            return None, None
        places: list[list[tuple[NDArray[np.int64], Floats] | None]] = []
        for key, mine in zip(keys, jobs, strict=True):
            by_seed: dict[int, list[tuple[NDArray[np.int64], Floats]]] = {}
            for job in mine:
                values = read_contributions(self.folder / job.key)
                by_seed.setdefault(job.seed, []).append((self._rows_of(job.split, len(values)), values))
            if key[0] == START:
                by_seed = dict.fromkeys(self.plan.seeds, next(iter(by_seed.values())))
            places.append([_joined(by_seed[seed]) if seed in by_seed else None for seed in self.plan.seeds])
        rows = next(each[0] for mine in places for each in mine if each is not None)
        if any(each is not None and not np.array_equal(each[0], rows) for mine in places for each in mine):
            return None, None
        nothing = np.full(len(rows), np.nan)
        table = np.array([[nothing if each is None else each[1] for each in mine] for mine in places])
        table[np.isnan(scores)] = np.nan
        groups = self._groups(rows)
        units = len(rows) if groups is None else int(groups.max(initial=-1)) + 1
        return (table, groups) if units >= FEWEST_UNITS else (None, None)

    def _rows_of(self, split: Split, count: int) -> NDArray[np.int64]:
        """The test rows of `split`, by their places in the table; of episodes, the same in each, their numbers."""
        if self.plan.task.units != TEST_ROWS:
            return np.arange(count)
        if split not in self._positions:
            self._positions[split] = np.asarray(split.of(self.plan.rows).test.rows)
        rows = self._positions[split]
        return rows if len(rows) == count else np.arange(count)

    def _groups(self, rows: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """The group of each test row, numbered from 0; None where none belong together."""
        groups = dependent_groups(self.plan.rows) if self.plan.task.units == TEST_ROWS else None
        if groups is None:
            return None
        of_table = np.zeros(int(self.plan.rows.rows.max(initial=0)) + 1, np.int64)
        of_table[self.plan.rows.rows] = groups
        return np.asarray(np.unique(of_table[rows], return_inverse=True)[1].reshape(-1), np.int64)


def by_seed(outcomes: Outcomes) -> dict[int, float]:
    """The score of each seed over its splits, in which a test row counts as one, in the order of `outcomes`."""
    splits: dict[int, list[tuple[float, int]]] = {}
    for job, outcome in outcomes.items():
        if outcome.score is not None:
            splits.setdefault(job.seed, []).append((outcome.score, max(1, outcome.test_rows)))
    return {
        seed: float(np.average([score for score, _ in pairs], weights=[count for _, count in pairs]))
        for seed, pairs in splits.items()
    }


def _joined(parts: Sequence[tuple[NDArray[np.int64], Floats]]) -> tuple[NDArray[np.int64], Floats]:
    """Rows and contributions of all splits of a seed, in the order of the rows; those that are not scored left out."""
    rows, values = np.concatenate([rows for rows, _ in parts]), np.concatenate([values for _, values in parts])
    order = np.argsort(rows, kind="stable")
    scored = order[~np.isnan(values[order])]
    return rows[scored], values[scored]


def _mean(outcomes: Outcomes, number: int) -> float:
    scores = [outcome.score for job, outcome in outcomes.items() if job.split.number == number]
    return float(np.mean([score for score in scores if score is not None])) if scores else float("nan")


def _overlap(outcomes: Sequence[Outcome]) -> float:
    """Test rows by training rows (Nadeau & Bengio 2003)."""
    return float(np.mean([outcome.test_rows / max(1, outcome.training_rows) for outcome in outcomes]))
