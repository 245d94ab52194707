"""Comparisons over groups, folds and repeated splits."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import manyways as mw
from manyways.comparison.comparison_plan import make_plan
from manyways.comparison.job import Job
from manyways.data.data import Data
from manyways.data.splitting import Splitting
from manyways.training.budget import Budget

PERSONS, EACH, CLASSES = 40, 10, 5


def people(**roles: str) -> Data:
    """Ten rows of each of 40 people, whose labels are chance: nothing can be learned of one from others."""
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(PERSONS), EACH)
    inputs = rng.normal(size=(PERSONS, 8))[person] + 0.1 * rng.normal(size=(len(person), 8))
    columns: dict[str, NDArray[Any]] = {f"x{place}": values for place, values in enumerate(inputs.T)}
    labels = rng.permutation(np.arange(PERSONS) % CLASSES).astype(str).astype(object)[person]
    columns |= {"person": person.astype(str).astype(object), "label": labels}
    return mw.read(columns, input=[f"x{place}" for place in range(8)], **roles)


def neighbours(data: Data, **options: Any) -> float:
    found = mw.compare(data, methods=["nearest-neighbours"], budget="1 steps", workers=0, **options)
    assert found.entries[0].error is None
    return found.entries[0].score or 0.0


def test_rows_of_a_person_leak_through_a_random_split_and_not_where_they_stay_together() -> None:
    """The nearest neighbour is the same person, so a random split scores the memory of people; by person it is 1/5."""
    assert neighbours(people(), seeds=1) > 0.98
    for role in ("subject", "group"):
        scores = [neighbours(people(**{role: "person"}), seeds=2, folds=4), neighbours(people(**{role: "person"}))]
        assert max(scores) < 0.4


def test_every_row_is_tested_on_once_for_each_seed(home: object) -> None:
    plan = make_plan(people(), ["nearest-neighbours"], None, Budget(1), 2, None, Splitting(folds=4), 0)
    jobs = [job for job in plan.jobs() if job.method == "nearest-neighbours"]
    assert [(job.seed, job.split.number) for job in jobs] == [(0, n) for n in range(4)] + [(1, n) for n in range(4, 8)]
    assert [job.keep_model for job in jobs] == [True] + [False] * 7
    for seed in (0, 1):
        tested = [job.split.of(plan.rows).test.rows for job in jobs if job.seed == seed]
        assert sorted(np.concatenate(tested).tolist()) == list(range(PERSONS * EACH))
    assert len({job.key for job in plan.jobs()}) == len(plan.jobs())


def test_a_job_crosses_to_another_process_with_its_split() -> None:
    plan = make_plan(people(), ["nearest-neighbours"], None, Budget(1), 1, None, Splitting(repeats=3), 0)
    for job in plan.jobs():
        crossed: Mapping[str, Any] = json.loads(json.dumps(asdict(job)))
        assert Job.from_json(crossed) == job
        assert Job.from_json(crossed).key == job.key


def test_scores_of_a_seed_are_of_all_its_splits(home: object) -> None:
    found = mw.compare(people(), methods=["ridge"], budget="1 steps", workers=0, seeds=2, splits=2)
    entry = found.entries[0]
    assert entry.error is None
    assert len(entry.scores) == 2
    assert entry.scores[0] == entry.scores[1], "a closed form on the same splits"


@pytest.mark.parametrize("option", [{"folds": 3}, {"splits": 3}, {"split": "random"}])
def test_data_with_test_rows_of_its_own_is_not_split(option: dict[str, Any]) -> None:
    with pytest.raises(mw.errors.ParameterError, match="has test rows of its own"):
        mw.compare(people().with_test(0.2), methods=["ridge"], workers=0, **option)
