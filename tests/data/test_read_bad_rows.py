"""read: rows that cannot be used are refused, skipped or filled."""

from pathlib import Path

import numpy as np
import pytest

import manyways as mw
from manyways.errors import DataError, NeedsError

pytestmark = pytest.mark.quick


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


@pytest.fixture
def holes(tmp_path: Path) -> Path:
    rows = [
        "1,u,good words are here,a",
        "nan,v,more words are here,b",
        "3,,yet more words here,a",
        "inf,u,and some other words,b",
    ]
    rows += ["5,v, ,a", "9,u,these are the last,b"]
    return write(tmp_path / "holes.csv", "x,kind,says,label\n" + "\n".join(rows) + "\n")


def test_bad_rows_are_refused_with_their_numbers(holes: Path) -> None:
    with pytest.raises(DataError) as error:
        mw.read(holes)
    message = str(error.value)
    assert "3 of 6 rows cannot be used" in message
    assert "'x' is missing, NaN or infinite in 2 rows (1, 3;" in message
    assert "'kind' is missing in 1 row (2;" in message
    assert "says" not in message  # a row without a text has its numbers
    assert 'bad_rows="skip"' in message
    assert 'bad_rows="fill"' in message
    with pytest.raises(DataError, match=r"'says' is empty in 1 row \(4;.*") as error:
        mw.read(holes, input="says")
    assert 'bad_rows="fill"' not in str(error.value)  # a text cannot be filled


def test_bad_rows_are_skipped(holes: Path) -> None:
    data = mw.read(holes, bad_rows="skip")
    assert data.take("x").tolist() == [1, 9]
    assert data.take("says").tolist() == ["good words are here", "these are the last"]
    assert len(data.part) == 2
    assert data.source_rows.tolist() == [0, 5]
    assert data.select(np.array([1])).source_rows.tolist() == [5]
    assert data.without(data.ids[:1]).source_rows.tolist() == [5]


def test_bad_rows_are_filled_from_training_rows(tmp_path: Path) -> None:
    train = write(tmp_path / "a.csv", "x,kind,label\n1,u,a\n,v,b\n3,,a\n8,u,b\n")
    test = write(tmp_path / "b.csv", "x,kind,label\n1000,u,a\n,v,b\n")
    data = mw.read(train, test=test, bad_rows="fill")
    assert data.take("x").tolist() == [1, 3, 3, 8, 1000, 3]
    assert data.take("kind").tolist() == ["u", "v", "(missing)", "u", "u", "v"]


def test_bad_rows_are_filled_with_numbers_that_are_given(tmp_path: Path) -> None:
    table = write(tmp_path / "a.csv", "x,y,kind,label\n1,2,u,a\n,,v,b\n3,9,,a\n8,4,u,b\n")
    data = mw.read(table, bad_rows={"x": 7.5})
    assert data.take("x").tolist() == [1, 7.5, 3, 8]
    assert data.take("y").tolist() == [2, 4, 9, 4]
    assert data.take("kind").tolist() == ["u", "v", "(missing)", "u"]


def test_fill_refuses_what_cannot_be_filled(holes: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'says' is empty in 1 row .*bad_rows=\"fill\" cannot fill these"):
        mw.read(holes, input="says", bad_rows="fill")
    empty = write(tmp_path / "e.csv", "x,y,label\n,1,a\n,2,b\n")
    with pytest.raises(DataError, match="no training row has a number in 'x'"):
        mw.read(empty, input=["x", "y"], kinds={"x": "number"}, bad_rows="fill")


def test_bad_rows_outside_the_roles_do_not_matter(holes: Path) -> None:
    assert len(mw.read(holes, input="says", bad_rows="skip")) == 5


def test_all_rows_bad(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="all 2 rows are bad"):
        mw.read(write(tmp_path / "e.csv", "x,y,label\n,1,a\n2,,b\n"), bad_rows="skip")


def test_bad_rows_in_wide_numbers() -> None:
    x = np.ones((4, 70))
    x[2, 5] = np.inf
    x[1, 5], x[3, 5] = 3, 5
    with pytest.raises(DataError, match=r"'x' is missing, NaN or infinite in 1 row \(2;"):
        mw.read((x, [0, 1, 0, 1]))
    assert mw.read((x, [0, 1, 0, 1]), bad_rows="fill").take("x")[2, 5] == 3


def test_missing_values_are_kept_and_what_is_infinite_is_not(holes: Path) -> None:
    with pytest.raises(DataError, match=r"1 of 6 rows cannot be used\. 'x' is missing, NaN or infinite in 1 row \(3;"):
        mw.read(holes, input=("x", "kind"), bad_rows="keep")
    rows = write(holes.parent / "rows.csv", "x,kind,label\n1,u,a\n,v,b\n3,,a\n8,u,b\n")
    data = mw.read(rows, bad_rows="keep")
    assert len(data) == 4
    assert np.isnan(data.take("x")).tolist() == [False, True, False, False]
    assert data.take("kind").tolist() == ["u", "v", None, "u"]
    with pytest.raises(NeedsError, match=r"2 of 4 rows \(1, 2; .*\) lack one, in 'x', 'kind'\. Put medians in place"):
        mw.LinearProbe().fit(data)
