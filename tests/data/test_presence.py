"""Rows that lack an input: how they are read, encoded and named."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.presence import lacking_rows, present
from manyways.data.transport import load_table, save_table
from manyways.data.views import Views
from manyways.errors import DataError
from manyways.randomness import generator

WORDS = [f"row number {row} here" for row in range(10)]


def picture(row: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(row).integers(0, 255, (12, 12, 3), np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten pictures."""
    for row in range(10):
        Image.fromarray(picture(row)).save(tmp_path / f"{row}.png")
    return tmp_path


def table(folder: Path, names: list[str], says: list[str]) -> Path:
    rows = "".join(f"{name},{text},{'ab'[row % 2]}\n" for row, (name, text) in enumerate(zip(names, says, strict=True)))
    path = folder / "table.csv"
    path.write_text(f"image,says,label\n{rows}", "utf-8")
    return path


@pytest.mark.parametrize("gap", ["", "nan", "NA", "none"])
def test_a_row_may_name_no_picture_where_it_has_a_text(folder: Path, gap: str) -> None:
    data = mw.read(table(folder, ["0.png", gap, *(f"{row}.png" for row in range(2, 10))], WORDS))
    assert {name: rows.tolist() for name, rows in lacking_rows(data).items()} == {"image": [1]}
    assert len(data) == 10
    assert data.columns["image"].kind == "image"


def test_a_row_may_have_no_text_where_it_has_a_picture(folder: Path) -> None:
    says = ["", "   ", *WORDS[2:]]
    data = mw.read(table(folder, [f"{row}.png" for row in range(10)], says))
    assert {name: rows.tolist() for name, rows in lacking_rows(data).items()} == {"says": [0, 1]}


def test_a_row_without_any_input_is_refused_by_name(folder: Path) -> None:
    path = table(folder, ["", *(f"{row}.png" for row in range(1, 10))], ["", *WORDS[1:]])
    with pytest.raises(DataError, match=r"1 of 10 rows cannot be used\. 'image' is missing in 1 row \(0; .*'says' is"):
        mw.read(path)
    assert len(mw.read(path, bad_rows="skip")) == 9


def test_the_only_input_may_not_be_missing(folder: Path) -> None:
    path = table(folder, ["0.png", "", *(f"{row}.png" for row in range(2, 10))], WORDS)
    with pytest.raises(DataError, match=r"'image' is missing in 1 row \(1; rows count from 0\)"):
        mw.read(path, input="image")


def test_skipping_leaves_out_rows_that_lack_an_input(folder: Path) -> None:
    path = table(folder, ["0.png", "", *(f"{row}.png" for row in range(2, 10))], [*WORDS[:9], ""])
    data = mw.read(path, bad_rows="skip")
    assert data.take("says").tolist() == [WORDS[0], *WORDS[2:9]]
    assert lacking_rows(data) == {}


