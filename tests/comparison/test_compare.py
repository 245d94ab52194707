"""compare: small but real comparisons, and what happens where one goes wrong or is broken off."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import manyways as mw
from manyways.comparison import workers
from manyways.comparison.comparison_plan import ComparisonPlan, make_plan
from manyways.comparison.job import Job, Outcome, run_job
from manyways.comparison.progress import CompareProgress, describe
from manyways.comparison.results import Comparison, read_results, write_results
from manyways.data.data import Data
from manyways.data.splitting import Splitting
from manyways.errors import DataError, NeedsError, ParameterError
from manyways.methods.discovery import modules
from manyways.metrics import CLASS_METRICS
from manyways.models.model import Model
from manyways.models.saving import load_model
from manyways.training.budget import Budget

BUDGET = "20 steps"
CHAIN = mw.Chain(stages=(mw.SimCLR(), mw.FineTune()))
DOCUMENTED = Path(__file__).parents[2] / "docs" / "results.md"


@pytest.fixture
def digits() -> Data:
    """450 training rows, so that 300 labels leave a short label curve, and 450 test rows."""
    return mw.read("digits").select(np.arange(900)).with_test(0.5)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """The jobs that were carried out in this process, as they come."""
    jobs: list[Job] = []
    carry_out = workers.run_job

    def counting(job: Job, *rest: Any) -> Outcome:
        jobs.append(job)
        return carry_out(job, *rest)

    monkeypatch.setattr(workers, "run_job", counting)
    return jobs


@pytest.fixture
def two_workers(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Options for two processes of one thread each, whatever the machine has."""
    monkeypatch.setattr("manyways.comparison.comparison_plan.os.cpu_count", lambda: 2)
    return {"workers": 2}


def plan_of(data: Data, *methods: str, labels: int | None = 300, seeds: int = 1) -> ComparisonPlan:
    """The plan of `compare` with these arguments."""
    return make_plan(data, methods, labels, Budget.of(BUDGET), seeds, None, Splitting(), 0)


def kept_models(plan: ComparisonPlan, home: Path) -> dict[str, Model]:
    """The model that a comparison kept of each of its methods."""
    folder = home / "comparisons" / plan.key
    return {job.method: load_model(folder / job.key / "model") for job in plan.jobs() if job.keep_model}


def same(one: Model, other: Model) -> bool:
    """Whether two models have bitwise the same weights."""
    first, second = one.network.state_dict(), other.network.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


# --- what comes out ------------------------------------------------------------------------------


def test_entries_are_complete(digits: Data) -> None:
    found = mw.compare(
        digits, methods=["supervised", "simclr >> fine-tune"], labels=300, budget=BUDGET, seeds=2, workers=0
    )
    assert [entry.name for entry in found.ways] == ["supervised", "simclr >> fine-tune"]
    for entry in found.ways:
        assert entry.error is None
        assert not entry.pending
        assert len(entry.scores) == 2
        scores = [score for score in entry.scores if score is not None]
        assert entry.score == pytest.approx(np.mean(scores))
        assert entry.low is not None
        assert entry.high is not None
        assert entry.low <= (entry.score or 0) <= entry.high
        assert entry.steps == 20
        assert (entry.parameters or 0) > 1000
        assert (entry.seconds or 0) > 0
        assert (entry.peak_memory_mb or 0) > 50
        assert {name for name in entry.metrics if not name.startswith("pretext_")} == set(CLASS_METRICS)
        assert entry.metrics["accuracy"] == entry.score
        assert entry.curve[-1].step == 20
        assert [point.step for point in entry.curve] == sorted({point.step for point in entry.curve})
    assert found.entries[1].title == "simclr >> fine-tune"
    assert "2020" in found.entries[1].source
    assert 0 < (found.entries[1].metrics["pretext_accuracy of simclr"] or 0) <= 1
    assert (found.entries[0].score or 0) > 0.3  # ten classes: chance is 0.1

    assert [(point.labels, len(point.scores)) for point in found.label_curve] == [(300, 2), (450, 2)]
    assert found.label_curve[0].scores == found.entries[0].scores
    data = found.data
    assert (data.rows, data.training_rows, data.test_rows) == (900, 450, 450)
    assert (data.labels_shown, data.labels_known, data.task) == (300, 450, "classification")
    assert found.best is not None
    assert found.best.confusion is not None
    assert sum(map(sum, found.best.confusion.counts)) == 450
    assert found.conclusion is not None
    assert found.conclusion.recommended in ("supervised", "simclr >> fine-tune")


