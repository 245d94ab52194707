"""CSV, TSV, JSON Lines, JSON and Parquet: values, headers, parts, and every damage named."""

import gzip
import io
import json
from datetime import date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

import manyways as mw
from manyways.errors import DataError

pytestmark = pytest.mark.quick


def write(path: Path, content: str | bytes) -> Path:
    data = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


ROWS = [{"x": 1.5, "n": 3, "word": "b", "label": "u"}, {"x": -2.0, "n": 40, "word": "a", "label": "v"}]
CSV = "x,n,word,label\n1.5,3,b,u\n-2.0,40,a,v\n"


def contents() -> dict[str, bytes]:
    frame = pl.DataFrame(ROWS)
    parquet = io.BytesIO()
    frame.write_parquet(parquet)
    return {
        "csv": CSV.encode(),
        "tsv": CSV.replace(",", "\t").encode(),
        "jsonl": "\n".join(map(json.dumps, ROWS)).encode(),
        "ndjson": "\n\n".join(map(json.dumps, ROWS)).encode(),
        "json": json.dumps(ROWS).encode(),
        "parquet": parquet.getvalue(),
    }


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "ndjson", "json", "parquet"])
def test_every_form_reads_the_same(tmp_path: Path, form: str, packed: str) -> None:
    data = mw.read(write(tmp_path / f"t.{form}{packed}", contents()[form]), kinds={"n": "number"})
    assert data.roles == {"label": ("label",), "input": ("x", "n", "word")}
    assert data.take("x").tolist() == [1.5, -2.0]
    assert data.take("n").tolist() == [3, 40]
    assert data.take("word").tolist() == ["b", "a"]
    assert [data.columns[name].kind for name in ("x", "n", "word")] == ["number", "number", "category"]


def test_quotes_separators_and_marks(tmp_path: Path) -> None:
    quoted = mw.read(write(tmp_path / "q.csv", 'says,label\n"one, two\nthree ""four""",a\nfive six seven,b\n'))
    assert quoted.take("says")[0] == 'one, two\nthree "four"'
    literal = mw.read(write(tmp_path / "q.tsv", 'says\tlabel\nsay "hi to me\ta\n"q" is a letter\tb\n'))
    assert literal.take("says").tolist() == ['say "hi to me', '"q" is a letter']
    semicolon = mw.read(write(tmp_path / "s.csv", "x;y;label\n1;2,5;a\n2;3,5;b\n"), input="x")
    assert semicolon.take("x").tolist() == [1, 2]
    marked = mw.read(write(tmp_path / "m.csv", b"\xef\xbb\xbfx,label\r\n1,a\r\n2,b\r\n"))
    assert list(marked.columns) == ["label", "x"]
    assert marked.take("label").tolist() == ["a", "b"]


def test_headers(tmp_path: Path) -> None:
    by_number = mw.read(write(tmp_path / "a.tsv", "some nice words\t1\nother bad words\t0\n"), label="column_1")
    assert len(by_number) == 2
    by_repeat = mw.read(
        write(tmp_path / "b.csv", "good film here,pos\nbad film here,neg\nfine,pos\n"), label="column_1"
    )
    assert by_repeat.take("column_1").tolist() == ["pos", "neg", "pos"]
    pandas = mw.read(write(tmp_path / "c.csv", "0,1,2,label\n5.5,6,7,a\n1,2,3,b\n"))
    assert pandas.roles["input"] == ("0", "1", "2")
    words = write(tmp_path / "d.csv", "good,pos\nbad,neg\n")
    assert list(mw.read(words, header=False, label="column_1").columns) == ["column_1", "column_0"]
    assert len(mw.read(words, label="pos")) == 1
    assert len(mw.read(write(tmp_path / "e.csv", "1,2\n3,4\n"), header=True, label="2")) == 1


def test_unnamed_index_column(tmp_path: Path) -> None:
    path = tmp_path / "i.csv"
    write(path, ",x,label\n" + "\n".join(f"{i},{i % 7}.5,{'ab'[i % 2]}" for i in range(30)))
    data = mw.read(path)
    assert data.roles["input"] == ("x",)
    assert data.ignored == {"column_0": "it counts the rows"}


def test_blank_lines_are_no_rows(tmp_path: Path) -> None:
    data = mw.read(write(tmp_path / "t.csv", "x,label\n1,a\n\n2,\n3,b\n\n"))
    assert data.take("x").tolist() == [1, 2, 3]
    assert data.labelled.tolist() == [True, False, True]


def test_marks_of_missing_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "x,label\n1,a\nNA,b\n 3 ,a\n?,b\n5,a\nN/A,b\n")
    assert mw.read(path, bad_rows="skip").take("x").tolist() == [1, 3, 5]


