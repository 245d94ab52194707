"""Rows in files: indexed without being loaded, written whole or not at all."""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from manyways.data import storage
from manyways.data.storage import FileRows, chunks_of, home_folder, open_rows, row_numbers, write_rows
from manyways.errors import DataError

pytestmark = pytest.mark.quick


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Path, NDArray[Any]]:
    """A file with a head of 16 bytes, and the rows behind it."""
    values = np.random.default_rng(0).integers(-30000, 30000, (200, 2, 5), np.int16)
    path = tmp_path / "values.rows"
    path.write_bytes(b"h" * 16 + values.tobytes())
    return path, values


ASKED = [
    np.array([0]),
    np.array([199, 0, 0, 57, 58, 59, 58]),
    np.arange(200),
    np.arange(199, -1, -1),
    np.array([-1, -200, 5]),
    np.arange(200) % 3 == 1,
    np.array([], np.int64),
    np.random.default_rng(1).integers(0, 200, 64),
]


@pytest.mark.parametrize("numbers", ASKED, ids=range(len(ASKED)))
def test_rows_read_on_demand_are_those_of_a_mapping_bit_for_bit(
    stored: tuple[Path, NDArray[Any]], numbers: NDArray[Any]
) -> None:
    path, values = stored
    read, mapped = FileRows(path, values.shape, np.int16, 16), np.memmap(path, np.int16, "r", 16, values.shape)
    for each in (read, mapped):
        found = np.asarray(each[numbers])
        assert found.dtype == np.int16
        assert np.array_equal(found, values[numbers])
    assert (read.shape, read.dtype, len(read)) == (mapped.shape, mapped.dtype, len(mapped))


def test_other_byte_orders_are_kept(tmp_path: Path) -> None:
    values = np.array([[1.5, -2.0], [3.0, 4.0]], ">f4")
    path = tmp_path / "x"
    path.write_bytes(values.tobytes())
    assert np.array_equal(FileRows(path, (2, 2), ">f4")[np.array([1, 0])], values[::-1])


@pytest.mark.parametrize("numbers", [np.array([200]), np.array([-201]), np.array([0, 1000])])
def test_rows_that_are_not_there_are_refused(stored: tuple[Path, NDArray[Any]], numbers: NDArray[Any]) -> None:
    path, values = stored
    with pytest.raises(IndexError):
        FileRows(path, values.shape, np.int16, 16)[numbers]


def test_row_numbers_are_what_indexing_means() -> None:
    assert row_numbers(np.array([-1, 2]), 5).tolist() == [4, 2]
    assert row_numbers(np.array([True, False, True]), 3).tolist() == [0, 2]
    with pytest.raises(IndexError, match="below 5; got 5"):
        row_numbers(np.array([0, 5]), 5)


def test_a_file_that_shrinks_while_it_is_read_is_named(stored: tuple[Path, NDArray[Any]]) -> None:
    path, values = stored
    rows = FileRows(path, values.shape, np.int16, 16)
    with path.open("r+b") as file:
        file.truncate(1000)
    assert np.array_equal(rows[np.array([3])], values[[3]])
    with pytest.raises(DataError, match=r"values\.rows ends before row 150"):
        rows[np.array([150])]


