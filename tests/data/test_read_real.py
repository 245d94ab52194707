"""read on real data sets, and on a long table."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import manyways as mw
from manyways.errors import DataError


def test_fashion_mnist(real_data: Callable[[str], Path]) -> None:
    data = mw.read(real_data("fashion-mnist"))
    assert np.bincount(data.part).tolist() == [60_000, 0, 10_000]
    assert data.inputs[0].values.shape == (70_000, 1, 28, 28)
    assert len(data.classes) == 10
    assert np.bincount(data.test.take("label")).tolist() == [1000] * 10
    assert data.take("label")[:3].tolist() == [9, 0, 0]


def test_sst2(real_data: Callable[[str], Path]) -> None:
    data = mw.read(real_data("sst2"), label="column_1")
    assert np.bincount(data.part).tolist() == [6920, 872, 1821]
    assert data.inputs[0].kind == "text"
    assert data.classes == (0, 1)
    assert data.take("column_0")[0].startswith("a stirring , funny and finally transporting")


def test_banking77(real_data: Callable[[str], Path]) -> None:
    data = mw.read(real_data("banking77"), label="category")
    assert np.bincount(data.part).tolist() == [10_003, 0, 3_080]
    assert len(data.classes) == 77
    assert data.columns["text"].kind == "text"


def test_gsm8k(real_data: Callable[[str], Path]) -> None:
    data = mw.read(real_data("gsm8k"), prompt="question", completion="answer")
    assert np.bincount(data.part).tolist() == [7473, 0, 1319]
    assert "####" in data.take("answer")[0]


def test_fsdd(real_data: Callable[[str], Path]) -> None:
    pytest.importorskip("soundfile")
    archive = real_data("fsdd") / "recordings.zip"
    with pytest.raises(DataError, match=r"recordings.zip holds 3,000 files side by side.*label_pattern="):
        mw.read(archive)
    pattern = r"(?P<digit>\d)_(?P<speaker>\w+)_(?P<take>\d+)"
    data = mw.read(archive, label="digit", subject="speaker", input="audio", label_pattern=pattern)
    assert len(data) == 3000
    assert data.inputs[0].kind == "audio"
    assert data.inputs[0].rate == 8000
    assert data.classes == tuple(range(10))
    assert len(set(data.take("speaker"))) == 6
    assert np.abs(data.take("audio")).max(axis=1).min() > 0


def test_long_tables_read_without_python_loops(tmp_path: Path) -> None:
    from manyways.data.inference.values import load
    from manyways.data.sources.base import Options

    frame = pl.DataFrame({f"c{i}": np.random.default_rng(i).integers(0, 1000, 200_000) for i in range(10)})
    frame.write_csv(tmp_path / "long.csv")
    start = time.process_time()
    table = load(tmp_path / "long.csv", Options())
    assert time.process_time() - start < 10  # Python alone takes longer for two million cells
    assert table.columns["c3"].values.dtype == np.int64
    assert np.array_equal(table.columns["c3"].values, frame["c3"].to_numpy())
