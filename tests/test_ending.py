"""SIGTERM is what Ctrl-C is: workers end, what is done is kept, and the message says how to go on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from manyways.training.checkpoint import NAME
from manyways.training.interruption import PYTHONS_OWN, between_steps, terminable, terminated

LINUX = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are found in /proc")


def start(*words: str, home: Path) -> "subprocess.Popen[str]":
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MANYWAYS_HOME": str(home)}
    line = [sys.executable, "-m", "manyways", *words]
    # A session of its own, so that the whole group can be told.
    return subprocess.Popen(
        line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def until(process: "subprocess.Popen[str]", there: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not there():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def children(of: int) -> list[int]:
    return [int(each) for path in Path(f"/proc/{of}/task").glob("*/children") for each in path.read_text().split()]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def comparing(home: Path) -> "subprocess.Popen[str]":
    words = ("compare", "wine", "--methods", "ridge,supervised", "--budget", "60s", "--seeds", "1", "--workers", "2")
    process = start(*words, home=home)
    until(process, lambda: any(home.rglob("outcome.json")) and any(home.rglob(NAME)))
    return process


@LINUX
@pytest.mark.parametrize("whole_group", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_comparison_ends_its_workers_and_keeps_what_is_done(home: Path, whole_group: bool) -> None:
    process = comparing(home)
    workers = children(process.pid)
    assert len(workers) == 2
    (os.killpg if whole_group else os.kill)(process.pid, signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert "Traceback" not in err
    assert "Interrupted: finished trainings are kept. Type the same command again to go on." in out
    assert "ridge" in out
    assert not any(alive(worker) for worker in workers)


@pytest.mark.slow
@LINUX
def test_workers_do_not_outlive_a_parent_that_was_killed(home: Path) -> None:
    process = comparing(home)
    workers = children(process.pid)
    process.kill()
    process.communicate()
    end = time.monotonic() + 20
    while any(map(alive, workers)):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_fit_keeps_its_step(home: Path, tmp_path: Path) -> None:
    place = tmp_path / "model"
    words = ("fit", "supervised", "wine", "--budget", "1500 steps", "--out", str(place))
    process = start(*words, home=home)
    until(process, lambda: any((tmp_path / "model.run").glob(f"*/{NAME}")))
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert "Traceback" not in err
    assert "is kept at step" in err
    assert "Type the same command again to go on." in err


@pytest.mark.slow
def test_a_forgetting_says_how_to_go_on(home: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    lines = [f"{at % 7},{at % 3},{'ab'[at % 2]},p{at % 20}" for at in range(200)]
    table.write_text("\n".join(["x,y,label,who", *lines]) + "\n")
    words = ("fit", "supervised", str(table), "--label", "label", "--role", "subject=who", "--budget", "4000 steps")
    done = start(*words, "--out", str(tmp_path / "model"), home=home)
    _, err = done.communicate(timeout=120)
    assert done.returncode == 0, err
    receipt = str(tmp_path / "receipt.json")
    process = start("forget", "--subject", "p3", "--yes", "--receipt", receipt, home=home)
    until(process, lambda: any(path.name == NAME for path in home.rglob(NAME)))
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert "Traceback" not in err
    assert "Type the same command again to go on, or manyways forget --abandon to give up." in err
    assert not Path(receipt).exists()


def test_a_sigterm_waits_for_the_step_as_ctrl_c_does() -> None:
    with pytest.raises(KeyboardInterrupt), terminable(), between_steps(True) as interrupted:
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupted()
        os.kill(os.getpid(), signal.SIGTERM)
        pytest.fail("the second one was not heard")
    assert terminated()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is PYTHONS_OWN


def test_it_waits_also_where_ctrl_c_is_not_heard() -> None:
    """A command that a script puts into the background ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        done = False
        with pytest.raises(KeyboardInterrupt), terminable(), between_steps(True) as interrupted:
            os.kill(os.getpid(), signal.SIGTERM)
            done = interrupted()
        assert done
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_outside_of_a_command_nothing_is_changed() -> None:
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with terminable():
        pass
    assert not terminated()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
