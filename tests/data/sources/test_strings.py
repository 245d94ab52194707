"""Columns of text files: which hold numbers, in whatever notation, and which hold words."""

from pathlib import Path

import numpy as np
import pytest

import manyways as mw
from manyways.errors import DataError, ParameterError

pytestmark = pytest.mark.quick

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(2, 60)).round(3)
LABELS = ["pos" if a > 0 else "neg" for a in A]


def table(path: Path, *columns: list[str], separator: str = ",", names: str = "abc") -> Path:
    head = separator.join([*names[: len(columns)], "label"])
    rows = [separator.join(cells) for cells in zip(*columns, LABELS, strict=True)]
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


def comma(values: np.ndarray, places: int = 3) -> list[str]:
    return [f"{value:.{places}f}".replace(".", ",") for value in values]


def point(values: np.ndarray) -> list[str]:
    return [f"{value:.3f}" for value in values]


def thousands(values: np.ndarray, mark: str) -> list[str]:
    return [f"{int(10_000 + 1000 * abs(value)):,}".replace(",", mark) for value in values]


@pytest.mark.parametrize("places", [1, 3])
def test_decimal_commas(tmp_path: Path, places: int) -> None:
    data = mw.read(table(tmp_path / "t.csv", comma(A, places), comma(B, places), separator=";"))
    assert [column.kind for column in data.inputs] == ["number", "number"]
    np.testing.assert_allclose(data.take("a"), A.round(places), atol=1e-9)
    assert data.notes["a"].startswith(f"'{comma(A, places)[0]}' is read as ")


def test_what_other_columns_say_decides_what_a_column_leaves_open(tmp_path: Path) -> None:
    grouped = [f'"{cell}"' for cell in thousands(A, ",")]
    whole = [int(cell.replace(",", "")) for cell in thousands(A, ",")]
    with_points = mw.read(table(tmp_path / "p.csv", grouped, point(B)))
    assert with_points.take("a").tolist() == whole
    assert with_points.notes == {"a": f"'{thousands(A, ',')[0]}' is read as {whole[0]}"}
    with_commas = mw.read(table(tmp_path / "c.csv", thousands(A, ","), comma(B, 2), separator=";"))
    np.testing.assert_allclose(with_commas.take("a"), np.array(whole) / 1000)
    points = mw.read(table(tmp_path / "t.csv", thousands(A, "."), comma(B, 2), separator=";"))
    assert points.take("a").tolist() == whole, "a point between thousands, as the other column has decimal commas"


def test_where_nothing_else_says_so_it_is_said(tmp_path: Path) -> None:
    cells, path = thousands(A, ","), tmp_path / "t.csv"
    alone = mw.read(table(path, [f'"{cell}"' for cell in cells], separator=","))
    assert alone.take("a")[0] == int(cells[0].replace(",", ""))
    assert alone.notes["a"].endswith('if the other mark stands before the fraction, type decimal=","')
    asked = mw.read(path, decimal=",")
    np.testing.assert_allclose(asked.take("a")[0], float(cells[0].replace(",", ".")))
    assert "type decimal" not in asked.notes["a"]
    semicolons = mw.read(table(tmp_path / "s.csv", cells, separator=";"))
    np.testing.assert_allclose(semicolons.take("a"), asked.take("a"))
    with pytest.raises(ParameterError, match=r"decimal must be one of '\.' or ','; got ';'"):
        mw.read(path, decimal=";")  # type: ignore[arg-type]


