"""Damaged files: one error of ours for each, that names the file, whatever the library that decodes it raises."""

import gzip
import io
import os
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

import manyways as mw
from manyways.data.inference import pixels
from manyways.data.sources import limits
from manyways.errors import DataError

pytestmark = pytest.mark.quick

TABLE = "x,label\n" + "".join(f"{at},{'ab'[at % 2]}\n" for at in range(30))


def refused(source: Path | str, match: str) -> None:
    with pytest.raises(DataError, match=match) as caught:
        mw.read(source)
    assert Path(source).name[:60] in str(caught.value)


@pytest.mark.parametrize("ending", ["csv", "tsv", "json", "jsonl", "parquet", "npy", "npz", "idx", "zip", "txt"])
@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("content", [b"", b"\0", b"\x1f\x8b\x08\x00", os.urandom(300), b"PK\x03\x04", b"PAR1PAR1"])
def test_empty_strange_or_of_another_form(tmp_path: Path, ending: str, packed: str, content: bytes) -> None:
    if ending == "txt" and b"\x8b" not in content:
        content = content.decode("latin-1").encode("utf-16-be") + b"\xff"
    path = tmp_path / f"x.{ending}{packed}"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"x.{ending}"):
        mw.read(path)
    path.write_bytes(gzip.compress(content))
    with pytest.raises(DataError, match=f"x.{ending}"):
        mw.read(path)


def test_packed_streams_that_are_no_deflate(tmp_path: Path) -> None:
    parquet = io.BytesIO()
    pl.DataFrame({"x": list(range(99)), "label": ["a", "b", "c"] * 33}).write_parquet(parquet)
    for ending, content in {"csv.gz": TABLE.encode() * 50, "parquet.gz": parquet.getvalue()}.items():
        packed = bytearray(gzip.compress(content))
        packed[20:60] = b"\xff" * 40
        (tmp_path / f"x.{ending}").write_bytes(packed)
        refused(tmp_path / f"x.{ending}", f"{ending} is damaged: ")


def _with(held: bytes, mark: bytes, offset: int, value: bytes) -> bytes:
    at = held.index(mark) + offset
    return held[:at] + value + held[at + len(value) :]