def test_the_best_is_scored_on_the_test_rows_by_the_model_that_was_kept(digits: Data, home: Path) -> None:
    found = mw.compare(digits, methods=["supervised"], labels=300, budget=BUDGET, seeds=1, workers=0)
    plan = plan_of(digits, "supervised")
    model = kept_models(plan, home)["supervised"]
    assert found.entries[0].score == model.evaluate(digits.test)["accuracy"]
    assert found.best is not None
    assert found.best.confusion is not None
    right = sum(row[at] for at, row in enumerate(found.best.confusion.counts))
    assert right == round((found.entries[0].score or 0) * 450)


def test_regression() -> None:
    found = mw.compare("diabetes", methods=["supervised"], budget=BUDGET, seeds=1, workers=0)
    assert (found.metric, found.data.task, found.data.classes) == ("r2", "regression", None)
    assert found.best is not None
    assert found.best.confusion is None
    assert found.best.scatter


def test_a_metric_that_should_be_small(digits: Data) -> None:
    methods = ["supervised(size=0.25)", "supervised(learning_rate=1e-08, size=0.25)"]
    found = mw.compare(digits, methods=methods, labels=300, budget=BUDGET, seeds=1, metric="log_loss", workers=0)
    assert not found.higher_is_better
    assert [entry.name for entry in found.contestants()] == methods
    with pytest.raises(ParameterError, match=r"metric must be one of accuracy, .* for classification; got 'r2'"):
        mw.compare(digits, metric="r2")


def test_results_have_the_documented_names(digits: Data, tmp_path: Path) -> None:
    found = mw.compare(digits, methods=["supervised"], labels=300, budget=BUDGET, seeds=1, workers=0)
    path = write_results(found, tmp_path / "results.json")
    saved = json.loads(path.read_text("utf-8"))
    sections = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", DOCUMENTED.read_text("utf-8"), re.M | re.S))

    def rows(section: str) -> set[str]:
        cells = re.findall(r"^\| (`.*?) \|", sections[section], re.M)
        return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}

    assert set(saved) == rows("The comparison")
    assert set(saved["entries"][0]) == rows("`entries[]`")
    for section, part in (("`data`", saved["data"]), ("`best`", saved["best"]), ("`conclusion`", saved["conclusion"])):
        assert set(part) <= set(re.findall(r"`(\w+)`", sections[section])), section
    assert set(saved["best"]["mistakes"][0]) <= set(re.findall(r"`(\w+)`", sections["`best`"]))
    assert set(saved["label_curve"][0]) == {"labels", "score", "low", "high", "scores"}
    assert set(saved["machine"]) == {"cores", "threads", "python", "torch", "platform"}
    assert read_results(path) == found


# --- what is compared ----------------------------------------------------------------------------


def test_first_seeds_of_all_methods_come_first(digits: Data) -> None:
    jobs = plan_of(digits, "supervised", "kmeans", seeds=2).jobs()
    assert [(job.method, job.labels, job.seed, job.keep_model) for job in jobs] == [
        ("supervised", 300, 0, True),
        ("kmeans", 300, 0, True),
        ("majority", 300, 0, True),
        ("supervised", 300, 1, False),
        ("kmeans", 300, 1, False),
        ("majority", 300, 1, False),
        ("supervised", 450, 0, False),  # 300 labels are plain supervision's own entry
        ("supervised", 450, 1, False),
    ]


