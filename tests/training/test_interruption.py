"""Ctrl-C: a run ends between two steps with a checkpoint, from which the same command goes on."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

import manyways as mw
from manyways.data.data import Data
from manyways.methods.supervised.supervised import Supervised
from manyways.training.checkpoint import NAME
from manyways.training.events import Event
from manyways.training.interruption import PYTHONS_OWN, between_steps
from manyways.training.run import Run


@pytest.fixture(scope="module")
def wine() -> Data:
    return mw.read("wine")


def press() -> None:
    """Ctrl-C."""
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.quick
def test_the_first_waits_and_the_second_does_not() -> None:
    with pytest.raises(KeyboardInterrupt), between_steps(True) as interrupted:
        assert not interrupted()
        press()
        assert interrupted()
        press()
        pytest.fail("the second one was not heard")
    assert signal.getsignal(signal.SIGINT) is PYTHONS_OWN


@pytest.mark.quick
def test_one_that_nobody_asked_for_is_raised_at_the_end() -> None:
    done = False
    with pytest.raises(KeyboardInterrupt), between_steps(True):
        press()
        done = True
    assert done


@pytest.mark.quick
def test_it_is_left_alone_where_it_is_not_wanted_or_another_s(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt), between_steps(False):
        press()
        pytest.fail("it was not heard")
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        with between_steps(True) as interrupted:
            press()
            assert not interrupted()
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT]


def test_other_threads_train_without_it(wine: Data, tmp_path: Path) -> None:
    models: list[mw.Model] = []
    thread = threading.Thread(
        target=lambda: models.append(Supervised().fit(wine, budget=5, run=Run(tmp_path, device="cpu")))
    )
    thread.start()
    thread.join()
    assert models[0].lineage.steps == 5


def test_a_run_ends_after_its_step_with_a_checkpoint_and_goes_on_bitwise(wine: Data, tmp_path: Path) -> None:
    whole = Supervised().fit(wine, budget=30)
    heard: list[Event] = []

    def impatient(event: Event) -> None:
        heard.append(event)
        if event.kind == "step" and event.step == 10:
            press()

    with pytest.raises(KeyboardInterrupt):
        Supervised().fit(wine, budget=30, run=Run(tmp_path, [impatient], checkpoint_seconds=1e9))
    assert [(event.kind, event.step) for event in heard] == [("start", 0), ("step", 10), ("checkpoint", 10)]
    resumed = Supervised().fit(wine, budget=30, run=Run(tmp_path, [heard.append]))
    assert (heard[3].kind, heard[3].step) == ("resume", 10)
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name]), name


def test_the_command_says_where_the_run_lies_and_goes_on(wine: Data, tmp_path: Path) -> None:
    place = tmp_path / "model"
    line = [sys.executable, "-m", "manyways", "fit", "supervised", "wine", "--budget", "800 steps", "--out", str(place)]
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}  # on a busy machine two threads wait for each other

    def command() -> "subprocess.Popen[str]":
        return subprocess.Popen(line, env=alone, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    with command() as process:
        while not any((tmp_path / "model.run").glob(f"*/{NAME}")):
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == 130, err
    assert out == ""
    assert "Traceback" not in err
    end = r"\S+ is kept at step (\d+) of 800, in (\S+)\. Type the same command again to go on\.\n$"
    said = re.search(f"interrupted: {end}", err)
    assert said, err
    assert int(said[1]) > 0, "only the checkpoint before the first step was kept"
    assert Path(said[2]) == tmp_path / "model.run"
    with command() as process:
        _, err = process.communicate()
    assert process.returncode == 0, err
    assert f"step {said[1]} of 800" in err
    assert not (tmp_path / "model.run").exists()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    whole = Supervised().fit(wine, budget=800).network.state_dict()
    torch.set_num_threads(threads)
    for name, tensor in mw.load(place).network.state_dict().items():
        assert torch.equal(tensor, whole[name]), name