def test_a_point_that_may_stand_between_thousands_is_said(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", thousands(A, "."), separator=";")
    data, first = mw.read(path), thousands(A, ".")[0]
    assert data.take("a")[0] == float(first)
    assert data.notes["a"].endswith('if its point stands between thousands, type decimal=","')
    assert mw.read(path, decimal=",").take("a")[0] == int(first.replace(".", ""))
    assert not mw.read(table(path, point(B), separator=";")).notes, "0.125 has no thousands"


def test_currencies_and_units_are_named(tmp_path: Path) -> None:
    prices = [f'"€ {10 + abs(a):,.2f}"' for a in A + np.arange(60)]
    weights = [f"{at % 7} kg" for at in range(60)]
    rooms = [f"{at % 7}{'ab'[at % 2]}" for at in range(60)]
    data = mw.read(table(tmp_path / "t.csv", prices, weights, rooms))
    assert data.ignored["a"].endswith("; if they are numbers with '€' beside them, take that away")
    assert data.notes == {"b": "its values are categories; if they are numbers with 'kg' beside them, take that away"}


def test_per_cent_and_minus_signs(tmp_path: Path) -> None:
    signs = [cell.replace("-", "\u2212") for cell in point(B)]
    data = mw.read(table(tmp_path / "t.csv", [f"{value:.0f}%" for value in 50 + 10 * A], signs))
    np.testing.assert_allclose(data.take("a"), np.round(50 + 10 * A) / 100)
    np.testing.assert_allclose(data.take("b"), B)
    assert list(data.notes) == ["a"]


def test_a_slip_among_numbers_in_any_notation_is_named(tmp_path: Path) -> None:
    cells = comma(A)
    cells[7] = "0,9 kg"
    path = table(tmp_path / "t.csv", cells, separator=";")
    with pytest.raises(DataError, match="'a' holds numbers in 59 rows .* in 1, first '0,9 kg' in row 7"):
        mw.read(path)
    cells[7] = "0.9"
    with pytest.raises(DataError, match=r"in 59 rows and something else in 1, first '0\.9' in row 7"):
        mw.read(table(path, cells, separator=";"))


def test_a_leading_zero_makes_words(tmp_path: Path) -> None:
    codes = ["01", "02", "10"] * 20
    path = tmp_path / "t.csv"
    path.write_text("zip,label\n" + "".join(f"{code}234,{code}\n" for code in codes), encoding="utf-8")
    data = mw.read(path)
    assert data.classes == ("01", "02", "10")
    assert data.columns["zip"].kind == "category"
    assert data.take("zip").tolist() == [f"{code}234" for code in codes]
    assert "'01234' begins with a zero that a number would lose" in data.notes["zip"]
    assert mw.read(path, kinds={"zip": "number"}).take("zip")[0] == 1234
    path.write_text("x,label\n0.5,0\n0,1\n-0.25,0\n", encoding="utf-8")
    assert mw.read(path).classes == (0, 1)
    assert mw.read(path).columns["x"].kind == "number"


def test_whole_numbers_that_floats_confuse_stay_apart_as_categories(tmp_path: Path) -> None:
    big = 2**53
    people = [str(big), "", str(big + 1), str(2**64 + 1), str(2**64)] * 12
    path = tmp_path / "t.csv"
    rows = [f"{a},{person},{label}" for a, person, label in zip(A, people, LABELS, strict=True)]
    path.write_text("\n".join(["a,who,label", *rows]) + "\n", encoding="utf-8")
    data = mw.read(path, subject="who")
    assert data.take("who")[:5].tolist() == [big, None, big + 1, 2**64 + 1, 2**64]
    lines = [
        f'{{"a": {a}, "who": {who or "null"}, "label": "{label}"}}'
        for a, who, label in zip(A, people, LABELS, strict=True)
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert mw.read(tmp_path / "t.jsonl", subject="who").take("who")[:5].tolist() == data.take("who")[:5].tolist()


def test_strings_that_are_numbers_are_said_to_be(tmp_path: Path) -> None:
    few = {"a": [f"{value:.0f}" for value in 2 * A], "b": B, "label": LABELS}
    data = mw.read(few)
    assert data.columns["a"].kind == "category"
    assert data.notes == {"a": "its numbers are text, and so categories; if they are amounts: kinds={'a': \"number\"}"}
    different = mw.read({"a": point(A), "b": B, "label": LABELS})
    assert "a" not in different.columns
    assert "if its text is numbers: kinds={'a': \"number\"}" in different.ignored["a"]
    np.testing.assert_allclose(mw.read({"a": comma(A), "label": LABELS}, kinds={"a": "number"}).take("a"), A)