def test_all_methods_that_the_data_allows_are_tried(digits: Data) -> None:
    everything = make_plan(digits, None, None, Budget.of(BUDGET), 1, None, Splitting(), 0).methods
    assert next(iter(everything)) == "linear"  # the quickest first
    assert "supervised" in everything
    assert "kmeans" in everything
    assert not any("fixmatch" in name for name in everything)  # no row is without a label
    assert "fixmatch" in make_plan(digits, None, 40, Budget.of(BUDGET), 1, None, Splitting(), 0).methods


def test_a_test_part_is_made_where_there_is_none() -> None:
    plan = make_plan(mw.read("digits"), ["supervised"], None, Budget.of(BUDGET), 1, None, Splitting(share=0.25), 0)
    assert len(plan.data.test) == round(0.25 * 1797)


def test_the_key_tells_data_apart_and_not_workers(digits: Data) -> None:
    key = plan_of(digits, "supervised").key
    assert plan_of(digits, "kmeans").key == key  # a method more or less keeps what is done
    assert replace(plan_of(digits, "supervised"), workers=2, threads=1).key == key
    assert plan_of(mw.read("digits").select(np.arange(900)).with_test(0.5, seed=1), "supervised").key != key
    seconds = [replace(plan_of(digits, "supervised"), budget=Budget.of("2s"), threads=threads) for threads in (1, 2)]
    assert seconds[0].key != seconds[1].key  # what seconds are worth depends on the threads


@pytest.mark.parametrize(
    ("options", "error", "why"),
    [
        ({"seeds": 0}, ParameterError, "seeds must be at least one.*got 0"),
        ({"seeds": ()}, ParameterError, "seeds must be at least one"),
        ({"seeds": (1, 2, 1)}, ParameterError, r"each another; got \(1, 2, 1\)"),
        ({"methods": [CHAIN, replace(CHAIN, shares=(1.0, 3.0))]}, ParameterError, "Two methods that differ are both"),
        ({"workers": -1}, ParameterError, r"workers must be a whole number in \[0, inf\), or None; got -1"),
        ({"methods": []}, NeedsError, "No method can learn from digits"),
        ({"labels": 5, "draw": "stratified"}, DataError, "ask for at least 10"),
        ({"budget": "soon"}, ParameterError, "budget must be"),
    ],
)
def test_what_cannot_be_compared(digits: Data, options: dict[str, Any], error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why):
        mw.compare(digits, **options)


# --- fairness ------------------------------------------------------------------------------------


def test_active_learning_gets_no_more_labels_than_others(digits: Data, home: Path) -> None:
    methods = ("supervised(size=0.25)", "active-learning(base=supervised(size=0.25), rounds=2)")
    found = mw.compare(digits, methods=methods, labels=300, budget=BUDGET, seeds=1, workers=0)
    assert [entry.error for entry in found.ways] == [None, None]
    used = {name: len(model.lineage.all_rows()) for name, model in kept_models(plan_of(digits, *methods), home).items()}
    assert set(used.values()) == {300}
    first = kept_models(plan_of(digits, *methods), home)[list(used)[1]].lineage.parents[0]
    assert len(first.rows) == 150  # half are shown, half are asked for


def test_test_rows_never_influence_training(home: Path) -> None:
    data = mw.read("digits").with_test(0.25)
    images = data.columns["image"]
    values = np.array(images.values)
    values[data.part == 2] = np.random.default_rng(0).integers(0, 256, values[data.part == 2].shape)
    columns = {**data.columns, "image": replace(images, values=values)}
    poisoned = Data.from_columns(columns.values(), data.roles, part=data.part, name="poisoned")
    methods = ("supervised(size=0.25)", "fixmatch(size=0.25)", "kmeans", "simclr(size=0.25) >> fine-tune")
    models = []
    for each in (data, poisoned):
        found = mw.compare(each, methods=methods, labels=1000, budget="6 steps", seeds=1, workers=0)
        assert [entry.error for entry in found.ways] == [None] * 4
        plan = make_plan(each, methods, 1000, Budget.of("6 steps"), 1, None, Splitting(), 0)
        models.append(kept_models(plan, home))
    assert all(same(models[0][name], models[1][name]) for name in plan.methods)
    test = [model.evaluate(poisoned.test)["accuracy"] for model in models[0].values()]
    assert max(test) < 0.3  # the poison is there


