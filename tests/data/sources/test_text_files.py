"""Text files as other programs write them: encodings, line ends, and the line by which Excel is told the separator."""

import gzip
import json
from pathlib import Path

import pytest

import manyways as mw
from manyways.errors import DataError

pytestmark = pytest.mark.quick

ROWS = [(f"{at % 7 + 0.5}", f"{at % 5 - 2.25}", "äß"[at % 2]) for at in range(40)]
CSV = "a,b,label\n" + "".join(",".join(row) + "\n" for row in ROWS)


def check(path: Path) -> None:
    data = mw.read(path)
    assert list(data.columns) == ["label", "a", "b"]
    assert data.take("a").tolist() == [float(row[0]) for row in ROWS]
    assert data.classes == ("ß", "ä")


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_marks_and_line_ends(tmp_path: Path, name: str, encoding: str, end: str) -> None:
    check(write(tmp_path / name, CSV.replace("\n", end).encode(encoding)))


def test_big_endian_and_tabs(tmp_path: Path) -> None:
    content = b"\xfe\xff" + CSV.replace(",", "\t").encode("utf-16-be")
    check(write(tmp_path / "t.csv", content))
    check(write(tmp_path / "t.tsv", content))


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_line_that_names_the_separator(tmp_path: Path, first: str, end: str) -> None:
    lines = f"{first}\n{CSV.replace(',', ';')}".replace("\n", end)
    check(write(tmp_path / "t.csv", lines.encode("utf-8-sig")))
    check(write(tmp_path / "u.csv", lines.encode("utf-16")))
    short = f"{first}\na;b;label\n1;2;x\n3;y\n".replace("\n", end)
    with pytest.raises(DataError, match="1 row with other than 3 cells, .* first line 4 with 2"):
        mw.read(write(tmp_path / "s.csv", short.encode()))


def test_other_forms_in_utf_16(tmp_path: Path) -> None:
    rows = [{"a": float(a), "b": float(b), "label": label} for a, b, label in ROWS]
    check(write(tmp_path / "t.json", json.dumps(rows, ensure_ascii=False).encode("utf-16")))
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    check(write(tmp_path / "t.jsonl", lines.encode("utf-16")))
    text = mw.read(write(tmp_path / "t.txt", "Wörter,\r\nZeilen\rund mehr".encode("utf-16")))
    assert text.take("text").tolist() == ["Wörter,\nZeilen\nund mehr"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CSV.encode("utf-16-le"), r"holds zero bytes, as UTF-16 without its mark .* iconv -f utf-16le -t utf-8 t\.csv"),
        (CSV.encode("utf-16-be"), "iconv -f utf-16be"),
        (CSV.encode("utf-16").decode("latin-1").encode(), "was UTF-16 .* as if it were Latin 1. Convert the original"),
        (b"\xff\xfea\x00\x00\xd8b\x00", "says by its first bytes that it is UTF-16, and it is not"),
        ("a,label\n1,‘x’\n".encode("cp1252"), "byte 0x91 at byte offset 10, line 2.*iconv -f cp1252"),
        ("a,label\n1,é\n".encode("latin-1"), "byte 0xe9 at byte offset 10, line 2.*iconv -f latin1"),
    ],
)
def test_what_cannot_be_decoded_says_what_to_type(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        mw.read(write(tmp_path / "t.csv", content))
