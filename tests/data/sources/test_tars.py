"""Tar archives: read like the folder they hold, within limits."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import manyways as mw
from manyways.data.sources import archives
from manyways.errors import DataError

pytestmark = pytest.mark.quick


def png(value: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(out, "PNG")
    return out.getvalue()


def tar(path: Path, *members: tuple[str, bytes], link: str = "") -> Path:
    ending = path.name.rpartition(".")[2]
    with tarfile.open(path, {"tar": "w", "tgz": "w:gz"}.get(ending, f"w:{ending}")) as out:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo("top/link.png")
            info.type, info.linkname = tarfile.SYMTYPE, link
            out.addfile(info)
    return path


PICTURES = [(f"top/{word}/{row}.png", png(row)) for word in ("cat", "dog") for row in range(3)]


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tgz", "tar.bz2", "tar.xz"])
def test_a_tar_is_read_like_its_folder(tmp_path: Path, ending: str) -> None:
    data = mw.read(tar(tmp_path / f"pictures.{ending}", *PICTURES))
    assert (len(data), data.name, sorted(set(data.take("label")))) == (6, "pictures", ["cat", "dog"])


@pytest.mark.parametrize(
    ("name", "message"),
    [("../x.png", "points outside"), ("/etc/x.png", "points outside"), ("top/../../x.png", "points outside")],
)
def test_members_outside_are_refused(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        mw.read(tar(tmp_path / "x.tar", *PICTURES, (name, png(0))))
    assert not list(tmp_path.parent.glob("x.png"))


def test_links_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file but a link"):
        mw.read(tar(tmp_path / "x.tar", *PICTURES, link="/etc/passwd"))


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tar.xz", "tar.bz2"])
def test_a_tar_that_is_cut_short_is_refused(tmp_path: Path, ending: str) -> None:
    path = tar(tmp_path / f"x.{ending}", *PICTURES, ("top/cat/noise.png", np.random.default_rng(0).bytes(1 << 16)))
    path.write_bytes(path.read_bytes()[: len(path.read_bytes()) // 2])
    with pytest.raises(DataError, match=r"x\.tar.* is damaged"):
        mw.read(path)


def test_a_tar_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "ALWAYS", 1 << 20)
    path = tar(tmp_path / "bomb.tar.xz", ("top/cat/0.png", bytes(64 << 20)))
    with pytest.raises(DataError, match="unpacks to more than"):
        mw.read(path)
    assert not list(archives.cache_folder().glob("*bomb*"))
