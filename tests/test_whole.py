"""Files and folders that are there whole or not at all, whatever happens while they are written."""

import errno
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

import manyways as mw
from manyways import whole as whole_module
from manyways.cli import main
from manyways.errors import DataError, ManywaysError, ModelError, TrainingError
from manyways.models import saving, weights
from manyways.training import checkpoint
from manyways.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from manyways.whole import whole, write_whole


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def full_in_rust(*_: Any, **__: Any) -> None:
    raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what the disk itself was told to hold, and of what was moved, in order."""
    order: list[str] = []
    really, replace, rename = whole_module.sync, Path.replace, Path.rename

    def sync(path: Path) -> None:
        order.append(f"sync {path.name.split('.')[1] if path.name.endswith('.part') else path.name}")
        really(path)

    monkeypatch.setattr(whole_module, "sync", sync)
    monkeypatch.setattr(Path, "replace", lambda self, to: (order.append("move"), replace(self, to))[1])
    monkeypatch.setattr(Path, "rename", lambda self, to: (order.append("move"), rename(self, to))[1])
    return order


def test_a_file_is_on_the_disk_before_it_takes_its_place(tmp_path: Path, synced: list[str]) -> None:
    write_whole(tmp_path / "results", "text")
    assert synced == ["sync results", "move", f"sync {tmp_path.name}"]


def test_a_model_is_on_the_disk_before_it_takes_its_place(tmp_path: Path, synced: list[str]) -> None:
    model = mw.Ridge().fit(mw.read("wine"))
    model.save(tmp_path / "model")
    first = synced.index("move")
    assert {"sync weights", "sync rows", "sync model"} <= {name.removesuffix(".safetensors") for name in synced[:first]}
    assert synced[first + 1 :] == [f"sync {tmp_path.name}"]


def test_a_full_disk_says_what_is_needed_and_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_whole(tmp_path / "results.json", "before")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DataError) as raised:
        write_whole(path, "x" * 2_500_000)
    said = str(raised.value)
    assert said.startswith(f"Cannot write {path}: the disk is full (2.5 MB are needed, ")
    assert "are free); what was there before is as it was" in said
    assert path.read_text() == "before"
    assert names_in(tmp_path) == ["results.json"]


@pytest.mark.parametrize("fault", [full, full_in_rust])
def test_a_full_disk_leaves_the_model_that_was_there(
    fault: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = mw.Ridge().fit(mw.read("wine"))
    other = mw.Ridge(penalty=3.0).fit(mw.read("wine"))
    folder = first.save(tmp_path / "model")
    for place, name in ((weights, "save_file"), (saving, "save_file")):
        with monkeypatch.context() as patched:
            patched.setattr(place, name, fault)
            with pytest.raises(
                ModelError, match=r"cannot be written to .*model: the disk is full \(.* are needed, .* --out"
            ):
                other.save(folder)
        assert mw.load(folder).lineage.to_json() == first.lineage.to_json()
        assert names_in(tmp_path) == ["model"]


def test_a_model_comes_back_where_another_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = mw.Ridge().fit(mw.read("wine"))
    folder, rename = first.save(tmp_path / "model"), Path.rename

    def rename_(self: Path, to: Path) -> Path:
        if self.name.endswith(".part"):
            full()
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", rename_)
    with pytest.raises(ModelError, match="the disk is full"):
        first.save(folder)
    assert mw.load(folder).lineage.to_json() == first.lineage.to_json()
    assert names_in(tmp_path) == ["model"]


@pytest.mark.parametrize("fault", [full, full_in_rust])
def test_a_full_disk_leaves_the_checkpoint_that_was_there(
    fault: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoint(tmp_path, Checkpoint({"learner.a": torch.ones(3)}, {"identity": "me"}))
    monkeypatch.setattr(checkpoint, "save_file", fault)
    with pytest.raises(TrainingError, match=r"the disk is full \(4,000 bytes are needed"):
        write_checkpoint(tmp_path, Checkpoint({"learner.a": torch.ones(1_000)}, {"identity": "me"}))
    kept = read_checkpoint(tmp_path, "me")
    assert kept is not None
    assert kept.tensors["learner.a"].tolist() == [1, 1, 1]
    assert len(names_in(tmp_path)) == 1


def test_what_is_no_fault_of_the_system_passes_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), whole(tmp_path / "a", DataError, "what", "advice") as part:
        part.write_text("half")
        raise ZeroDivisionError
    assert names_in(tmp_path) == []


def test_an_error_of_ours_passes_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ManywaysError, match="^mine$"), whole(tmp_path / "a", DataError, "what", "advice"):
        raise DataError("mine")


def test_predictions_on_a_full_disk_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mw.Ridge().fit(mw.read("wine")).save(tmp_path / "model")
    out = tmp_path / "out.csv"
    out.write_text("before")
    monkeypatch.setattr(Path, "write_bytes", full)
    assert main(["predict", str(tmp_path / "model"), "wine", "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert f"error: Cannot write {out}: the disk is full (" in error
    assert "Traceback" not in error
    assert out.read_text() == "before"


def test_a_full_disk_anywhere_else_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from manyways.comparison import compare

    monkeypatch.setattr(compare, "save_table", full)
    assert main(["compare", "wine", "--methods", "ridge", "--seeds", "1", "--budget", "1 steps"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: The disk is full")
