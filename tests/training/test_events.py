"""Events: what a run tells, and that every sink really keeps it."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import manyways as mw
from manyways.errors import ManywaysError
from manyways.methods.method import Method
from manyways.methods.self_supervised.simclr import SimCLR
from manyways.methods.supervised.supervised import Supervised
from manyways.training.events import Event, JsonLines, Listener, MLflow, TensorBoard
from manyways.training.run import Run

STEP = Event("step", "2-fixmatch", 20, 100, 1.5, {"loss": 0.5, "confident": 0.25})


def follow(listener: Listener, method: Method | None = None, steps: int = 20) -> list[Event]:
    """The events of a small run that `listener` follows, too."""
    heard: list[Event] = []
    run = Run(listeners=[heard.append, listener])
    (method or Supervised()).fit(mw.read("wine"), budget=steps, run=run)
    return heard


def losses(events: list[Event]) -> dict[int, float]:
    """The loss of every step that was told."""
    return {event.step: event.values["loss"] for event in events if event.kind == "step"}


@pytest.mark.quick
def test_an_event_is_plain_json_without_the_model() -> None:
    event = Event("evaluate", "", 5, 10, 0.5, {"loss": 1.0}, model=lambda: pytest.fail("the model was made"))
    said = json.loads(json.dumps(event.to_json()))
    assert said == {
        "kind": "evaluate", "stage": "", "step": 5, "steps": 10, "seconds": 0.5, "values": {"loss": 1.0},
    }  # fmt: skip


@pytest.mark.quick
def test_values_are_named_by_their_stage_where_there_is_one() -> None:
    assert STEP.named_values() == {"2-fixmatch/loss": 0.5, "2-fixmatch/confident": 0.25}
    assert Event("step", "", 1, 2, 0.0, {"loss": 1.0}).named_values() == {"loss": 1.0}


def test_lines_hold_every_event_in_order(tmp_path: Path) -> None:
    path = tmp_path / "made" / "for it" / "events.jsonl"
    heard = follow(JsonLines(path))
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line.pop("time") > 1.7e9 for line in lines] == [True] * len(lines)
    assert lines == [event.to_json() for event in heard]
    assert [line["kind"] for line in lines] == ["start", "step", "step", "end"]


@pytest.mark.quick
def test_lines_of_a_run_that_goes_on_follow_those_before(tmp_path: Path) -> None:
    for _ in range(2):
        JsonLines(tmp_path / "events.jsonl")(STEP)
    first, second = (tmp_path / "events.jsonl").read_text().splitlines()
    assert json.loads(first)["values"] == json.loads(second)["values"] == {"loss": 0.5, "confident": 0.25}


# --- TensorBoard ---------------------------------------------------------------------------------


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """What TensorBoard itself reads from `folder`: values by tag and step."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder))
    read.Reload()
    return {tag: {point.step: point.value for point in read.Scalars(tag)} for tag in read.Tags()["scalars"]}


def test_tensorboard_reads_what_a_run_wrote(tmp_path: Path) -> None:
    heard = follow(TensorBoard(tmp_path))
    assert scalars(tmp_path) == {"loss": pytest.approx(losses(heard))}
    assert sorted(losses(heard)) == [10, 20]


def test_tensorboard_tells_stages_apart(tmp_path: Path) -> None:
    heard = follow(TensorBoard(tmp_path), SimCLR(batch_size=16) >> Supervised(), steps=40)
    found = scalars(tmp_path)
    assert {"1-simclr/loss", "2-supervised/loss"} <= set(found)
    assert found["2-supervised/loss"] == pytest.approx(losses([e for e in heard if e.stage == "2-supervised"]))


@pytest.mark.quick
def test_tensorboard_has_everything_of_a_run_that_was_ended_early(tmp_path: Path) -> None:
    sink = TensorBoard(tmp_path)
    sink(STEP)
    sink(Event("stop", "2-fixmatch", 40, 100, 3.0))
    assert scalars(tmp_path) == {"2-fixmatch/loss": {20: 0.5}, "2-fixmatch/confident": {20: 0.25}}


# --- MLflow --------------------------------------------------------------------------------------