def test_words_among_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "x,label\n" + "".join(f"{i},a\n" for i in range(8)) + "hot,b\n9,b\n")
    with pytest.raises(DataError, match=r"'x' holds numbers in 9 rows and something else in 1, first 'hot' in row 8"):
        mw.read(path)
    assert mw.read(path, kinds={"x": "category"}).take("x")[8] == "hot"
    assert len(mw.read(path, input=(), text="label", label=())) == 10
    label = mw.read(path, label="x", input="label")
    assert label.classification


def test_mixed_types_in_json(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.jsonl",
        '{"x": 1, "label": "a"}\n{"x": "two", "label": "b"}\n{"x": null, "label": "b"}\n',
    )
    with pytest.raises(DataError, match=r"'x' holds numbers in 1 row and something else in 1, first 'two' in row 1"):
        mw.read(path)
    assert mw.read(path, kinds={"x": "category"}, bad_rows="skip").take("x").tolist() == ["1", "two"]


def test_nested_values(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    rows = [{"messages": chat, "vector": [1.0, 2.5]}, {"messages": chat[:1], "vector": [3.0, 4.0]}]
    path = write(tmp_path / "t.jsonl", "\n".join(map(json.dumps, rows)))
    data = mw.read(path, messages="messages", input="vector")
    assert json.loads(data.take("messages")[0]) == chat
    assert data.take("vector").tolist() == [[1, 2.5], [3, 4]]
    pl.DataFrame(rows).write_parquet(tmp_path / "t.parquet")
    again = mw.read(tmp_path / "t.parquet", messages="messages", input="vector")
    assert json.loads(again.take("messages")[0]) == chat
    assert again.take("vector").tolist() == [[1, 2.5], [3, 4]]


def test_parquet_types(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "when": [datetime(1970, 1, 2), datetime(1970, 1, 1, 0, 0, 1)],
            "day": [date(1970, 1, 3), None],
            "yes": [True, False],
            "maybe": [True, None],
            "cat": pl.Series(["a", "b"], dtype=pl.Categorical),
            "hole": [1, None],
            "price": pl.Series(["1.5", "2.5"]).cast(pl.Decimal(10, 2)),
        }
    )
    frame.write_parquet(tmp_path / "t.parquet")
    data = mw.read(tmp_path / "t.parquet", time="when", label="maybe", input=["yes", "cat", "price"])
    assert data.take("when").tolist() == [86_400, 1]
    assert data.take("yes").tolist() == [True, False]
    assert data.take("cat").tolist() == ["a", "b"]
    assert data.take("price").tolist() == [1.5, 2.5]
    assert data.labelled.tolist() == [True, False]
    days = mw.read(tmp_path / "t.parquet", input=["day", "hole"], label=(), bad_rows="fill")
    assert days.take("day").tolist() == [172_800, 172_800]
    assert days.take("hole").tolist() == [1, 1]


