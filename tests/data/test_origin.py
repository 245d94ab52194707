"""Origins: what was read can be read again, the same rows, also where others have left the source."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import manyways as mw
from manyways.data.columns import Column, places_of
from manyways.data.data import Data
from manyways.data.origin import Origin
from manyways.data.origin_reader import read_origin
from manyways.errors import DataError

pytestmark = pytest.mark.quick

RNG = np.random.default_rng(0)


def people(folder: Path, rows: range = range(60)) -> Path:
    """A CSV file in which nobody's age has a fraction but Ann's."""
    path = folder / "people.csv"
    lines = ["name,age,town,label"]
    lines += [f"p{at % 7},{20 + at % 30}{'.5' if at == 3 else ''},t{at % 3},{at % 2}" for at in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def pictures(folder: Path, sizes: list[tuple[int, int]]) -> Path:
    """A folder per class, with pictures of `sizes`."""
    for at, size in enumerate(sizes):
        place = folder / "pictures" / f"class{at % 2}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RNG.integers(0, 256, (*size, 3), np.uint8)).save(place / f"{at:02}.png")
    return folder / "pictures"


def arrays(folder: Path) -> Path:
    """An npz file with people."""
    images = RNG.integers(0, 256, (30, 6, 6), np.uint8)
    np.savez(folder / "a.npz", images=images, labels=np.arange(30) % 3, person=np.arange(30) // 5)
    return folder / "a.npz"


def again(data: Data) -> Data:
    assert data.origin is not None
    return read_origin(Origin.from_json(json.loads(json.dumps(data.origin.to_json()))))


CASES: dict[str, Callable[[Path], Data]] = {
    "csv": lambda folder: mw.read(people(folder)),
    "csv with roles": lambda folder: mw.read(str(people(folder)), subject="name", time="age", label="town"),
    "csv with parts": lambda folder: mw.read(people(folder), test=people(folder), input=("age", "town")),
    "csv without a label": lambda folder: mw.read(people(folder), label=()),
    "built in": lambda folder: mw.read("digits"),
    "pictures": lambda folder: mw.read(pictures(folder, [(8, 9), (10, 11), (12, 13), (9, 9)])),
    "npz": lambda folder: mw.read(arrays(folder), subject="person"),
    "clients": lambda folder: mw.read(people(folder)).with_clients(4, seed=3),
}


@pytest.mark.parametrize("case", CASES)
def test_what_was_read_can_be_read_again(case: str, tmp_path: Path) -> None:
    data = CASES[case](tmp_path)
    once_more = again(data)
    assert np.array_equal(data.all_ids, once_more.all_ids)
    assert data.fingerprint == once_more.fingerprint
    assert data.name == once_more.name
    assert [column.name for column in data.inputs] == [column.name for column in once_more.inputs]
    for name, column in data.columns.items():
        assert column.kind == once_more.columns[name].kind


def test_rows_stay_the_same_where_others_have_left_the_source(tmp_path: Path) -> None:
    data = mw.read(people(tmp_path))
    people(tmp_path, range(5, 60))  # with Ann gone, age would be read as a column of whole numbers
    assert np.array_equal(again(data).all_ids, data.all_ids[5:])
    pictured = mw.read(pictures(tmp_path, [(8, 9), (8, 9), (8, 9), (30, 30), (30, 30)]))
    for path in (tmp_path / "pictures").rglob("0[01].png"):
        path.unlink()
    assert (places_of(again(pictured).all_ids, pictured.all_ids) >= 0).all()


def test_what_a_file_leaves_open_stays_as_it_was_understood(tmp_path: Path) -> None:
    """The rows that told how others are read may leave: those with a leading zero, and with a fraction of one digit."""
    path = tmp_path / "shops.tsv"
    header = "zip\tprice\tshare\tlabel\n"
    rows = [
        f"{'0' if at < 3 else '1'}{at % 8:04}\t1{at:02},5{at:02}\t{at}{',5' if at < 3 else ''}\t{at % 2}\n"
        for at in range(40)
    ]
    path.write_text(header + "".join(rows), encoding="utf-8")
    data = mw.read(path)
    assert data.take("price")[1] == 101.501
    assert data.take("zip")[0] == "00000"
    path.write_text(header + "".join(rows[3:]), encoding="utf-8")
    assert np.array_equal(again(data).all_ids, data.all_ids[3:])
    assert mw.read(path).take("price")[1] == 104_504, "alone they are read otherwise, and that is said"
    assert "if the other mark stands before the fraction" in mw.read(path).notes["price"]


def test_codes_that_once_were_read_as_numbers_stay_the_rows_that_they_were(tmp_path: Path) -> None:
    """Models of before, whose rows have 1 where the file has 01, must still find them to forget them."""
    path = tmp_path / "codes.csv"
    path.write_text("code,x,label\n" + "".join(f"{at:02},{at / 4},{at % 3:02}\n" for at in range(40)), encoding="utf-8")
    now = mw.read(path, input=("code", "x"), label="label")
    assert now.origin is not None
    before = Data.from_columns(
        [
            Column("label", "category", np.arange(40) % 3),
            Column("code", "number", np.arange(40)),
            Column("x", "number", np.arange(40) / 4),
        ],
        now.roles,
    )
    stored = {"label": ("category", "int64"), "code": ("number", "int64"), "x": ("number", "float64")}
    origin = replace(now.origin, columns=stored)
    assert np.array_equal(read_origin(origin).all_ids, before.all_ids)


def test_values_in_memory_and_labels_set_by_hand_have_no_origin(tmp_path: Path) -> None:
    x, y = np.arange(40.0), np.arange(40) % 2
    assert mw.read((x, y)).origin is None
    assert mw.read(people(tmp_path), label=np.arange(60) % 2).origin is None
    assert mw.read(people(tmp_path), test={"age": [1.0], "town": ["t1"], "name": ["p"], "label": [1]}).origin is None
    data = mw.read(people(tmp_path))
    assert data.with_labels(10).with_test(0.2).select(np.arange(10)).origin is not None
    assert data.with_label_values(np.array([1]), np.array([1])).origin is None


def test_an_origin_repeats_nothing_but_what_follows_from_the_rows() -> None:
    with pytest.raises(DataError, match="save_table"):
        read_origin(Origin("digits", steps=(("save_table", {}),)))


def test_an_origin_imports_nothing() -> None:
    for source in ("this:Name-v0", "CartPole-v1"):
        with pytest.raises(DataError, match=f"There is no file or folder '{source}'"):
            read_origin(Origin(source))


def test_npz_arrays_that_a_role_names_are_columns(tmp_path: Path) -> None:
    images = RNG.integers(0, 256, (6, 5, 5), np.uint8)
    held: dict[str, Any] = {
        "x_train": images[:4],
        "y_train": np.arange(4),
        "x_test": images[4:],
        "y_test": np.arange(2),
    }
    np.savez(tmp_path / "a.npz", **held, person_train=[7, 7, 8, 8], test_person=[9, 9])
    data = mw.read(tmp_path / "a.npz", subject="person")
    assert data.take("person").tolist() == [7, 7, 8, 8, 9, 9]
    assert "person_train" in mw.read(tmp_path / "a.npz").ignored


# --- rows taken out ------------------------------------------------------------------------------


def test_without_leaves_nothing_of_the_rows() -> None:
    data = mw.read("digits").with_test(0.2).with_labels(100)
    gone = data.select(np.arange(0, len(data), 3))
    rest = data.without(gone.ids)
    assert len(rest) == len(data) - len(gone) == len(rest.part) == len(rest.label)
    kept = np.setdiff1d(np.arange(len(data)), np.arange(0, len(data), 3))
    chosen = data.select(kept)
    assert np.array_equal(rest.ids, chosen.ids)
    assert rest.fingerprint == chosen.fingerprint
    assert np.array_equal(rest.take("image"), chosen.take("image"))
    assert np.array_equal(rest.labelled, chosen.labelled)


def test_without_takes_all_copies_and_keeps_the_order_of_a_selection() -> None:
    data = mw.read({"x": [1.0, 2.0, 3.0, 1.0, 4.0], "label": [0, 1, 0, 0, 1]})
    chosen = data.select(np.array([4, 0, 2]))
    rest = chosen.without(data.ids[:1])
    assert rest.take("x").tolist() == [4.0, 3.0]
    assert len(rest.columns["x"]) == 3
    assert data.without(np.zeros((1, 2), np.uint64)) is data
    with pytest.raises(DataError, match="No row of data is left"):
        data.without(data.ids)


def test_places_are_found_by_both_halves_of_an_id() -> None:
    known = np.array([[1, 1], [1, 2], [2, 2], [1, 3]], np.uint64)
    asked = np.array([[1, 3], [1, 1], [1, 2], [2, 2], [1, 9], [3, 3], [0, 0]], np.uint64)
    assert places_of(asked, known).tolist() == [3, 0, 1, 2, -1, -1, -1]
    assert places_of(asked, known[:0]).tolist() == [-1] * 7
    random = RNG.integers(0, 50, (2000, 2)).astype(np.uint64)
    unique = np.unique(random, axis=0)[::-1]
    assert np.array_equal(unique[places_of(random, unique)], random)
