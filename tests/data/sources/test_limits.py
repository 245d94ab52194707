"""Small files that claim much: refused before memory is taken, with the limit; large honest ones are read."""

import gzip
import io
import json
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import manyways as mw
from manyways.data.inference import series
from manyways.data.sources import archives, limits, npz, parquet, running_text
from manyways.errors import DataError

from .refusing import HUGE, refused, written

# --- arrays --------------------------------------------------------------------------------------


def npy(shape: str, descr: str = "<f8", body: bytes = bytes(64), fortran: bool = False) -> bytes:
    header = f"{{'descr': {descr!r}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("shape", "descr", "match"),
    [
        ("(1000000000000, 10)", "<f8", "cut short: 80,000,000,000,000 bytes of values are announced"),
        (f"({1 << 62}, {1 << 62})", "<f8", "cut short"),
        ("(-5, 3)", "<f8", r"its header announces the shape \(-5, 3\)"),
        ("(True, 3)", "<f8", "its header announces the shape"),
        ("(1000000000000, 0)", "<f8", "rows without values"),
        ("(1000000000000,)", "<U0", "rows without values"),
        ("(1,)", "<U100000000", "cut short"),
        ("(3,", "<f8", "is no NumPy array: "),
        ("(3, " + "(" * 900 + ")" * 900 + ")", "<f8", "is no NumPy array: "),
    ],
)
def test_arrays_that_claim_more_than_there_is(tmp_path: Path, shape: str, descr: str, match: str, packed: bool) -> None:
    path = written(tmp_path / "x.npy", npy(shape, descr))
    if packed:
        path = tmp_path / "x.npz"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.npy", npy(shape, descr))
    refused(path, match)


def test_a_directory_cannot_vouch_for_an_array(tmp_path: Path) -> None:
    """The sizes in a zip's directory are as much a claim as the shape."""
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", npy("(1000000000, 10)"))
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02") + 20
    content[at : at + 8] = struct.pack("<II", 4_000_000_000, 4_000_000_000)
    refused(written(path, bytes(content)), "x.npy")


def test_an_array_unpacks_to_so_many_times_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.npz"
    np.savez_compressed(path, x=np.zeros((1 << 17, 32), np.uint8))
    assert len(mw.read(path)) == 1 << 17, "up to the limit the ratio does not matter"
    monkeypatch.setattr(npz, "ALWAYS", 1 << 20)
    refused(path, r"unpacks to 4,194,304 bytes; .* 200 times its .* packed bytes\. .*unzip x\.npz")


@pytest.mark.parametrize("ending", [".idx", ".idx.gz"])
@pytest.mark.parametrize(
    ("sizes", "match"),
    [((HUGE, HUGE, HUGE), "is cut short"), ((4, HUGE, HUGE), "is cut short"), ((HUGE, 0), "rows without values")],
)
def test_idx_with_huge_axes(tmp_path: Path, sizes: tuple[int, ...], match: str, ending: str) -> None:
    content = struct.pack(f">HBB{len(sizes)}I", 0, 8, len(sizes), *sizes) + b"xx"
    refused(written(tmp_path / f"x{ending}", gzip.compress(content) if ending == ".idx.gz" else content), match)


# --- what is packed ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "honest"), [(".csv.gz", True), (".jsonl.gz", True), (".json.gz", False), (".txt.gz", False)]
)
def test_gzip_bombs(tmp_path: Path, ending: str, honest: bool) -> None:
    """Also where the size at the end of the file is a lie."""
    line = b'{"a":12}\n' if ending == ".jsonl.gz" else b"a,b\n1,2\n\n"
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    content = b"".join(packer.compress(line * (1 << 17)) for _ in range(80)) + packer.flush()
    if not honest:
        content = content[:-4] + bytes(4)
    path = written(tmp_path / f"x{ending}", content)
    refused(path, r"unpacks to more than the 67,108,864 bytes .* unpack it yourself \(gunzip x", most=200 << 20)


