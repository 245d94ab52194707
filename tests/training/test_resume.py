"""Killed at any moment and resumed, a run ends with bitwise the same weights."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import manyways as mw
from manyways.errors import ModelError, TrainingError
from manyways.models.model import Model
from manyways.training import checkpoint
from manyways.training.checkpoint import NAME, Checkpoint, read_checkpoint, write_checkpoint
from manyways.training.run import Run

SCRIPT = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
import manyways as mw
from manyways.training.run import Run

method, folder, die_at, how = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def follow(event):
    if how == "between" and event.kind == "checkpoint" and event.step >= die_at:
        die()

if how == "within":  # after the new checkpoint is written, before it takes the place of the old one
    written, replace = [0], Path.replace
    def killing(self, target):
        written[0] += self.name.startswith(".checkpoint.safetensors.")
        if written[0] == die_at:
            die()
        return replace(self, target)
    Path.replace = killing

data = mw.read("digits").with_labels(40, draw="stratified")
run = Run(folder, [follow], checkpoint_seconds=0)
mw.parse_method(method).fit(data, budget="24 steps", seed=3, run=run).save(folder / "done")
"""


def run_script(method: str, folder: Path, die_at: int, how: str) -> int:
    command = [sys.executable, "-c", SCRIPT, method, str(folder), str(die_at), how]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode


def same_weights(one: Model, other: Model) -> bool:
    a, b = one.network.state_dict(), other.network.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    ("method", "die_at", "how"),
    [
        ("fixmatch", 7, "between"),
        ("fixmatch(threshold_rule='flexmatch')", 5, "within"),
        ("simclr(batch_size=32) >> fine-tune", 5, "between"),
    ],
)
def test_killed_and_resumed_ends_with_the_same_weights(tmp_path: Path, method: str, die_at: int, how: str) -> None:
    assert run_script(method, tmp_path / "killed", die_at, how) == -9
    assert not (tmp_path / "killed" / "done").exists()
    assert run_script(method, tmp_path / "killed", 10**9, how) == 0
    assert run_script(method, tmp_path / "whole", 10**9, how) == 0
    assert same_weights(mw.load(tmp_path / "killed" / "done"), mw.load(tmp_path / "whole" / "done"))


def test_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    data = mw.read("digits").with_labels(40, draw="stratified")
    mw.Supervised().fit(data, budget="3 steps", run=Run(tmp_path, checkpoint_seconds=0))
    with pytest.raises(ModelError, match="another run"):
        mw.Supervised().fit(data, budget="3 steps", seed=1, run=Run(tmp_path, checkpoint_seconds=0))


@pytest.mark.quick
def test_checkpoint_returns_what_was_written(tmp_path: Path) -> None:
    tensors = {"learner.a": torch.randn(3, 2), "optimizer.0.step": torch.tensor(4.0)}
    write_checkpoint(tmp_path, Checkpoint(tensors, {"identity": "x", "progress": 1}))
    back = read_checkpoint(tmp_path, "x")
    assert back is not None
    assert back.facts == {"identity": "x", "progress": 1}
    assert torch.equal(back.under("learner")["a"], tensors["learner.a"])
    assert list(back.under("optimizer")) == ["0.step"]


@pytest.mark.quick
def test_damaged_checkpoint_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"\x00" * 100)
    with pytest.raises(ModelError, match="delete it to begin the run again"):
        read_checkpoint(tmp_path, "x")


@pytest.mark.quick
def test_full_disk_keeps_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Checkpoint({"a": torch.ones(2)}, {"identity": "x"})
    write_checkpoint(tmp_path, before)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(TrainingError, match="the disk is full"):
        write_checkpoint(tmp_path, Checkpoint({"a": torch.zeros(2)}, {"identity": "x"}))
    back = read_checkpoint(tmp_path, "x")
    assert back is not None
    assert torch.equal(back.tensors["a"], torch.ones(2))
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
