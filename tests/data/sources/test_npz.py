"""NumPy files: names of arrays, parts, streaming, refusals."""

from pathlib import Path

import numpy as np
import pytest

import manyways as mw
from manyways.data.sources import npz, rows
from manyways.errors import DataError

pytestmark = pytest.mark.quick

RNG = np.random.default_rng(0)
LABELS = np.array([0, 1, 2, 1])


IMAGES = RNG.integers(0, 256, (4, 5, 6), np.uint8)


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("X_train", "Y_train", "X_test", "Y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
    ],
)
def test_npz_parts(tmp_path: Path, names: tuple[str, ...]) -> None:
    arrays = (IMAGES, LABELS[:, None], IMAGES[:2], LABELS[:2, None])
    np.savez_compressed(tmp_path / "t.npz", **dict(zip(names, arrays, strict=True)), other=np.zeros(3))
    data = mw.read(tmp_path / "t.npz")
    assert data.part.tolist() == [0] * 4 + [2] * 2
    assert data.take("label").tolist() == [0, 1, 2, 1, 0, 1]
    assert np.array_equal(data.take("image")[4:, 0], IMAGES[:2])
    assert data.ignored == {"other": "is no array of inputs or labels by its name; its shape is (3,)"}


@pytest.mark.parametrize("names", [("images", "labels"), ("x", "y"), ("data", "target"), ("what", "ever")])
def test_npz_pairs(tmp_path: Path, names: tuple[str, str]) -> None:
    np.savez(tmp_path / "t.npz", **{names[0]: IMAGES, names[1]: LABELS})
    data = mw.read(tmp_path / "t.npz")
    assert np.array_equal(data.take("image")[:, 0], IMAGES)
    assert data.take("label").tolist() == LABELS.tolist()


def test_npz_refusals(tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    np.savez(path, one=IMAGES, two=IMAGES)
    with pytest.raises(DataError, match=r"holds one \(4, 5, 6\), two \(4, 5, 6\): which are inputs and which labels"):
        mw.read(path)
    np.savez(path, x=np.array([{}, []], object), y=LABELS[:2])
    with pytest.raises(DataError, match="holds Python objects, which only pickle can read"):
        mw.read(path)
    np.savez(path, x=IMAGES, y=LABELS)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="is damaged"):
        mw.read(path)


def test_large_members_are_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setattr(rows, "IN_MEMORY", 50)
    monkeypatch.setattr(npz, "CHUNK_BYTES", 60)
    np.savez_compressed(tmp_path / "t.npz", images=IMAGES / 255, labels=LABELS)
    data = mw.read(tmp_path / "t.npz")
    assert np.array_equal(data.take("image")[:, 0], IMAGES)
    assert list(home.rglob("*.rows"))


def test_npy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "t.npy", np.asfortranarray(IMAGES))
    assert np.array_equal(mw.read(tmp_path / "t.npy", label=LABELS).take("image")[:, 0], IMAGES)
    monkeypatch.setattr(npz, "IN_MEMORY", 50)
    np.save(tmp_path / "large.npy", IMAGES)
    data = mw.read(tmp_path / "large.npy", label=LABELS)
    assert np.array_equal(data.take("image")[:, 0], IMAGES)
    (tmp_path / "large.npy").write_bytes((tmp_path / "large.npy").read_bytes()[:200])
    with pytest.raises(DataError, match=r"is cut short: 120 bytes of values are announced, it holds 72"):
        mw.read(tmp_path / "large.npy")
    (tmp_path / "no.npy").write_bytes(b"not an array")
    with pytest.raises(DataError, match="is no NumPy array"):
        mw.read(tmp_path / "no.npy")
