"""Whether a first row names the columns, and what is said where that is open."""

from pathlib import Path

import numpy as np
import pytest

import manyways as mw
from manyways.data.read import Known, read_as
from manyways.errors import DataError

pytestmark = pytest.mark.quick

RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=(60, 2)).round(3)
ROWS = "".join(f"{x},{y},{'neg' if x < 0 else 'pos'}\n" for x, y in NUMBERS)


def write(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("a,b,label\n" + ROWS, {"a", "b", "label"}),
        ("2019,2020,label\n" + ROWS, {"2019", "2020", "label"}),
        ("2019,2020,target\n" + ROWS, {"2019", "2020", "target"}),
        ("400.5,402,kind\n" + ROWS, {"400.5", "402", "kind"}),
        ("2019,2020\n" + "".join(f"{x},{y}\n" for x, y in NUMBERS), {"2019", "2020"}),
        ("0,1,2,label\n5.5,6,7,a\n1,2,3,b\n", {"0", "1", "2", "label"}),
        ("size,colour,label\n" + "small,red,neg\nlarge,blue,pos\nsize,red,neg\n" * 5, {"size", "colour", "label"}),
        ("size,colour,kind\n" + "small,red,neg\nlarge,blue,pos\nsize,red,neg\n" * 5, {"size", "colour", "kind"}),
        ("text,label\na nice film,pos\ntext,neg\na bad film,neg\n", {"text", "label"}),
        ("text,stars\na nice film,5\ntext,1\na bad film,2\n", {"text", "stars"}),
        ("word,count\nthe,3\nword,1\n", {"word", "count"}),
    ],
)
def test_names_are_told_by_what_stands_below_them(tmp_path: Path, content: str, names: set[str]) -> None:
    data = mw.read(write(tmp_path / "t.csv", content))
    assert set(data.columns) | set(data.ignored) == names
    assert len(data) == content.count("\n") - 1
    assert "first row" not in data.notes


@pytest.mark.parametrize(
    "content",
    [
        ROWS,
        "5,3,1,0,a\n4,3,1,0,a\n6,3,4,1,b\n7,3,4,1,b\n",
        "good film here,pos\nbad film here,neg\nfine,pos\n",
        "2019,5\n2020,6\n2021,4\n2022,9\n",
        "a,cat\na,dog\nb,dog\nb,dog\nc,cow\nc,cow\n",
    ],
)
def test_rows_of_values_are_no_names(tmp_path: Path, content: str) -> None:
    data = mw.read(write(tmp_path / "t.csv", content), label=())
    assert len(data) == content.count("\n")
    assert all(name.startswith("column_") for name in {**data.columns, **data.ignored})


def test_the_names_asked_for_say_that_the_first_row_is_a_header(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "1,2,3\n4,5,6\n7,8,9\n4,5,6\n")
    assert len(mw.read(path, label="3", kinds={"3": "number"})) == 3
    assert len(mw.read(path, label="column_2", kinds={"column_2": "number"})) == 4
    words = write(tmp_path / "w.csv", "name,kind\nx,y\nz,y\n")
    assert len(mw.read(words, label="column_1")) == 3, "a column without a name was asked for"
    known = Known({"1": "number", "2": "number"})
    assert read_as(path, known, input=["1", "2"], label=()).take("1").tolist() == [4, 7, 4]


def test_a_first_row_that_was_read_as_values_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "time,noun\nyear,noun\nrun,verb\nred,adjective\nday,noun\nsee,verb\n")
    data = mw.read(path)
    why = "the first row ('time', 'noun') was read as values, as 'noun' comes again in its column"
    assert data.notes == {"first row": f"{why}; if it names the columns: header=True"}
    with pytest.raises(DataError, match=r"no column 'kind' .*columns are column_0, column_1\. Note that the first row"):
        mw.read(path, label="kind")
    assert len(mw.read(path, header=True)) == 5
    numbers = write(tmp_path / "n.csv", "1,2\n3,4\n5,6\n")
    assert not mw.read(numbers).notes, "numbers alone are no doubt"
    with pytest.raises(DataError, match=r"as '1' is a number; if it names the columns, pass header=True"):
        mw.read(numbers, label="y")


def test_a_header_that_comes_again_is_named_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", f"a,b,label\n{ROWS}a,b,label\n{ROWS}\na,b,label\n{ROWS}")
    with pytest.raises(DataError, match=r"its header \(a, b, label\) comes again in lines 62, 124, .*Delete it there"):
        mw.read(path)
    one = write(tmp_path / "one.csv", "word\nred\nword\nblue\n")
    assert len(mw.read(one, text="word")) == 3, "in one column it may be a value"
