"""IDX files: parts, labels, types, damage."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

import manyways as mw
from manyways.data.sources import idx, rows
from manyways.data.storage import loaded
from manyways.errors import DataError

pytestmark = pytest.mark.quick

RNG = np.random.default_rng(0)
LABELS = np.array([0, 1, 2, 1])


def idx_bytes(values: np.ndarray) -> bytes:
    code = {"uint8": 8, "int8": 9, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}[values.dtype.name]
    head = struct.pack(f">HBB{values.ndim}I", 0, code, values.ndim, *values.shape)
    return head + values.astype(values.dtype.newbyteorder(">")).tobytes()


IMAGES = RNG.integers(0, 256, (4, 5, 6), np.uint8)


def test_idx_folder_of_parts(tmp_path: Path) -> None:
    for part, count in (("train", 4), ("t10k", 2)):
        packed = gzip.compress(idx_bytes(IMAGES[:count]))
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(packed)
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx_bytes(LABELS[:count].astype(np.uint8)))
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(IMAGES))  # beside its packed copy
    data = mw.read(tmp_path)
    assert data.part.tolist() == [0] * 4 + [2] * 2
    assert np.array_equal(data.take("image"), np.concatenate([IMAGES, IMAGES[:2]])[:, None])
    assert data.take("label").tolist() == [0, 1, 2, 1, 0, 1]
    one = mw.read(tmp_path / "t10k-images-idx3-ubyte.gz")
    assert len(one) == 2
    assert one.take("label").tolist() == [0, 1]


@pytest.mark.parametrize("kind", ["uint8", "int8", "int16", "int32", "float32", "float64"])
def test_idx_types(tmp_path: Path, kind: str) -> None:
    values = RNG.integers(-100, 100, (4, 3)).astype(kind)
    (tmp_path / "data-idx2").write_bytes(idx_bytes(values))
    read = loaded(idx.read(tmp_path / "data-idx2"))
    assert read.dtype == values.dtype
    assert np.array_equal(read, values)


@pytest.mark.parametrize("packed", [False, True])
def test_large_idx_files_are_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool, home: Path
) -> None:
    monkeypatch.setattr(rows, "IN_MEMORY", 50)
    monkeypatch.setattr(idx, "IN_MEMORY", 50)
    monkeypatch.setattr(idx, "CHUNK_BYTES", 60)
    content = idx_bytes(IMAGES)
    path = tmp_path / ("train-images-idx3-ubyte" + (".gz" if packed else ""))
    path.write_bytes(gzip.compress(content) if packed else content)
    read = idx.read(path)
    assert isinstance(read, np.memmap)
    assert np.array_equal(read, IMAGES)
    assert len(list(home.rglob("*.rows"))) == packed
    path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1")).write_bytes(
        gzip.compress(idx_bytes(LABELS.astype(np.uint8))) if packed else idx_bytes(LABELS.astype(np.uint8))
    )
    data = mw.read(path, test=path)
    assert np.array_equal(data.take("image")[[0, 5]], IMAGES[:2, None])
    assert np.array_equal(data.test.take("image"), IMAGES[:, None])


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no IDX file: .* it begins with nothing"),
        (b"\1\0\x08\x01\0\0\0\0", "is no IDX file: .* it begins with 01 00 08 01"),
        (b"\0\0\x07\x01\0\0\0\0", "is no IDX file"),
        (b"\0\0\x08\x03\0\0\0\1", "cut short: it ends within its header"),
        (idx_bytes(IMAGES)[:-1], "cut short: its header announces 4x5x6 values in 120 bytes, it holds 119"),
        (idx_bytes(IMAGES) + b"0", "too long|holds more than the 120 bytes"),
    ],
)
def test_damaged_idx(tmp_path: Path, content: bytes, message: str, packed: bool) -> None:
    path = tmp_path / ("train-images-idx3-ubyte" + (".gz" if packed else ""))
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DataError, match=message):
        mw.read(path)


def test_idx_labels_of_another_length(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(IMAGES))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(LABELS[:3].astype(np.uint8)))
    with pytest.raises(DataError, match=r"has 4 rows, but .*train-labels-idx1-ubyte has 3"):
        mw.read(tmp_path)
