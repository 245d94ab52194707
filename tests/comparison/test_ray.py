"""Jobs as tasks of a Ray cluster: of two nodes, which the tests start on this machine."""

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from manyways.comparison.compare import CompareProgress, compare
from manyways.comparison.given import check_on
from manyways.comparison.job import Job, Outcome, outcome_from_json, run_job
from manyways.comparison.ray_task import MARK, Conditions, Sent, carry_out
from manyways.data.data import Data
from manyways.data.read import read
from manyways.data.transport import save_table
from manyways.errors import ParameterError, TrainingError
from manyways.models.saving import load_model
from manyways.version import __version__

TASK = "ray::carry_out"


@pytest.fixture(scope="module")
def wine() -> Data:
    return read("wine").with_test(0.25)


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster of two nodes with a processor each."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    handler = signal.getsignal(signal.SIGTERM)  # which nodes that begin here take for themselves
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        nodes.add_node(num_cpus=1)
        signal.signal(signal.SIGTERM, handler)
        patch.setenv("RAY_ADDRESS", nodes.address)
        yield nodes.address
        nodes.shutdown()


def job(method: str = "supervised", seed: int = 0, budget: str = "5 steps", **more: Any) -> Job:
    return Job(method, 20, seed, budget, "accuracy", **more)


def tasks_alive() -> list[int]:
    """The processes that carry out a task."""
    alive = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if place.read_bytes().startswith(TASK.encode()):
                alive.append(int(place.parent.name))
    return alive


def conditions(folder: Path, data: Data, **more: Any) -> Conditions:
    (folder / MARK).write_text("here")
    told = Conditions(__version__, 1, "here", str(save_table(data, folder / "table")), str(folder / "home"), None)
    return replace(told, **more)


def carried_out(job: Job, folder: Path, told: Conditions, sent: Sent | None) -> tuple[Outcome, dict[str, bytes]]:
    result = carry_out(asdict(job), str(folder), told, sent)
    assert result is not None
    return outcome_from_json(result[0]), result[1]


# --- the task itself, in this process ------------------------------------------------------------


def test_a_node_that_sees_the_folder_works_in_it(wine: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANYWAYS_HOME", "set back when the test ends")
    given = job(keep_model=True)
    done, files = carried_out(given, tmp_path / given.key, conditions(tmp_path, wine), None)
    assert done.score == run_job(given, wine, tmp_path / "local", lambda _: None).score
    assert files == {}
    assert load_model(tmp_path / given.key / "model").evaluate(wine.test)["accuracy"] == done.score
    assert float((tmp_path / given.key / "run" / "progress.txt").read_text()) == 1


def test_a_node_that_does_not_is_sent_the_table_and_sends_the_model_back(wine: Data, tmp_path: Path) -> None:
    given, far = job(keep_model=True), conditions(tmp_path, wine, mark="another", table="/nowhere")
    assert carry_out(asdict(given), str(tmp_path / given.key), far, None) is None
    sent = Sent.of(wine, tmp_path / "sent", None)
    for path in (tmp_path / "sent").iterdir():
        path.unlink()  # what is sent refers to no file
    done, files = carried_out(given, tmp_path / given.key, far, sent)
    assert done.score == run_job(given, wine, tmp_path / "local", lambda _: None).score
    assert not (tmp_path / given.key).exists()
    for name, content in files.items():
        (tmp_path / "back" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "back" / name).write_bytes(content)
    assert load_model(tmp_path / "back" / "model").evaluate(wine.test)["accuracy"] == done.score


def test_the_model_to_start_from_is_sent_along(wine: Data, tmp_path: Path) -> None:
    run_job(job(keep_model=True), wine, tmp_path, lambda _: None)
    given = job("fine-tune", start=str(tmp_path / "model"), start_key="it")
    sent = Sent.of(wine, tmp_path / "sent", given.start)
    done, _ = carried_out(replace(given, start="/nowhere"), tmp_path / "far", conditions(tmp_path, wine, mark=""), sent)
    assert done.error is None
    assert done.score == run_job(given, wine, tmp_path / "local", lambda _: None).score


def test_another_version_on_a_node_is_refused(wine: Data, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="has Manyways .* and the comparison 0.0.0; install the same"):
        carry_out(asdict(job()), str(tmp_path / "job"), conditions(tmp_path, wine, version="0.0.0"), None)


@pytest.mark.parametrize("given", ["", "ray://", "dask", "localhost:10001", 3])
def test_what_is_no_cluster_is_refused(given: object) -> None:
    with pytest.raises(ParameterError, match="on must be None for this machine, 'ray' for the Ray cluster"):
        check_on(given)


def test_one_process_and_a_cluster_exclude_each_other() -> None:
    with pytest.raises(ParameterError, match="workers=0 runs in this process, and on='ray' on a cluster"):
        compare("wine", on="ray", workers=0)


# --- a cluster -----------------------------------------------------------------------------------


def test_a_cluster_gives_the_numbers_of_this_machine_and_goes_on_after_a_kill_and_ctrl_c(
    cluster: str, wine: Data
) -> None:
    killed: list[int] = []
    handler = signal.getsignal(signal.SIGTERM)

    def kill(progress: CompareProgress) -> None:
        if not killed and any(name.startswith("supervised(") for name, _ in progress.running):
            killed.extend(tasks_alive())
            os.kill(killed[0], signal.SIGKILL)

    slow, methods = "supervised(patience=9, size=0.3)", ["ridge", "linear-probe"]
    options: dict[str, Any] = {"labels": 100, "seeds": 1, "budget": "400 steps"}
    first = compare(wine, methods=[slow, *methods], on="ray", workers=1, on_progress=kill, **options)
    errors = {entry.name: entry.error for entry in first.entries}
    assert errors.pop(slow) == "its worker of the Ray cluster died."
    assert set(errors) > set(methods)
    assert not any(errors.values())
    assert signal.getsignal(signal.SIGTERM) is handler, "after Ray, SIGTERM means what it meant before"

    def press(progress: CompareProgress) -> None:
        if any(name.startswith("supervised(") for name, _ in progress.running):
            raise KeyboardInterrupt

    second = compare(wine, methods=[slow, *methods], on="ray", on_progress=press, **options)
    assert [entry.name for entry in second.entries if entry.pending] == [slow]
    assert not tasks_alive()

    third = compare(wine, methods=[slow, *methods], on="ray", **options)
    here = compare(wine, methods=[slow, *methods], workers=0, fresh=True, **options)
    assert [entry.scores for entry in third.entries] == [entry.scores for entry in here.entries]
    assert [point.scores for point in third.label_curve] == [point.scores for point in here.label_curve]
