"""Permissions: what holds rows is for its owner alone, whatever the umask, also where it was made with another mode."""

import os
import stat
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import manyways as mw
from manyways.cli.run_folder import RunFolder
from manyways.permissions import private_folder, tighten

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such modes")


@pytest.fixture(params=[0o000, 0o022, 0o027, 0o077, 0o277], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(place: Path) -> dict[str, int]:
    """The mode of `place` and of everything in it, by its name."""
    return {str(path): stat.S_IMODE(path.lstat().st_mode) for path in [place, *place.rglob("*")]}


def assert_private(*places: Path) -> None:
    for place in places:
        assert place.exists(), place
        for name, mode in modes(place).items():
            assert mode == (0o700 if Path(name).is_dir() else 0o600), (name, oct(mode))


def write_table(path: Path) -> Path:
    """A table that is too large to be kept in memory, so that it goes through the cache."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3000, 100)).round(3)
    lines = [",".join([*(f"x{at}" for at in range(100)), "label"])]
    lines += [",".join([*map(str, row), "ab"[int(row[0] > 0)]]) for row in rows.tolist()]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def use(home: Path, folder: Path, workers: int) -> list[Path]:
    """Unpack, train, keep and compare; the places where rows lie then."""
    place = write_table(folder / "table.csv")
    packed = folder / "table.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(place, "inner/table.csv")
    data = mw.read(packed, label="label")
    run = folder / "runs" / "first"
    (mw.Supervised(size=0.1) >> mw.FineTune()).fit(
        data, budget=4, run=mw.Run(run, checkpoint_seconds=0, store=mw.Store())
    )
    mw.compare(data, methods=["supervised(size=0.1)"], budget="2 steps", seeds=1, workers=workers)
    return [home / "cache", home / "comparisons", home / "store", run]


@pytest.mark.usefixtures("umask")
def test_everything_that_holds_rows_is_private(home: Path, tmp_path: Path) -> None:
    places = use(home, tmp_path, workers=0)
    assert_private(*places)
    with RunFolder.beside(tmp_path / "out", "0" * 32):
        assert_private(tmp_path / "out.run")
    assert any(path.suffix == ".rows" for path in places[0].iterdir())


def test_what_was_made_with_other_modes_is_tightened(home: Path, tmp_path: Path) -> None:
    places = use(home, tmp_path, workers=1)
    assert_private(*places)
    for place in places:
        for name in modes(place):
            Path(name).chmod(0o755 if Path(name).is_dir() else 0o644)
    use(home, tmp_path, workers=0)
    assert_private(*places)


def test_a_folder_that_others_use_keeps_its_mode(tmp_path: Path) -> None:
    """A run or a store in a folder with other files makes its own files private, and no others."""
    for name in ("run", "store"):
        (tmp_path / name).mkdir(mode=0o755)
        (tmp_path / name / "notes.txt").write_text("mine")
        (tmp_path / name / "notes.txt").chmod(0o644)
    run = mw.Run(tmp_path / "run", store=mw.Store(tmp_path / "store"), checkpoint_seconds=0)
    mw.Supervised(size=0.1).fit(mw.read("wine"), budget=2, run=run)
    for name in ("run", "store"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o755
        assert stat.S_IMODE((tmp_path / name / "notes.txt").stat().st_mode) == 0o644
    assert_private(tmp_path / "run" / "checkpoint.safetensors", tmp_path / "store" / "weights")
    assert_private(tmp_path / "store" / "store.db")


def test_links_are_not_followed_and_shared_folders_left_alone(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("x")
    elsewhere.chmod(0o644)
    held = tmp_path / "held"
    held.mkdir()
    (held / "link").symlink_to(elsewhere)
    (held / "program").write_text("x")
    (held / "program").chmod(0o755)
    tighten(held)
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o644
    assert stat.S_IMODE((held / "program").stat().st_mode) == 0o700
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    private_folder(shared)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777