def test_a_picture_that_cannot_be_decoded_is_no_missing_one(folder: Path) -> None:
    (folder / "3.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"1 file cannot be decoded \(row 3: it is no image in a known format\)"):
        mw.read(table(folder, ["", *(f"{row}.png" for row in range(1, 10))], WORDS))


def test_frames_name_files_and_lack_some(folder: Path) -> None:
    import pandas as pd
    import polars as pl

    names = [None, *(str(folder / f"{row}.png") for row in range(1, 10))]
    held = {"image": names, "says": WORDS}
    for source in (held, pl.DataFrame(held), pd.DataFrame({**held, "image": [np.nan, *names[1:]]})):
        data = mw.read(source, label=())
        assert data.columns["image"].kind == "image"
        assert {name: rows.tolist() for name, rows in lacking_rows(data).items()} == {"image": [0]}
        assert np.array_equal(data.take("image")[3], picture(3).transpose(2, 0, 1))


def test_arrays_of_objects_may_hold_none() -> None:
    pictures = np.empty(10, object)
    pictures[:] = [None if row == 4 else picture(row) for row in range(10)]
    data = mw.read({"image": pictures, "says": WORDS}, label=())
    assert {name: rows.tolist() for name, rows in lacking_rows(data).items()} == {"image": [4]}
    assert data.columns["image"].values.shape == (10, 3, 12, 12)
    with pytest.raises(DataError, match=r"'image' is missing in 1 row \(4;"):
        mw.read({"image": list(pictures)}, label=())


def test_images_of_different_sizes_and_channels_are_brought_to_one() -> None:
    """To the median height and width, grey to RGB where any has colours, as files are."""
    held = [np.zeros((16, 10), np.uint8), np.full((8, 6, 3), 255, np.uint8), Image.new("L", (8, 12), 128)]
    data = mw.read({"image": held, "says": WORDS[:3]}, label=())
    assert data.columns["image"].values.shape == (3, 3, 12, 8)
    assert [int(pixels.mean()) for pixels in data.take("image")] == [0, 255, 128]
    small = mw.read({"image": held, "says": WORDS[:3]}, label=(), image_size=5)
    assert small.columns["image"].values.shape[2:] == (5, 5)


def test_numbers_may_be_missing_as_a_whole() -> None:
    columns = {"x": [1.0, np.nan, 3.0, 4.0], "y": [1.0, np.nan, np.nan, 4.0], "says": WORDS[:4]}
    with pytest.raises(DataError, match=r"1 of 4 rows cannot be used\. 'y' is missing, NaN or infinite in 1 row \(2;"):
        mw.read(columns, label=())
    columns["y"][2] = 3.0  # type: ignore[call-overload]
    data = mw.read(columns, label=())
    assert {name: rows.tolist() for name, rows in lacking_rows(data).items()} == {"table": [1]}
    assert mw.read(columns, label=(), bad_rows="fill").take("x").tolist() == [1.0, 3.0, 3.0, 4.0]


# --- encoded -------------------------------------------------------------------------------------


def pairs(absent: list[int], empty: list[int] = []) -> Data:  # noqa: B006
    images = np.stack([picture(row).transpose(2, 0, 1) for row in range(10)])
    mask = np.isin(np.arange(10), absent)
    images[mask] = 0
    texts = np.array([None if row in empty else text for row, text in enumerate(WORDS)], object)
    columns = [Column("image", "image", images, absent=mask if absent else None), Column("says", "text", texts)]
    return Data.from_columns(columns, {"input": ["image", "says"]})


def test_batches_say_what_is_there_only_where_something_is_missing() -> None:
    whole = pairs([])
    assert set(InputEncoding.fit(whole).encode(whole).batch(np.arange(3))) == {"image", "says"}
    data = pairs([2, 5])
    rows = InputEncoding.fit(data).encode(data)
    batch = rows.batch(np.arange(1, 4))
    assert batch[present("image")].tolist() == [True, False, True]
    assert present("says") not in batch
    assert rows.select(np.array([5, 6])).batch(np.array([0]))[present("image")].tolist() == [False]
    assert set(InputEncoding.fit(data).encode(data.select(np.arange(2))).batch(np.arange(2))) == {"image", "says"}


def test_views_keep_what_is_there() -> None:
    data = pairs([2], [3])
    encoding = InputEncoding.fit(data)
    batch = encoding.encode(data).batch(np.arange(10))
    seen = Views(encoding.specs).strong(batch, generator(0))
    assert set(seen) == {"image", "says", present("image"), present("says")}
    assert seen[present("says")].tolist() == [row != 3 for row in range(10)]


def test_a_missing_picture_is_no_black_one() -> None:
    black = np.zeros((10, 3, 12, 12), np.uint8)
    column = Column("image", "image", black)
    other = replace(column, absent=np.arange(10) == 4)
    first, second = (Data.from_columns([each], {"input": ["image"]}) for each in (column, other))
    assert np.array_equal(np.delete(first.all_ids, 4, 0), np.delete(second.all_ids, 4, 0))
    assert not np.array_equal(first.all_ids[4], second.all_ids[4])
    assert first.fingerprint != second.fingerprint


def test_what_is_missing_travels_with_the_table(tmp_path: Path) -> None:
    data = load_table(save_table(pairs([2, 5], [7]), tmp_path / "table"))
    assert {name: rows.tolist() for name, rows in lacking_rows(data).items()} == {"image": [2, 5], "says": [7]}


def test_test_rows_lack_what_they_lack(folder: Path) -> None:
    train = table(folder, [f"{row}.png" for row in range(10)], WORDS)
    test = folder / "other.csv"
    test.write_text("image,says,label\n,only a text here,a\n1.png,,b\n", "utf-8")
    data = mw.read(train, test=test)
    found = {name: rows.tolist() for name, rows in lacking_rows(data.test).items()}
    assert found == {"image": [0], "says": [1]}
    assert lacking_rows(data.training) == {}


def test_rows_that_go_leave_what_the_others_lack() -> None:
    data = pairs([2, 5], [7])
    rest = data.without(data.all_ids[[0, 5]])
    assert {name: rows.tolist() for name, rows in lacking_rows(rest).items()} == {"image": [1], "says": [5]}