@pytest.mark.parametrize("ending", ["npz", "zip"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda held: _with(held, b"PK\x01\x02", 6, b"\x65\x00"),  # needs a version of zip that there is not
        lambda held: _with(held, b"PK\x01\x02", 10, b"\x63\x00"),  # packed in a way that nobody knows
        lambda held: _with(held, b"PK\x01\x02", 42, b"\xff\xff\xff\x7f"),  # lies far behind the end
        lambda held: held[: len(held) // 2],
        lambda held: held.replace(b"PK\x03\x04", b"PK\x03\x05"),
        lambda held: held[:40] + bytes(20) + held[60:],
        lambda held: held[:-12] + b"\xff\xff\xff\xff" + held[-8:],
    ],
)
def test_archives(tmp_path: Path, ending: str, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"x.{ending}"
    if ending == "npz":
        np.savez_compressed(path, x=np.arange(300.0).reshape(100, 3), y=np.arange(100) % 2)
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("t.csv", TABLE)
    held = path.read_bytes()
    path.write_bytes(damage(held))
    assert path.read_bytes() != held
    refused(path, "x")


def test_arrays_by_columns_that_end_early(tmp_path: Path) -> None:
    held = io.BytesIO()
    np.save(held, np.asfortranarray(np.arange(12.0).reshape(4, 3)))
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", held.getvalue()[:-13])
    refused(tmp_path / "x.npz", "x.npy is cut short")


# --- JSON ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["json", "jsonl"])
@pytest.mark.parametrize(
    ("value", "match"),
    [
        ("9" * 5000, "line 1: a whole number has more than 4,300 digits"),
        ("9" * 400, "'a' holds a whole number of more than 308 digits in row 0"),
        ("[" * 150 + "]" * 150, "line 1: nested too deeply; allowed are 100 levels"),
        ("[" * 90_000 + "]" * 90_000, "line 1: nested too deeply"),
        (r'"cut \ud83d"', r"line 1: 'cut \\ud83d'|line 1: .*half of a surrogate pair"),
        (r'{"b\udc00": 1}', "half of a surrogate pair"),
    ],
)
def test_json_values_that_nothing_can_hold(tmp_path: Path, ending: str, value: str, match: str) -> None:
    rows = [f'{{"a": {value}, "label": 0}}', '{"a": 1, "label": 1}']
    (tmp_path / f"x.{ending}").write_text(f"[{','.join(rows)}]" if ending == "json" else "\n".join(rows))
    refused(tmp_path / f"x.{ending}", match)


def test_json_that_escapes_whole_characters_is_read(tmp_path: Path) -> None:
    nested = "[" * 60 + "1" + "]" * 60
    (tmp_path / "x.jsonl").write_text(rf'{{"text": "\ud83d\ude00", "deep": {nested}, "label": 1}}' + "\n")
    data = mw.read(tmp_path / "x.jsonl", input=["text", "deep"])
    assert data.take("text")[0] == "\U0001f600"
    assert data.take("deep")[0] == nested


# --- images --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [RuntimeError, IndexError, KeyError, MemoryError, zlib.error, TypeError, OverflowError]
)
@pytest.mark.parametrize("where", ["header_of", "pixels_of"])
def test_whatever_a_decoder_raises_is_a_bad_row(
    tmp_path: Path, error: type[Exception], where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of damaged AVIF files Pillow raises RuntimeError, of others what its authors never thought of."""
    for name in ("a/1.png", "b/2.png", "b/3.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    opened = pixels.open_image

    def failing(item: Path) -> Image.Image:
        image = opened(item)
        if item.name == "2.png":
            if where == "header_of":
                image.close()
                raise error("what nobody expected")
            image.load = lambda: (_ for _ in ()).throw(error("what nobody expected"))  # type: ignore[method-assign]
        return image

    monkeypatch.setattr(pixels, "open_image", failing)
    with pytest.raises(DataError, match=r"b/2\.png: '?what nobody expected"):
        mw.read(tmp_path)


# --- what is no file -----------------------------------------------------------------------------


def test_names_of_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    refused(tmp_path / "folder.csv", "has no layout that can be read; it holds nothing")
    (tmp_path / "link.csv").symlink_to("nowhere.csv")
    refused(tmp_path / "link.csv", r"is a link to 'nowhere\.csv', which is not there")
    refused(str(tmp_path / "link.csv"), r"is a link to 'nowhere\.csv'")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    refused(tmp_path / "loop.csv", "loop.csv")
    with pytest.raises(DataError, match="There is no file or folder whose name has 12,000 characters"):
        mw.read("a,b\n" * 3000)
    refused("a" * 300, "a" * 60)
    with pytest.raises(DataError, match="no file or folder"):
        mw.read("x\0y")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_and_devices_are_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    refused(tmp_path / "pipe.csv", "is a pipe or a device")
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    refused(tmp_path / "zero.json", "is a pipe or a device")
    folder = tmp_path / "pets"
    for name in ("a/1.png", "b/1.png"):
        (folder / name).parent.mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(folder / name)
    os.mkfifo(folder / "a" / "2.png")
    (folder / "b" / "2.png").symlink_to("/dev/zero")
    with pytest.raises(DataError, match=r"2 files cannot be decoded .*a/2\.png: it is no file, but a folder, a pipe"):
        mw.read(folder)
    assert len(mw.read(folder, bad_rows="skip")) == 2


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_files_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(TABLE)
    (tmp_path / "x.csv").chmod(0)
    refused(tmp_path / "x.csv", "cannot be read: Permission denied")


def test_an_error_of_the_system_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.json").write_text("[]")

    def failing(path: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", failing)
    refused(tmp_path / "x.json", r"x\.json cannot be read: Permission denied\. Check its name, and whether you may")


def test_decoding_turns_what_is_foreign_into_one_error() -> None:
    class PanicException(BaseException):
        """As polars' own, which is no Exception."""

    for error in (
        PanicException("index out\nof bounds"),
        MemoryError(),
        RecursionError(),
        OSError(22, "Invalid argument"),
    ):
        with (
            pytest.raises(DataError, match=r"^x\.bin is damaged: [^\n]+\. Mend it\.$"),
            limits.decoding("x.bin", "Mend it."),
        ):
            raise error
    with pytest.raises(KeyboardInterrupt), limits.decoding("x.bin"):
        raise KeyboardInterrupt
    with pytest.raises(DataError, match="^as it was$"), limits.decoding("x.bin"):
        raise DataError("as it was")


def test_a_cell_in_an_archive_is_named_with_the_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("t.csv", TABLE.replace("13,b", "=13,b"))
    refused(tmp_path / "x.zip", r"x\.zip: the column 'x' holds numbers in 29 rows and something else in 1, first '=13'")


def test_a_member_without_a_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("abcd", TABLE)
    held = (tmp_path / "x.zip").read_bytes()
    at = held.index(b"PK\x01\x02")
    size = int.from_bytes(held[-10:-6], "little") - 4
    nameless = held[at : at + 28] + bytes(2) + held[at + 30 : at + 46] + held[at + 50 : -10]
    (tmp_path / "x.zip").write_bytes(held[:at] + nameless + size.to_bytes(4, "little") + held[-6:])
    refused(tmp_path / "x.zip", "x.zip")


@pytest.mark.parametrize(
    "values",
    [
        np.array([0x110000, ord("a")], np.uint32).view("U1"),
        np.array([0xD800, ord("a")], np.uint32).view("U1"),
        np.array([b"\xff", b"a"]),
    ],
)
def test_arrays_of_text_that_is_none(tmp_path: Path, values: np.ndarray) -> None:
    np.savez(tmp_path / "x.npz", x=np.arange(6.0).reshape(2, 3), y=values)
    refused(tmp_path / "x.npz", "the strings 'label' are damaged")


def test_arrays_of_bytes_are_utf_8(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.arange(6.0).reshape(2, 3), y=np.array(["ä".encode(), b"b"]))
    assert mw.read(tmp_path / "x.npz").take("label").tolist() == ["ä", "b"]
    np.savez(tmp_path / "x.npz", x=np.arange(6.0).reshape(2, 3), y=np.array(["ä", "bc"]).astype(">U2"))
    assert mw.read(tmp_path / "x.npz").take("label").tolist() == ["ä", "bc"]
