"""Worker processes: jobs go in, outcomes come out, and one that dies takes only its own job with it."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from manyways.comparison import workers as workers_module
from manyways.comparison.job import Job, Outcome, fields_of, outcome_from_json, outcome_to_json, run_job
from manyways.comparison.workers import Report, Workers, run_here
from manyways.data.data import Data
from manyways.data.read import read
from manyways.data.transport import save_table
from manyways.errors import TrainingError
from manyways.methods.active.active_learning import ActiveLearning
from manyways.methods.chain import Chain
from manyways.methods.expressions import parse_method
from manyways.models.saving import load_model

DIES = """
import os, signal
from manyways.comparison import job, worker
really = job.run_job

def run_job(given, *rest):
    if given.seed == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    if given.seed == 14:
        os._exit(3)
    print("a library that chats")  # must not end up among the messages
    return really(given, *rest)

job.run_job = run_job
worker.main()
"""


@pytest.fixture(scope="module")
def wine() -> Data:
    return read("wine").with_test(0.25)


def instead(monkeypatch: pytest.MonkeyPatch, script: str) -> list[int]:
    """Workers run `script` in place of their module; the list grows with every process."""
    popen, started = subprocess.Popen, []

    def start(command: list[str], **more: Any) -> Any:
        assert command[1:3] == ["-Pc", workers_module.WORKER]
        process = popen([command[0], "-c", script, *command[3:]], **more)
        started.append(process.pid)
        return process

    monkeypatch.setattr(workers_module.subprocess, "Popen", start)
    return started


def job(seed: int = 0, method: str = "linear-probe", **more: Any) -> Job:
    return Job(method, more.pop("labels", 20), seed, "5 steps", "accuracy", **more)


def outcomes(reports: Iterator[Report]) -> dict[Job, Outcome]:
    return {report.job: report.outcome for report in reports if report.outcome}


def carry_out(jobs: list[Job], data: Data, folder: Path, count: int = 2) -> dict[Job, Outcome]:
    table = save_table(data, folder / "table")
    with Workers(count, 1, table, lambda each: folder / each.key) as workers:
        return outcomes(workers.run(jobs))


# --- a job ---------------------------------------------------------------------------------------


def test_a_job_gives_a_score_and_what_it_cost(wine: Data, tmp_path: Path) -> None:
    shares: list[float] = []
    done = run_job(job(method="supervised", keep_model=True), wine, tmp_path, shares.append)
    assert done.error is None
    model = load_model(tmp_path / "model")
    assert done.score == done.metrics["accuracy"] == model.evaluate(wine.test)["accuracy"]
    assert (done.steps, done.parameters) == (5, model.parameters)
    assert 0 < done.seconds <= done.wall_seconds
    assert done.peak_memory_mb is None or 50 < done.peak_memory_mb < 4000
    assert [step for step, _, _ in done.curve] == [1, 2, 3, 4, 5]
    assert done.curve[-1][2] == pytest.approx(done.score)
    assert shares[-1] == 1
    assert outcome_from_json(outcome_to_json(done)) == done


def test_a_job_shows_the_labels_that_its_seed_draws(wine: Data, tmp_path: Path) -> None:
    run_job(job(seed=3, keep_model=True), wine, tmp_path, lambda _: None)
    drawn = wine.with_labels(20, 3).training
    rows = load_model(tmp_path / "model").lineage.all_rows()
    assert sorted(map(tuple, rows.tolist())) == sorted(map(tuple, drawn.ids[drawn.labelled].tolist()))


def test_what_a_method_does_wrong_is_an_outcome(wine: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = run_job(job(method="kmeans(clusters=100000)"), wine, tmp_path, lambda _: None)
    assert refused.score is None
    assert refused.error == f"KMeans.clusters must be at most the {len(wine.training)} training rows; got 100000."

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("by hand")

    monkeypatch.setattr("manyways.methods.transfer.linear_probe.LinearProbe.learn", broken)
    fault = run_job(job(), wine, tmp_path / "fault", lambda _: None)
    assert fault.error == "ZeroDivisionError: by hand (a fault in the method or in Manyways)"


def test_ctrl_c_is_no_outcome(wine: Data, tmp_path: Path) -> None:
    def stop(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_job(job(method="supervised"), wine, tmp_path, stop)


def test_the_key_is_of_all_that_decides_the_result() -> None:
    others = [
        job(1),
        job(labels=21),
        job(labels=None),
        job(method="kmeans"),
        Job("linear-probe", 20, 0, "6 steps", "accuracy"),
        Job("linear-probe", 20, 0, "5 steps", "f1"),
        job(fields="ab"),
    ]
    assert len({each.key for each in [job(), *others]}) == len(others) + 1
    assert job(keep_model=True).key == job().key


def test_a_method_that_its_text_does_not_say_is_refused_and_not_replaced(wine: Data, tmp_path: Path) -> None:
    """A chain's shares are not in its text: made from it again, it would be another method."""
    chain = Chain(stages=(parse_method("simclr"), parse_method("fine-tune")), shares=(1.0, 3.0))
    told = Job(str(chain), 20, 0, "4 steps", "accuracy", fields=fields_of(chain))
    refused = run_job(told, wine, tmp_path, lambda _: None)
    assert refused.error is not None
    assert "cannot be made again from its text" in refused.error
    assert "workers=0" in refused.error
    assert run_job(told, wine, tmp_path, lambda _: None, chain).steps == 1 + 3
    asking = ActiveLearning(oracle=len)
    refused = run_job(Job(str(asking), 20, 0, "4 steps", "accuracy"), wine, tmp_path, lambda _: None)
    assert refused.error is not None
    assert "workers=0" in refused.error