def test_in_this_process_or_in_others_scores_are_bitwise_the_same(digits: Data, two_workers: dict[str, int]) -> None:
    def run(**options: Any) -> Comparison:
        methods = ["supervised", "fixmatch(size=0.5)"]
        return mw.compare(digits, methods=methods, labels=300, budget=BUDGET, seeds=1, fresh=True, **options)

    here, there = run(workers=0), run(**two_workers)
    assert here.machine.threads >= 1
    for one, other in zip(here.entries, there.entries, strict=True):
        assert one.error is None
        assert one.scores == other.scores
        assert one.metrics == other.metrics
        assert [(point.step, point.score) for point in one.curve] == [(p.step, p.score) for p in other.curve]
    assert here.label_curve == there.label_curve
    assert here.best == there.best


# --- failures ------------------------------------------------------------------------------------


def test_a_method_that_fails_is_a_row_with_its_reason(digits: Data) -> None:
    methods = ["kmeans(clusters=100000)", "supervised"]
    found = mw.compare(digits, methods=methods, labels=300, budget=BUDGET, seeds=1, workers=0)
    failed, fine = found.ways
    assert failed.score is None
    assert failed.error == "KMeans.clusters must be at most the 450 training rows; got 100000."
    assert fine.score is not None
    assert [entry.name for entry in found.contestants()] == ["supervised"]
    assert found.conclusion is not None
    assert any("kmeans" in caution.lower() for caution in found.conclusion.cautions)


def test_failures_are_tried_again_and_successes_are_not(digits: Data, trained: list[Job]) -> None:
    methods = ["kmeans(clusters=100000)", "kmeans"]
    for _ in range(2):
        mw.compare(digits, methods=methods, labels=450, budget=BUDGET, seeds=1, workers=0)
    assert [job.method for job in trained].count("kmeans") == 1
    assert [job.method for job in trained].count("kmeans(clusters=100000)") == 2


def test_a_process_that_dies_takes_only_its_job(
    digits: Data, two_workers: dict[str, int], plugin: Callable[[str, str], None]
) -> None:
    plugin("dying", DYING)
    methods = ["dying", "supervised", "kmeans"]
    found = mw.compare(digits, methods=methods, labels=300, budget=BUDGET, seeds=1, **two_workers)
    dying, supervised, kmeans = found.ways
    assert dying.error is not None
    assert "killed" in dying.error
    assert dying.score is None
    assert (len(supervised.scores), len(kmeans.scores)) == (1, 1)
    assert len(found.label_curve) == 2


DYING = """
import os, signal
from manyways.methods.supervised.supervised import Supervised

class Dying(Supervised):
    def learn(self, *_):
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Installs a method, as a package would, for this process and for those it starts."""

    def install(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text)
        facts = tmp_path / f"{name}-1.0.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (facts / "entry_points.txt").write_text(f"[manyways.methods]\n{name} = {name}\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        modules.cache_clear()

    yield install
    modules.cache_clear()


def test_a_process_that_hangs_is_ended_and_becomes_a_row(
    digits: Data, two_workers: dict[str, int], plugin: Callable[[str, str], None]
) -> None:
    plugin("sleeping", DYING.replace("Dying", "Sleeping").replace("os.kill(os.getpid(), signal.SIGKILL)", SLEEP))
    found = mw.compare(
        digits, methods=["sleeping", "kmeans"], labels=450, budget=BUDGET, seeds=1, limit=20, **two_workers
    )
    sleeping, kmeans = found.ways
    assert sleeping.error == "its training was ended after 20 s; more time: --limit SECONDS."
    assert len(kmeans.scores) == 1
    assert found.label_curve


SLEEP = "import time; time.sleep(600)"


# --- Ctrl-C --------------------------------------------------------------------------------------