# --- damage -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("e.csv", b"", "is empty; it needs a header"),
        ("e.csv.gz", b"", "is empty; it needs a header"),
        ("e.jsonl", b"", "holds no rows"),
        ("e.json", b" ", "is empty"),
        ("e.json", b"[]", "holds no rows"),
        ("h.csv", b"x,label\n", "has a header and no rows below it"),
        ("long.csv", b"x,label\n1,a\n2,b,c\n3,a\n", r"1 row with other than 2 cells, .* first line 3 with 3"),
        (
            "short.csv",
            b"x,y,label\n1,2,a\n2,3\n3,4,a\n4\n",
            r"2 rows with other than 3 cells, .* first line 3 with 2",
        ),
        ("twice.csv", b"x,x,label\n1,2,a\n", "several columns named 'x'; names must differ"),
        (
            "open.csv",
            b'says,label\n"no end,a\nmore,b\n',
            "line 3: unexpected end of data. A quote must be closed",
        ),
        (
            "latin.csv",
            b"x,label\n1,a\n2,caf\xe9\n",
            r"not UTF-8: byte 0xe9 at byte offset 17, line 3.*iconv -f latin1",
        ),
        ("latin.tsv", b"x\tlabel\n1\tcaf\xe9s\n", r"not UTF-8: byte 0xe9 at byte offset 13, line 2"),
        ("latin.csv.gz", b"x,label\n1,a\n2,caf\xe9\n", r"not UTF-8: byte 0xe9 at byte offset 17, line 3"),
        ("latin.jsonl", b'{"x": 1}\n{"x": "\xe9"}\n', r"not UTF-8: byte 0xe9 at byte offset 16, line 2"),
        ("latin.json", b'[{"x":\n "\xe9"}]', r"not UTF-8: byte 0xe9 at byte offset 9, line 2"),
        ("bad.jsonl", b'{"x": 1}\n{"x": \n', r"bad.jsonl, line 2, column 7: not JSON"),
        ("array.jsonl", b"[1, 2]\n", r"line 1: an object is needed, .* got an array"),
        ("number.json", b"3", "holds a number; an array of objects is needed"),
        ("mixed.json", b'[{"x": 1}, 2]', "element 1: an object is needed"),
        ("bad.parquet", b"PAR1 no", "cannot be read as Parquet"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        mw.read(write(tmp_path / name, content), label=())
    assert str(tmp_path / name) in str(error.value)


def test_far_bytes_are_found(tmp_path: Path) -> None:
    line = b"1,some longer words to fill the file\n"
    content = b"x,says\n" + line * 60_000 + b"2,\xff\n"
    with pytest.raises(DataError, match=rf"byte 0xff at byte offset {7 + 60_000 * len(line) + 2:,}, line 60,002"):
        mw.read(write(tmp_path / "far.csv", content))


@pytest.mark.parametrize("name", ["cut.csv.gz", "cut.jsonl.gz"])
def test_cut_gzip(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(0)
    row = b'{"x": %d}\n' if "json" in name else b"%d,a\n"
    whole = gzip.compress(b"".join(row % value for value in rng.integers(0, 10**9, 5000)))
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="is damaged"):
        mw.read(tmp_path / name)


# --- folders ----------------------------------------------------------------------------------------


def test_folder_of_parts(tmp_path: Path) -> None:
    write(tmp_path / "reviews-train.csv", "x,label\n1,a\n2,b\n")
    write(tmp_path / "reviews-dev.csv", "label,x\na,3\n")
    write(tmp_path / "reviews-test.csv", "x\n4.5\n")
    data = mw.read(tmp_path)
    assert data.part.tolist() == [0, 0, 1, 2]
    assert data.take("x").tolist() == [1, 2, 3, 4.5]
    assert data.labelled.tolist() == [True, True, True, False]


def test_folder_of_shards(tmp_path: Path) -> None:
    for shard in range(2):
        pl.DataFrame({"x": [shard + 0.5], "label": ["a"]}).write_parquet(tmp_path / f"train-0000{shard}-of-2.parquet")
    pl.DataFrame({"x": [9.5], "label": ["b"]}).write_parquet(tmp_path / "test-00000-of-1.parquet")
    data = mw.read(tmp_path)
    assert data.take("x").tolist() == [0.5, 1.5, 9.5]
    assert data.part.tolist() == [0, 0, 2]


def test_folder_of_parts_that_differ(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", "x,label\n1,a\n")
    write(tmp_path / "test.csv", "y,label\n1,a\n")
    with pytest.raises(DataError, match=r"test.csv has the columns y, label, but .*train.csv has x, label"):
        mw.read(tmp_path)
    write(tmp_path / "test.jsonl", '{"x": 1, "label": "a"}')
    (tmp_path / "test.csv").unlink()
    with pytest.raises(DataError, match=r"files of several forms \(.csv, .jsonl\)"):
        mw.read(tmp_path)


def test_words_in_one_part_make_the_column_words_in_all(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", "x,label\n" + "".join(f"{i},{i}\n" for i in (1, 2)))
    write(tmp_path / "test.csv", "x,label\n3,c\n4,d\n5,e\n")
    assert mw.read(tmp_path).take("label").tolist() == ["1", "2", "c", "d", "e"]


def test_table_with_image_files(tmp_path: Path) -> None:
    for number in range(3):
        Image.new("L", (6, 4), 40 * number).save(tmp_path / f"{number}.png")
    table = write(tmp_path / "t.csv", "file,label\n2.png,a\n0.png,b\n1.png,a\n")
    for source in (
        table,
        write(tmp_path / "t.jsonl", '{"file": "2.png"}\n{"file": "0.png"}\n{"file": "1.png"}\n'),
    ):
        data = mw.read(source)
        assert data.columns["file"].kind == "image"
        assert data.take("file").shape == (3, 1, 4, 6)
        assert data.take("file")[:, 0, 0, 0].tolist() == [80, 0, 40]
    write(table, "file,label\n2.png,a\nno.png,b\n1.png,a\n")
    with pytest.raises(DataError, match=r"1 file cannot be decoded \(row 1: there is no such file\)"):
        mw.read(table)
    assert mw.read(table, bad_rows="skip").take("label").tolist() == ["a", "a"]
    (tmp_path / "elsewhere").mkdir()
    elsewhere = write(tmp_path / "elsewhere" / "t.csv", "file,label\n2.png,a\n1.png,b\n2.png,b\n")
    assert mw.read(elsewhere).columns["file"].kind == "category"