# --- processes -----------------------------------------------------------------------------------


def test_processes_and_this_process_find_the_same(wine: Data, tmp_path: Path) -> None:
    jobs = [job(seed, method) for seed in (0, 1) for method in ("linear-probe", "supervised")]
    there = carry_out(jobs, wine, tmp_path / "there")
    here = outcomes(run_here(jobs, {}, wine, lambda each: tmp_path / each.key))
    assert set(there) == set(here) == set(jobs)
    for each in jobs:
        assert there[each].error is None
        assert there[each].metrics == here[each].metrics
        assert [point[::2] for point in there[each].curve] == [point[::2] for point in here[each].curve]


def test_a_killed_worker_takes_only_its_job_with_it(
    wine: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = instead(monkeypatch, DIES)
    jobs = [job(0), job(13), job(1), job(14), job(2)]
    found = carry_out(jobs, wine, tmp_path, count=1)
    assert set(found) == set(jobs)
    assert found[job(13)].error is not None
    assert "its process was killed, most likely because memory ran out" in str(found[job(13)].error)
    assert found[job(14)].error == "its process ended with exit code 3."
    assert [found[job(seed)].error for seed in (0, 1, 2)] == [None] * 3
    assert len(started) == 3, "each worker that died is replaced once, and only if something is left to do"
    assert not any(_alive(process) for process in started)


def test_workers_that_never_begin_are_given_up(wine: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = instead(monkeypatch, "raise SystemExit(1)")
    with pytest.raises(TrainingError, match="Worker processes keep ending before they begin"):
        carry_out([job(0), job(1)], wine, tmp_path)
    assert len(started) < 20


def test_leaving_ends_the_processes(wine: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = DIES.replace("return really(given, *rest)", "import time; time.sleep(600)")
    started = instead(monkeypatch, slow)
    table = save_table(wine, tmp_path / "table")
    with pytest.raises(KeyboardInterrupt), Workers(1, 1, table, lambda each: tmp_path / each.key) as workers:
        for _ in workers.run([job(13), job(0)]):
            raise KeyboardInterrupt
    assert started
    assert not any(_alive(process) for process in started)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