def test_interrupted_and_continued(digits: Data, trained: list[Job]) -> None:
    methods = ["supervised", "kmeans", "supervised(size=0.25)"]

    def run(on_progress: Callable[[CompareProgress], None] | None = None) -> Comparison:
        return mw.compare(
            digits, methods=methods, labels=300, budget=BUDGET, seeds=1, workers=0, on_progress=on_progress
        )

    def stop_after_two(progress: CompareProgress) -> None:
        if progress.done == 2:
            raise KeyboardInterrupt

    broken = run(stop_after_two)
    assert [entry.pending for entry in broken.ways] == [False, False, True]
    assert [entry.score is not None for entry in broken.ways] == [True, True, False]
    assert len(trained) == 2

    said: list[str | None] = []
    whole = run(lambda progress: said.append(progress.finished))
    assert said[0] == "2 of 5 trainings are known from before, 3 left; the first show how long they take"
    assert [describe(job) for job in trained[2:]] == [
        "supervised(size=0.25), 300 labels, seed 0",
        "majority, 300 labels, seed 0",
        "supervised, 450 labels, seed 0",
    ]
    assert not any(entry.pending for entry in whole.entries)
    for before, after in zip(broken.entries[:2], whole.entries, strict=False):
        assert before.scores == after.scores

    trained.clear()
    again = run()
    assert trained == []
    assert again.entries == whole.entries


def test_fresh_throws_away_what_was_finished(digits: Data, trained: list[Job]) -> None:
    for fresh in (False, False, True):
        mw.compare(digits, methods=["kmeans"], labels=450, budget=BUDGET, seeds=1, workers=0, fresh=fresh)
    assert [job.method for job in trained].count("kmeans") == 2


def test_progress_counts_up_to_the_total(digits: Data) -> None:
    heard: list[CompareProgress] = []
    mw.compare(digits, methods=["kmeans"], labels=300, budget=BUDGET, seeds=2, workers=0, on_progress=heard.append)
    assert {each.total for each in heard} == {2 * 2 + 2 * 2}  # a line for reference, and two numbers of labels
    assert [each.done for each in heard] == list(range(9))
    assert heard[0].finished == "8 trainings; the first show how long they take"
    assert heard[1].finished is not None
    assert heard[1].finished.startswith("kmeans, 300 labels, seed 0: accuracy 0.")
    assert heard[-1].remaining_seconds == 0


def test_active_learning_that_cannot_cover_the_classes_says_how(digits: Data, home: Path) -> None:
    made = mw.compare(
        digits, labels=15, methods=["nearest-centroid", "active-learning"], draw="stratified", budget="2 steps", seeds=1
    )
    (failed,) = [entry for entry in made.ways if entry.error]
    assert failed.error is not None
    assert "asks for 7 of the 15 labels, and the 8 it starts with cannot cover 10 classes" in failed.error
    assert "Show 19 labels, or let it ask for fewer: questions=5" in failed.error


def test_every_seed_draws_labels_of_its_own_and_all_methods_the_same(digits: Data, tmp_path: Path) -> None:
    """Otherwise the interval over seeds would leave out the luck of the draw."""
    plan = plan_of(digits, "linear-probe(penalty=1.0)", "nearest-centroid", labels=60, seeds=3)
    shown: dict[tuple[str, int], set[bytes]] = {}
    for job in (job for job in plan.jobs() if job.labels == 60):
        run_job(replace(job, keep_model=True), digits, tmp_path / job.key, lambda _: None)
        rows = load_model(tmp_path / job.key / "model").lineage.rows
        shown[job.method, job.seed] = {row.tobytes() for row in rows}
    assert {len(rows) for rows in shown.values()} == {60}
    for seed in range(3):
        assert shown["linear-probe(penalty=1.0)", seed] == shown["nearest-centroid", seed]
    draws = [shown["linear-probe(penalty=1.0)", seed] for seed in range(3)]
    assert all(len(one & other) < 30 for one, other in combinations(draws, 2))