def test_packed_files_within_the_limit_are_read(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv.gz", gzip.compress(b"a,b,label\n" + b"0,0,0\n0,1,1\n" * (1 << 15)))
    assert path.stat().st_size * limits.HIGHEST_RATIO < 1 << 18
    assert len(mw.read(path)) == 1 << 16


def test_archives_of_archives_and_other_methods(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("t.csv", "a,label\n1,x\n2,y\n")
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as archive:
        archive.writestr("inner.zip", inner.getvalue())
    refused(tmp_path / "outer.zip", "is an archive within an archive")
    with zipfile.ZipFile(tmp_path / "lzma.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("t.csv", "a,label\n1,x\n2,y\n")
    refused(tmp_path / "lzma.zip", "by method 14; allowed are none, Deflate and Bzip2")
    with zipfile.ZipFile(tmp_path / "dot.zip", "w") as archive:
        archive.writestr(".", "x")
    refused(tmp_path / "dot.zip", "points outside the archive")


def test_names_of_members_do_not_reach_a_terminal(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("../\x1b]0;owned\x07" + "a" * 5000, "x")
    with pytest.raises(DataError, match="points outside") as caught:
        mw.read(tmp_path / "x.zip")
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_an_archive_is_unpacked_within_its_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.csv", "\n" * (4 << 20))
    monkeypatch.setattr(archives, "ALWAYS", 1 << 20)
    refused(tmp_path / "x.zip", "above 1 MiB, 200 times its own")


# --- tables --------------------------------------------------------------------------------------


def test_a_million_columns(tmp_path: Path) -> None:
    names = ",".join(f"c{at}" for at in range(limits.MOST_COLUMNS + 1))
    refused(written(tmp_path / "x.csv", f"{names}\n".encode()), r"more than 100,000 columns\. .* numpy\.save")
    wide = ",".join(f"c{at}" for at in range(500))
    values = "\n".join(",".join(str(at * row % 7) for at in range(500)) for row in range(6))
    assert len(mw.read(written(tmp_path / "wide.csv", f"{wide}\n{values}\n".encode())).columns) > 400


def test_a_separator_within_quotes_is_no_column(tmp_path: Path) -> None:
    text = "," * (limits.MOST_COLUMNS + 1)
    rows = "".join(f'"{text}{at}",{at}\n' for at in range(3))
    assert len(mw.read(written(tmp_path / "x.csv", f"text,n\n{rows}".encode()), input="text")) == 3


def test_more_cells_than_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "memory", lambda: 100 << 20)
    path = written(tmp_path / "x.csv", b"a,b\n" + b",\n" * (4 << 20))
    refused(path, r"a table of 8,388,\d+ cells takes about \d+ MiB of memory, and 100 MiB are free\. Divide it")


@pytest.mark.parametrize("ending", [".csv", ".txt", ".json", ".jsonl", ".parquet", ".npz", ".zip", ".idx"])
def test_files_of_a_terabyte_of_nothing(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x{ending}"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    refused(path, "x")


@pytest.mark.parametrize("ending", [".json", ".jsonl"])
def test_keys_that_no_two_rows_share(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of n columns and n rows comes of n short lines."""
    monkeypatch.setattr(limits, "SPARSE", 1 << 20)
    rows = [json.dumps({f"k{at}": 1}) for at in range(1200)]
    text = f"[{','.join(rows)}]" if ending == ".json" else "\n".join(rows)
    refused(written(tmp_path / f"x{ending}", text.encode()), "one of 200 must")


def test_text_is_no_wider_than_it_is(tmp_path: Path) -> None:
    """NumPy would make an array of text as wide as its longest, for every element."""
    row = json.dumps({"v": ["a"] * 20_000 + ["b" * 20_000]})
    path = written(tmp_path / "x.jsonl", f"{row}\n{row}\n".encode())
    tracemalloc.start()
    assert len(mw.read(path)) == 2
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()


def test_parquet_that_claims_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.parquet"
    pl.DataFrame({"a": pl.zeros(1 << 17, eager=True), "label": ["x"] * (1 << 17)}).write_parquet(path)
    assert len(mw.read(path)) == 1 << 17, "a constant column is honest"
    monkeypatch.setattr(parquet, "SPARSE", 1 << 16)
    refused(path, r"claims 131,072 rows, 262,144 values and .* write it again as CSV")


def test_parquet_whose_pages_claim_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pl.DataFrame({"a": list(range(1000)), "label": ["x", "y"] * 500}).write_parquet(path, compression="snappy")
    content = path.read_bytes()
    # A page's header begins with its kind, 15 00 for data, and its size unpacked, 15 and a varint.
    at = content.index(b"\x15\x00\x15") + 3
    end = at + 1
    while content[end - 1] & 0x80:
        end += 1
    huge = b"\xfe\xff\xff\xff\x0f"[: end - at - 1] + b"\x7f" if end - at < 5 else b"\xfe\xff\xff\xff\x0f"
    changed = content[:at] + huge[: end - at] + content[end:]
    assert len(changed) == len(content)
    with pytest.raises(DataError, match="x.parquet"):
        mw.read(written(path, changed))


@pytest.mark.parametrize("kind", [pl.String, pl.Categorical])
def test_a_long_text_named_often(tmp_path: Path, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "UNPACKED", 1 << 20)
    path = tmp_path / "x.parquet"
    texts = pl.Series("a", ["x" * 5000, "y" * 5000] * 500).cast(kind)
    pl.DataFrame({"a": texts, "label": ["u", "v"] * 500}).write_parquet(path)
    data = mw.read(path)
    assert len({id(text) for text in data.take("a")}) == 2, "equal texts are one object"
    assert [text[0] for text in data.take("a")[:3]] == ["x", "y", "x"]
    monkeypatch.setattr(series, "REPEATED", 1 << 20)
    refused(path, "holds 10,1.. bytes of text, and repeats them to 5,")


# --- text ----------------------------------------------------------------------------------------


def test_a_line_that_never_ends_is_cut_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_text, "LONGEST", 10_000)
    text = "word " * 30_000
    found = running_text.pieces(text)
    assert "".join(found) == text
    assert 10 < len(found) < 20
    assert all(piece.endswith(" ") and len(piece) <= 10_000 for piece in found)
    solid = "x" * 35_000
    assert [len(piece) for piece in running_text.pieces(solid)] == [10_000, 10_000, 10_000, 5_000]


def test_messages_of_other_libraries_are_the_same_each_time() -> None:
    """NumPy's name what they could not read, and where it lies in memory."""
    assert limits.reason(ValueError(f"malformed node: {object()!r}.")) == "malformed node: <object>"