def test_rows_are_mapped_unless_the_address_space_is_tight(
    stored: tuple[Path, NDArray[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, values = stored
    assert isinstance(open_rows(path, values.shape, np.int16, 16), np.memmap)
    monkeypatch.setattr(storage, "_address_space", lambda: float(values.nbytes * 7))
    tight = open_rows(path, values.shape, np.int16, 16)
    assert isinstance(tight, FileRows)
    assert np.array_equal(tight[np.arange(200)], values)


def test_writing_to_mapped_rows_leaves_the_file_alone(stored: tuple[Path, NDArray[Any]]) -> None:
    path, values = stored
    rows = open_rows(path, values.shape, np.int16, 16)
    assert isinstance(rows, np.memmap)
    rows[0] = 7
    assert np.array_equal(np.asarray(open_rows(path, values.shape, np.int16, 16)), values)


def test_a_short_file_is_refused_and_no_rows_are_no_rows(stored: tuple[Path, NDArray[Any]], tmp_path: Path) -> None:
    path, _ = stored
    with pytest.raises(DataError, match=r"holds 4,000 bytes of rows; 4,020 were expected. Delete it and read again"):
        open_rows(path, (201, 2, 5), np.int16, 16)
    (tmp_path / "empty").touch()
    assert open_rows(tmp_path / "empty", (0, 3), np.int16).shape == (0, 3)


def pieces(values: NDArray[Any]) -> Iterator[NDArray[Any]]:
    return (values[rows] for rows in chunks_of(len(values), 30))


def test_what_is_written_is_what_is_opened(tmp_path: Path) -> None:
    values = np.arange(700).reshape(100, 7)
    rows = write_rows(tmp_path / "new" / "a.rows", pieces(values), values.shape, np.int32)
    assert rows.dtype == np.int32
    assert np.array_equal(rows[np.arange(100)], values)
    assert [each.name for each in (tmp_path / "new").iterdir()] == ["a.rows"]


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        ([np.zeros((5, 3))], "5 rows were made, 10 expected"),
        ([np.zeros((11, 3))], "11 rows were made, 10 expected"),
        ([np.zeros((5, 3)), np.zeros((5, 4))], r"rows of shape \(4,\) among rows of \(3,\)"),
    ],
)
def test_chunks_that_do_not_add_up_leave_nothing(tmp_path: Path, chunks: list[NDArray[Any]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        write_rows(tmp_path / "a.rows", iter(chunks), (10, 3), np.float64)
    assert not list(tmp_path.iterdir())


class Full:
    """A file on a disk that has room for one write."""

    def __init__(self, file: Any) -> None:
        self._file, self._room = file, 1

    def __enter__(self) -> "Full":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: Any) -> int:
        if not self._room:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._room -= 1
        return int(self._file.write(data))


def test_a_full_disk_is_said_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.rows"
    write_rows(path, [np.zeros((10, 3))], (10, 3), np.float64)
    before = path.read_bytes()
    really_open = Path.open

    def open_(self: Path, mode: str = "r", *rest: Any, **more: Any) -> Any:
        file = really_open(self, mode, *rest, **more)
        return Full(file) if mode == "wb" else file

    monkeypatch.setattr(Path, "open", open_)
    with pytest.raises(
        DataError, match=r"a\.rows cannot be written: the disk is full \(2,400 bytes are needed, .*MANYWAYS_HOME"
    ):
        write_rows(path, pieces(np.ones((100, 3))), (100, 3), np.float64)
    monkeypatch.undo()
    assert [each.name for each in tmp_path.iterdir()] == ["a.rows"]
    assert path.read_bytes() == before


def test_other_faults_of_the_disk_are_not_called_full(tmp_path: Path) -> None:
    def chunks() -> Iterator[NDArray[Any]]:
        yield np.zeros((1, 3))
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(DataError, match="cannot be written: Input/output error"):
        write_rows(tmp_path / "a.rows", chunks(), (10, 3), np.float64)
    assert not list(tmp_path.iterdir())


def test_chunks_cover_the_rows_once_and_are_bounded_in_rows_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "CHUNK_BYTES", 1000)
    for count, each, longest in [(10_000, 1, 1000), (10, 1, 10), (100, 300, 3), (5, 5000, 1), (0, 1, 0)]:
        parts = list(chunks_of(count, row_bytes=each))
        assert np.array_equal(np.concatenate([np.empty(0, int), *parts]), np.arange(count))
        assert max(map(len, parts), default=0) == longest
    assert max(map(len, chunks_of(10_000, 20))) == 20


def test_home_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MANYWAYS_HOME", str(tmp_path))
    assert home_folder() == tmp_path
    assert storage.cache_folder() == tmp_path / "cache"
    assert (tmp_path / "cache").is_dir()
    monkeypatch.delenv("MANYWAYS_HOME")
    assert home_folder().name == "manyways"
