"""No file of a folder vanishes: other endings are read or counted, links followed, parts and classes told apart."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

import manyways as mw
from manyways.data.sources import media
from manyways.data.sources.file_trees import files_below, loops_below
from manyways.errors import DataError


def picture(path: Path, value: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((8, 8), value, np.uint8)
    Image.fromarray(pixels).save(path, format="JPEG" if path.suffix in (".jfif", ".jpe") else None)
    return path


def sound(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.sin(np.arange(8000) / 10) * 0.5, 8000)
    return path


def test_every_ending_of_images_is_one_that_pillow_opens() -> None:
    Image.init()
    opened = {ending for ending, form in Image.registered_extensions().items() if form in Image.OPEN}
    assert opened >= media.IMAGES


def test_images_of_other_endings_are_read(tmp_path: Path) -> None:
    for ending in ("png", "jfif", "avif", "JPE", "ppm", "tga", "jp2", "bmp"):
        picture(tmp_path / "a" / f"x.{ending}")
    picture(tmp_path / "b" / "y.png", 200)
    data = mw.read(tmp_path)
    assert data.take("label").tolist() == ["a"] * 8 + ["b"]
    assert np.abs(data.take("image").mean(axis=(1, 2, 3)) - ([100] * 8 + [200])).max() < 3
    assert data.ignored == {}


def test_sounds_of_other_endings_are_read(tmp_path: Path) -> None:
    for ending in ("wav", "mp3", "aiff", "flac", "caf", "au"):
        sound(tmp_path / "a" / f"x.{ending}")
    sound(tmp_path / "b" / "y.ogg")
    data = mw.read(tmp_path)
    assert len(data) == 7
    assert np.abs(data.take("audio")[:, 1000:7000].astype(float)).mean(axis=1).min() > 5000


def test_files_that_cannot_be_read_are_counted_and_lost_classes_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("cat/1.png", "dog/1.png", "dog/2.png"):
        picture(tmp_path / "photos" / name)
    for name in ("bird/1.heic", "bird/2.HEIC", "dog/3.heic", "dog/notes", ".hidden/x.heic", "cat/.DS_Store"):
        (tmp_path / "photos" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(b"no picture")
    data = mw.read(tmp_path / "photos")
    assert data.classes == ("cat", "dog")
    assert data.ignored == {
        "*": "1 file cannot be read as images",
        "*.heic": "3 files cannot be read as images; nothing is left of 'bird'",
    }
    from manyways.cli import main

    words = ["fit", "linear-probe", str(tmp_path / "photos"), "--out", str(tmp_path / "m"), "--no-store"]
    assert main(words) == 0
    assert "*.heic: 3 files cannot be read as images; nothing is left of 'bird'" in capsys.readouterr().err
    (tmp_path / "photos" / "cat" / "2.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"cat/2\.png: it is no image .*Besides, .*\*\.heic: 3 files .* of 'bird'\."):
        mw.read(tmp_path / "photos")
    skipped = mw.read(tmp_path / "photos", bad_rows="skip")
    assert "1 of 4 rows left out" in skipped.notes["bad rows"]
    (tmp_path / "photos" / "cat" / "1.png").write_bytes(b"no picture")
    assert "No row is left with the label 'cat'." in mw.read(tmp_path / "photos", bad_rows="skip").notes["bad rows"]


def test_a_folder_of_nothing_that_can_be_read_says_what_it_holds(tmp_path: Path) -> None:
    for name in ("cat/1.heic", "cat/2.heic", "dog/1.m4a"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match=r"no layout that can be read; it holds cat, dog \(files: 2 \.heic, 1 \.m4a\)"):
        mw.read(tmp_path)


def test_a_table_of_files_names_those_that_cannot_be_read(tmp_path: Path) -> None:
    for at in range(3):
        picture(tmp_path / f"{at}.png")
    (tmp_path / "x.heic").write_bytes(b"no picture")
    (tmp_path / "t.csv").write_text("file,label\nx.heic,a\n0.png,b\n1.png,a\n2.png,b\n")
    with pytest.raises(DataError, match="1 file cannot be decoded .row 0: it is no image in a known format"):
        mw.read(tmp_path / "t.csv")


def test_tables_and_notes_beside_what_is_read_are_counted(tmp_path: Path) -> None:
    for name in ("train.csv", "test.csv", "extra.csv"):
        (tmp_path / name).write_text("x,label\n1.5,a\n2.5,b\n")
    assert mw.read(tmp_path).ignored == {"extra.csv": "its name says no part: train, validation or test"}
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "a.txt").write_text("some words")
    (texts / "README.md").write_text("about them")
    assert mw.read(texts).ignored == {"*.md": "1 file cannot be read as running text, whose files end in .txt"}


def test_links_are_followed_and_never_in_circles(tmp_path: Path) -> None:
    picture(tmp_path / "store" / "cats" / "1.png", 10)
    picture(tmp_path / "store" / "dogs" / "1.png", 20)
    picture(tmp_path / "store" / "one.png", 30)
    data = tmp_path / "data"
    data.mkdir()
    (data / "cat").symlink_to(tmp_path / "store" / "cats")
    (data / "dog").symlink_to(tmp_path / "store" / "dogs")
    (tmp_path / "store" / "dogs" / "2.png").symlink_to(tmp_path / "store" / "one.png")
    (tmp_path / "store" / "cats" / "up").symlink_to(data)
    (tmp_path / "store" / "dogs" / "self").symlink_to(tmp_path / "store" / "dogs")
    table = mw.read(data)
    assert table.take("label").tolist() == ["cat", "dog", "dog"]
    assert table.take("image")[:, 0, 0, 0].tolist() == [10, 20, 30]
    assert table.ignored == {
        "cat/up": "it is a link to a folder above it",
        "dog/self": "it is a link to a folder above it",
    }
    assert [path.relative_to(data).as_posix() for path in files_below(data)] == ["cat/1.png", "dog/1.png", "dog/2.png"]
    assert len(loops_below(data)) == 2
    (data / "dog" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(DataError, match=r"dog/gone\.png: there is no such file"):
        mw.read(data)


@pytest.mark.parametrize("names", [("bus", "car", "train"), ("control", "test"), ("a", "train", "val", "unlabelled")])
def test_a_class_may_be_called_like_a_part(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        picture(tmp_path / name / "0.png")
        picture(tmp_path / name / "1.png")
    data = mw.read(tmp_path)
    known = tuple(name for name in names if name != "unlabelled")
    assert data.classes == known
    assert not data.part.any()
    odd = [name for name in known if name in ("train", "test", "val")]
    assert data.notes == dict.fromkeys(odd, "the folder is taken for a class, as those beside it are")


def test_a_part_is_one_by_the_classes_in_it(tmp_path: Path) -> None:
    picture(tmp_path / "train" / "cat" / "0.png")
    picture(tmp_path / "bus" / "0.png")
    with pytest.raises(DataError, match=r"outside the parts train: bus/0\.png\..* is taken for a part of the data; if"):
        mw.read(tmp_path)
    flat = tmp_path / "flat"
    for name in ("train/0.png", "train/1.png", "test/2.png"):
        picture(flat / name)
    with pytest.raises(DataError, match="nothing that says their class. Its name was taken for a part of the data"):
        mw.read(flat)
    assert mw.read(flat, label=()).part.tolist() == [0, 0, 2]
    words = mw.read(flat, label_pattern=r"(?P<label>\d)")
    assert words.part.tolist() == [0, 0, 2], "names that tell the class lie in parts as before"


# --- images of more than 8 bits ------------------------------------------------------------------


def deep(folder: Path, values: list[float], dtype: type = np.uint16) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for at, value in enumerate(values):
        ending = "png" if dtype is np.uint16 else "tif"
        Image.fromarray(np.full((4, 4), value, dtype)).save(folder / f"{at}.{ending}")
    return folder


@pytest.mark.parametrize(
    ("values", "white"),
    [
        ([200, 240, 255], 255),
        ([200, 240, 280, 1000], 1023),
        ([200, 240, 280, 4000], 4095),
        ([0, 30_000, 65_535], 65_535),
    ],
)
def test_images_of_more_than_8_bits_have_one_scale(tmp_path: Path, values: list[float], white: int) -> None:
    data = mw.read(deep(tmp_path / "x", values), label=())
    assert data.take("image").max(axis=(1, 2, 3)).tolist() == [round(value * 255 / white) for value in values]
    assert data.columns["image"].white == white
    assert data.origin is not None
    assert data.origin.options["image_white"] == white


def test_fractions_and_what_no_pixel_can_be(tmp_path: Path) -> None:
    data = mw.read(deep(tmp_path / "x", [0.0, 0.5, 1.0], np.float32), label=())
    assert data.take("image").max(axis=(1, 2, 3)).tolist() == [0, 128, 255]
    bad = deep(tmp_path / "y", [100.0, -1.0, 70_000.0, 200.0], np.float32)
    with pytest.raises(DataError, match="2 files cannot be decoded .row 1: 1.tif: its pixels are not in 0 … 255"):
        mw.read(bad, label=())
    rest = mw.read(bad, label=(), bad_rows="skip")
    assert rest.take("image").max(axis=(1, 2, 3)).tolist() == [100, 200], "a bad image does not set the scale"


def test_a_model_reads_deep_images_on_the_scale_that_it_learned(tmp_path: Path) -> None:
    for name, low in (("dark", 100), ("light", 3000)):
        deep(tmp_path / "photos" / name, [low + 40 * at for at in range(10)])
    model = mw.parse_method("linear-probe").fit(tmp_path / "photos")
    saved = mw.load(model.save(tmp_path / "model"))
    dark = deep(tmp_path / "new", [120, 200, 240])  # alone they would be whiter than any light one
    assert saved.predict(dark).tolist() == ["dark"] * 3
    assert mw.read(dark, label=()).take("image").max() == 240
    assert os.fspath(dark) in mw.read(dark, label=(), image_white=4095).source
    assert mw.read(dark, label=(), image_white=4095).take("image").max() == round(240 * 255 / 4095)
