"""From what trainings leave behind to tables of scores by entry, seed and test row."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import manyways as mw
from manyways.comparison.assemble import assemble
from manyways.comparison.comparison_plan import ComparisonPlan, make_plan
from manyways.comparison.contributions import NAME, read_contributions, write_contributions
from manyways.comparison.evidence import Evidence
from manyways.comparison.job import Job, Outcome, outcome_to_json, run_job
from manyways.comparison.results import Comparison, within
from manyways.data.splitting import Splitting
from manyways.errors import DataError
from manyways.training.budget import Budget

WAYS = ["ridge", "nearest-centroid"]
PEOPLE = np.repeat(np.arange(60), 5).astype(str)


def table(rng: np.random.Generator) -> dict[str, Any]:
    """300 rows of 60 people, of two classes."""
    x = rng.normal(size=(300, 2))
    return {"x": x[:, 0], "y": x[:, 1], "who": PEOPLE, "label": np.where(x[:, 0] + rng.normal(size=300) > 0, "a", "b")}


def ran(plan: ComparisonPlan, folder: Path) -> dict[Job, Outcome]:
    """The outcomes of all jobs of `plan` but the curve's, carried out in `folder`."""
    jobs = [job for job in plan.jobs() if job.method in plan.methods]
    return {job: run_job(job, plan.rows, folder / job.key, lambda _: None, plan.methods[job.method]) for job in jobs}


def plan_of(
    data: mw.Data, splitting: Splitting | None = None, metric: str | None = None, seeds: int = 2
) -> ComparisonPlan:
    """A plan of two closed forms."""
    return make_plan(data, list(WAYS), None, Budget.of("5 steps"), 2, metric, splitting or Splitting(), 0)


@pytest.fixture(scope="module")
def data() -> mw.Data:
    """The rows of `table`, without groups."""
    columns = table(np.random.default_rng(0))
    columns.pop("who")
    return mw.read(columns)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "roc_auc", "log_loss"])
def test_contributions_have_the_score_as_their_mean(data: mw.Data, tmp_path: Path, metric: str) -> None:
    plan = plan_of(data, metric=metric)
    outcomes = ran(plan, tmp_path)
    scores = Evidence(plan, outcomes, tmp_path).table([(way, None) for way in WAYS])
    assert scores.rows is not None
    assert scores.rows.shape == (2, 2, 60)
    assert scores.rows.mean(axis=2) == pytest.approx(scores.scores, abs=1e-6)
    for at, way in enumerate(WAYS):
        assert scores.scores[at] == pytest.approx([each.score for job, each in outcomes.items() if job.method == way])


def test_accuracy_is_right_or_wrong_by_row(data: mw.Data, tmp_path: Path) -> None:
    plan = plan_of(data)
    job = next(job for job in plan.jobs() if job.method == "ridge")
    run_job(job, plan.rows, tmp_path / job.key, lambda _: None, plan.methods["ridge"])
    test = plan.data.test
    model = mw.load(tmp_path / job.key / "model")
    right = model.predict(test) == test.take("label")
    assert np.array_equal(read_contributions(tmp_path / job.key), right.astype(float))


def test_folds_are_one_table_of_all_rows(data: mw.Data, tmp_path: Path) -> None:
    """Each row is tested on once; a seed's contributions stand in the order of the rows, whatever its folds are."""
    plan = plan_of(data, Splitting(folds=3))
    outcomes = ran(plan, tmp_path)
    scores = Evidence(plan, outcomes, tmp_path).table([(way, None) for way in WAYS])
    assert scores.rows is not None
    assert scores.rows.shape == (2, 2, 300)
    assert scores.rows.mean(axis=2) == pytest.approx(scores.scores)
    first = [job for job in outcomes if job.method == "ridge" and job.seed == 0]
    rows = np.full(300, np.nan)
    for job in first:
        rows[job.split.of(plan.rows).test.rows] = read_contributions(tmp_path / job.key)
    assert np.array_equal(scores.rows[0, 0], rows)


def test_repeated_splits_are_trials_that_overlap(data: mw.Data, tmp_path: Path) -> None:
    plan = plan_of(data, Splitting(repeats=4))
    evidence = Evidence(plan, ran(plan, tmp_path), tmp_path)
    scores = evidence.table([(way, None) for way in WAYS])
    assert scores.rows is None
    assert scores.scores.shape == (2, 4)
    assert scores.overlap == pytest.approx(0.25)
    assert evidence.sources([("ridge", None)]) == ("splits",)


