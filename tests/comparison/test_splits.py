"""Comparisons over groups, folds and repeated splits."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
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


@pytest.mark.parametrize(("option", "differ"), [({"splits": 2}, False), ({"folds": 3}, True)])
def test_scores_of_a_seed_are_of_all_its_splits(option: dict[str, Any], differ: bool) -> None:
    data = people()
    found = mw.compare(data, methods=["ridge"], budget="1 steps", workers=0, seeds=2, **option)
    entry, splitting = found.entries[0], Splitting(folds=option.get("folds"), repeats=option.get("splits"))
    assert entry.error is None
    assert entry.scores[0] is not None
    right, tested = 0.0, 0
    for split in splitting.splits("random", 0):
        rows = split.of(data)
        right += mw.Ridge().fit(rows).evaluate(rows.test)["accuracy"] * len(rows.test)
        tested += len(rows.test)
    assert entry.scores[0] == pytest.approx(right / tested)
    assert found.data.test_rows == (PERSONS * EACH if "folds" in option else tested / 2)
    assert (entry.scores[0] != entry.scores[1]) is differ, "with folds each seed has a partition of its own"


def cautions(data: Data, **options: Any) -> str:
    found = mw.compare(data, methods=["ridge"], budget="1 steps", seeds=1, workers=0, **options)
    assert found.entries[0].error is None
    assert found.conclusion is not None
    return " ".join(found.conclusion.cautions)


def in_time(**more: NDArray[Any]) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(0)
    return {"x": rng.normal(size=60), "label": rng.choice(["a", "b"], 60).astype(object), **more}


DAYS = (np.datetime64("2024-01-01") + np.arange(60)).astype(str).astype(object)


def test_a_random_split_of_rows_in_time_is_cautioned_against_with_what_to_type() -> None:
    timed = mw.read(in_time(moment=np.arange(60)), time="moment")
    said = "Rows have a time ('moment'), and a random split tests on rows between those that were learned from"
    assert said in cautions(timed, split="random")
    assert "--split time" in cautions(timed, split="random")
    assert "random split" not in cautions(timed)
    assert "random split" not in cautions(timed, split="time", folds=3)
    assert "random split" not in cautions(mw.read(in_time()))


@pytest.mark.parametrize(
    ("name", "values"),
    [("bought", np.repeat(DAYS[:20], 3)), ("orderDate", DAYS), ("day", np.arange(60) // 6), ("time", np.arange(60))],
)
def test_a_column_that_looks_like_a_time_is_named(name: str, values: NDArray[Any]) -> None:
    assert f"The column {name!r} looks like a time" in (found := cautions(mw.read(in_time(**{name: values}))))
    assert f"--role time={name}." in found


@pytest.mark.parametrize(
    ("name", "values"),
    [("day", np.random.default_rng(0).permutation(60)), ("size", np.arange(60)), ("code", np.repeat(["a-1", "b"], 30))],
)
def test_other_columns_do_not_look_like_a_time(name: str, values: NDArray[Any]) -> None:
    assert "looks like a time" not in cautions(mw.read(in_time(**{name: values.astype(object)})))


def test_groups_on_both_sides_of_a_test_part_that_the_data_brought_are_cautioned_against() -> None:
    data = people(subject="person")
    part = np.zeros(len(data.part), np.uint8)
    part[::5] = 2
    found = cautions(replace(data, part=part))
    assert "40 of the 40 groups by 'person' in the test rows" in found
    assert "groups by" not in cautions(data.with_test(0.2))


def test_the_penalty_of_a_probe_is_picked_on_other_people() -> None:
    """On rows of the same people the labels, chance by person, look certain; on others nothing does."""
    alone, together = people(), people(subject="person").with_test(0.25)
    losses = []
    for data in (alone, together):
        model = mw.LinearProbe().fit(data.select(np.isin(data.rows, together.training.rows)))
        losses.append(model.evaluate(together.test)["log_loss"])
    assert losses[1] < losses[0] - 0.1


def test_gradient_boosting_stops_by_other_people() -> None:
    """Ten rounds that do not help other people end it at once; on rows of the same people it goes on."""
    rounds = []
    for data in (people(), people(subject="person")):
        method = mw.GradientBoosting(early_stopping=True, min_samples_leaf=2, max_iter=60)
        rounds.append(sum(tensor.numel() for tensor in method.fit(data).network.state_dict().values()))
    assert rounds[1] < 0.7 * rounds[0]


@pytest.mark.parametrize("option", [{"folds": 3}, {"splits": 3}, {"split": "random"}])
def test_data_with_test_rows_of_its_own_is_not_split(option: dict[str, Any]) -> None:
    with pytest.raises(mw.errors.ParameterError, match="has test rows of its own"):
        mw.compare(people().with_test(0.2), methods=["ridge"], workers=0, **option)