of_mlflow = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")
"""MLflow uses what SQLAlchemy gives up."""


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's database without a run: making one takes seconds."""
    import mlflow

    path, before = tmp_path_factory.mktemp("mlflow") / "empty.db", mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{path}")
    mlflow.search_experiments()
    mlflow.set_tracking_uri(before)
    return path


@pytest.fixture
def mlflow(empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """MLflow with a database of its own, and no run left over."""
    import mlflow as found

    shutil.copy(empty_database, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # so that it is put back: MLflow sets it, too
    before = found.get_tracking_uri()
    found.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    yield found
    found.end_run()
    found.set_tracking_uri(before)


def history(mlflow: Any, run: str, name: str) -> dict[int, float]:
    """The values of a metric by step, as MLflow has them."""
    return {point.step: point.value for point in mlflow.MlflowClient().get_metric_history(run, name)}


@of_mlflow
def test_mlflow_holds_what_a_run_told(mlflow: Any) -> None:
    with mlflow.start_run() as run:
        heard = follow(MLflow())
    assert history(mlflow, run.info.run_id, "loss") == pytest.approx(losses(heard))
    assert sorted(losses(heard)) == [10, 20]


@of_mlflow
def test_mlflow_tells_stages_apart_and_opens_a_run_where_none_is(mlflow: Any) -> None:
    sink = MLflow(experiment="ours")
    sink(Event("start", "2-fixmatch", 0, 100, 0.0))
    assert mlflow.active_run() is None, "nothing to log yet"
    sink(STEP)
    run = mlflow.active_run()
    assert history(mlflow, run.info.run_id, "2-fixmatch/confident") == {20: 0.25}
    assert mlflow.get_experiment(run.info.experiment_id).name == "ours"


@of_mlflow
def test_mlflow_ends_the_run_that_it_opened_and_the_next_training_has_its_own(mlflow: Any) -> None:
    first, second = MLflow("first"), MLflow("second")
    heard = follow(first)
    assert mlflow.active_run() is None
    follow(second)
    runs = [
        run for name in ("first", "second") for run in mlflow.search_runs(experiment_names=[name], output_format="list")
    ]
    assert len(runs) == 2
    assert [run.info.status for run in runs] == ["FINISHED"] * 2
    assert history(mlflow, runs[0].info.run_id, "loss") == pytest.approx(losses(heard))


@of_mlflow
def test_mlflow_keeps_the_stages_of_a_chain_in_one_run(mlflow: Any) -> None:
    sink = MLflow("chain")
    follow(sink, Supervised() >> Supervised())
    (run,) = mlflow.search_runs(experiment_names=["chain"], output_format="list")
    assert {name.split("/")[0] for name in run.data.metrics} == {"1-supervised", "2-supervised"}


@of_mlflow
def test_mlflow_logs_locally_without_a_server_or_a_setting(empty_database: Path, tmp_path: Path) -> None:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    script = (
        "import manyways as mw; from manyways.training.events import MLflow; "
        "mw.Supervised(size=0.25).fit('wine', budget=10, run=mw.Run(listeners=[MLflow('first')]))"
    )
    alone = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=alone, check=True)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as db:
        logged = db.execute("SELECT key, step FROM metrics").fetchall()
        runs = db.execute(
            "SELECT runs.status, experiments.name FROM runs JOIN experiments USING (experiment_id)"
        ).fetchall()
    assert logged == [("loss", 10)]
    assert runs == [("FINISHED", "first")]


@of_mlflow
def test_where_mlflow_cannot_log_it_is_said_before_training(mlflow: Any) -> None:
    mlflow.set_tracking_uri("nowhere://else")
    with pytest.raises(ManywaysError, match=r"cannot log to nowhere://else: .*Set MLFLOW_TRACKING_URI to a server"):
        MLflow()


# --- where they are not installed ----------------------------------------------------------------


@pytest.mark.quick
@pytest.mark.parametrize(
    ("module", "make", "extra"),
    [
        ("torch.utils.tensorboard", TensorBoard, "tensorboard"),
        ("mlflow", lambda folder: MLflow(), "mlflow"),
    ],
)
def test_a_missing_package_is_told_with_what_to_install(
    module: str, make: Any, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ManywaysError, match=rf"is not installed: pip install 'manyways\[{extra}\]'"):
        make(tmp_path)