def test_rows_of_a_person_are_one_unit(tmp_path: Path) -> None:
    plan = plan_of(mw.read(table(np.random.default_rng(0)), group="who"))
    scores = Evidence(plan, ran(plan, tmp_path), tmp_path).table([("ridge", None)])
    assert scores.groups is not None
    people = plan.data.test.take("who")
    assert len(set(scores.groups.tolist())) == len(set(people.tolist())) < len(people)
    for group in set(scores.groups.tolist()):
        assert len(set(people[scores.groups == group])) == 1


def test_one_entry_without_contributions_leaves_intervals_over_seeds(data: mw.Data, tmp_path: Path) -> None:
    plan = plan_of(data)
    outcomes = ran(plan, tmp_path)
    lacking = {
        job: replace(each, contributions=False) if job.method == "ridge" else each for job, each in outcomes.items()
    }
    found = assemble(plan, lacking, tmp_path, interrupted=False)
    assert found.interval_over == ("seeds",)
    assert assemble(plan, outcomes, tmp_path, interrupted=False).interval_over == ("seeds", "test rows")


def test_closed_forms_have_an_interval_and_few_rows_tell_little(data: mw.Data, tmp_path: Path) -> None:
    """Both are the same for every seed."""
    plan = plan_of(data)
    found = assemble(plan, ran(plan, tmp_path), tmp_path, interrupted=False)
    ridge, centroid = found.ways
    assert len(set(ridge.scores)) == 1
    for entry in (ridge, centroid):
        assert entry.low is not None
        assert entry.high is not None
        assert entry.high - entry.low > 0.15
    assert found.conclusion is not None
    assert len(found.conclusion.indistinguishable) == 1


@pytest.fixture
def kept(data: mw.Data, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[mw.Data, list[Path], Comparison]:
    """A comparison whose contributions lie in these files."""
    monkeypatch.setenv("MANYWAYS_HOME", str(tmp_path))
    found = mw.compare(data, methods=["ridge"], seeds=1, workers=0, budget="5 steps", folds=2)
    return data, sorted(tmp_path.rglob(NAME)), found


def test_a_file_that_is_gone_is_made_anew(kept: tuple[mw.Data, list[Path], Comparison]) -> None:
    data, files, before = kept
    assert files
    files[0].unlink()
    after = mw.compare(data, methods=["ridge"], seeds=1, workers=0, budget="5 steps", folds=2)
    assert files[0].exists()
    assert after.ways[0].low == before.ways[0].low


def test_a_damaged_file_is_named(kept: tuple[mw.Data, list[Path], Comparison], tmp_path: Path) -> None:
    data, files, _ = kept
    with (tmp_path / "objects").open("wb") as file:
        np.save(file, np.array(["x", 1], dtype=object), allow_pickle=True)
    with (tmp_path / "square").open("wb") as file:
        np.save(file, np.ones((3, 3)))
    sound = files[0].read_bytes()
    others = [(tmp_path / name).read_bytes() for name in ("objects", "square")]
    for content in (b"", b"\x93NUMPY nonsense", b"PK\x03\x04", sound[:-8], *others):
        files[0].write_bytes(content)
        with pytest.raises(DataError, match=rf"{NAME} cannot be read: it is damaged .* --fresh"):
            mw.compare(data, methods=["ridge"], seeds=1, workers=0, budget="5 steps", folds=2)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    values = np.array([0.0, 1.0, np.nan])
    write_contributions(values, tmp_path)
    assert np.array_equal(read_contributions(tmp_path), values, equal_nan=True)


def test_an_outcome_says_if_it_has_contributions() -> None:
    assert json.loads(json.dumps(outcome_to_json(Outcome(0.5, contributions=True))))["contributions"] is True


def test_no_interval_reaches_beyond_what_a_metric_can_be() -> None:
    assert within("accuracy", -0.1, 1.2) == (0.0, 1.0)
    assert within("r2", -0.4, 1.2) == (-0.4, 1.0)
    assert within("log_loss", -0.1, 1.2) == (0.0, 1.2)
    assert within("nats_per_row", -3.0, 4.0) == (-3.0, 4.0)
    assert within("forgetting", -0.1, 1.2) == (-0.1, 1.2)
    assert within("accuracy", None, None) == (None, None)
