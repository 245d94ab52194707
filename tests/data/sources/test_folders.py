"""Folders and archives of images: layouts, sizes, colours, damage, the cache."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import manyways as mw
from manyways.data.inference import media, pixels
from manyways.data.sources import archives
from manyways.errors import DataError, ParameterError


def picture(path: Path, size: tuple[int, int] = (8, 6), colour: object = 100, mode: str = "L") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)  # type: ignore[arg-type]
    return path


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    for number, name in enumerate(["cats/a.png", "cats/deep/b.jpg", "dogs/a.bmp", "dogs/c.gif", "dogs/d.tiff"]):
        picture(tmp_path / "pets" / name, colour=10 * number)
    return tmp_path / "pets"


def test_a_folder_per_class(pets: Path) -> None:
    picture(pets / ".hidden" / "x.png")
    (pets / "cats" / "notes.txt").write_text("not an image")
    data = mw.read(pets)
    assert data.roles == {"label": ("label",), "input": ("image",)}
    assert data.take("label").tolist() == ["cats", "cats", "dogs", "dogs", "dogs"]
    assert data.take("image").shape == (5, 1, 6, 8)
    assert np.abs(data.take("image")[:, 0, 0, 0].astype(int) - [0, 10, 20, 30, 40]).max() <= 1
    assert data.name == "pets"


def test_parts_above_the_classes(tmp_path: Path) -> None:
    for name in ["test/cats/1.png", "train/cats/1.png", "train/dogs/2.png", "val/dogs/3.png"]:
        picture(tmp_path / name)
    picture(tmp_path / "test" / "dogs" / "big.png", (100, 80), "red", "RGB")
    data = mw.read(tmp_path)
    assert data.part.tolist() == [0, 0, 1, 2, 2]
    assert data.take("label").tolist() == ["cats", "dogs", "dogs", "cats", "dogs"]
    assert data.take("image").shape == (5, 1, 6, 8)  # the training images decide
    (tmp_path / "stray.png").write_bytes((tmp_path / "val/dogs/3.png").read_bytes())
    with pytest.raises(DataError, match=r"1 file outside the parts test, train, val: stray.png"):
        mw.read(tmp_path)


def test_test_rows_from_another_folder(pets: Path, tmp_path: Path) -> None:
    picture(tmp_path / "more" / "dogs" / "x.png", (50, 50))
    picture(tmp_path / "more" / "cats" / "y.png", (50, 50))
    data = mw.read(pets, test=tmp_path / "more", image_size=10)
    assert data.part.tolist() == [0] * 5 + [2] * 2
    assert data.take("image").shape == (7, 1, 10, 10)


def test_unlabelled_folders(pets: Path, tmp_path: Path) -> None:
    picture(pets / "unlabelled" / "z.png")
    data = mw.read(pets)
    assert data.labelled.tolist() == [True] * 5 + [False]
    picture(tmp_path / "plain" / "pictures" / "z.png")
    alone = mw.read(tmp_path / "plain")
    assert not alone.has("label")
    assert alone.ignored == {"label": "all files are in one folder, pictures"}


def test_layouts_that_say_no_class(pets: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    picture(flat / "3_red.png")
    picture(flat / "5_blue.png")
    with pytest.raises(DataError, match=r"2 files side by side, such as 3_red.png, .* Allowed are a folder per class"):
        mw.read(flat)
    picture(pets / "stray.png")
    with pytest.raises(DataError, match=r"1 file outside the class folders: stray.png"):
        mw.read(pets)
    (pets / "stray.png").unlink()
    (pets / "dogs" / "bark.wav").write_bytes(b"")
    with pytest.raises(DataError, match="images and sounds side by side"):
        mw.read(pets)


def test_names_that_tell(tmp_path: Path) -> None:
    for name in ["3_red.png", "5_blue.png", "3_blue.png"]:
        picture(tmp_path / name)
    data = mw.read(tmp_path, label_pattern=r"(?P<label>\d)_(?P<paint>\w+)")
    assert data.take("label").tolist() == [3, 3, 5]
    assert data.take("paint").tolist() == ["blue", "red", "blue"]
    with pytest.raises(DataError, match=r"2 file names of 3 do not match .*: 3_blue.png, 5_blue.png"):
        mw.read(tmp_path, label_pattern=r"(?P<label>\d)_red")
    with pytest.raises(ParameterError, match="must have a named group"):
        mw.read(tmp_path, label_pattern=r"\d_.*")
    with pytest.raises(ParameterError, match="must be a regular expression"):
        mw.read(tmp_path, label_pattern=r"(?P<label>")


def test_metadata(tmp_path: Path) -> None:
    picture(tmp_path / "b.png", colour=20)
    picture(tmp_path / "deep" / "a.png", colour=10)
    (tmp_path / "metadata.csv").write_text("file_name,label\nb.png,x\ndeep/a.png,y\n")
    data = mw.read(tmp_path)
    assert data.columns["file_name"].kind == "image"
    assert data.take("file_name")[:, 0, 0, 0].tolist() == [20, 10]
    assert data.take("label").tolist() == ["x", "y"]


# --- pixels -----------------------------------------------------------------------------------------


def test_sizes(tmp_path: Path) -> None:
    for number, size in enumerate([(300, 200), (300, 200), (30, 20)]):
        picture(tmp_path / "ab"[number % 2] / f"{number}.png", size)
    assert mw.read(tmp_path).take("image").shape == (3, 1, 64, 96)
    assert mw.read(tmp_path, image_size=32).take("image").shape == (3, 1, 32, 32)
    assert mw.read(tmp_path, image_size=(150, 100)).take("image").shape == (3, 1, 150, 100)


def test_colours(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "1.png", colour=(200, 100, 50), mode="RGB")
    picture(tmp_path / "a" / "2.png", colour=7, mode="L")
    picture(tmp_path / "b" / "3.png", colour=(255, 0, 0, 0), mode="RGBA")
    picture(tmp_path / "b" / "4.tif", colour=0x8080, mode="I;16")
    picture(tmp_path / "b" / "5.webp", colour=(0, 0, 255), mode="RGB")
    pixels = mw.read(tmp_path).take("image")[:, :, 0, 0]
    assert pixels[:4].tolist() == [[200, 100, 50], [7, 7, 7], [255, 255, 255], [128, 128, 128]]
    assert np.abs(pixels[4].astype(int) - [0, 0, 255]).max() < 10


def test_orientation(tmp_path: Path) -> None:
    turned = Image.new("RGB", (8, 4))
    turned.paste((255, 255, 255), (0, 0, 8, 2))  # white above, black below
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: white on the right
    (tmp_path / "a").mkdir()
    turned.save(tmp_path / "a" / "1.png", exif=exif)
    pixels = mw.read(tmp_path).take("image")[0, 0]
    assert pixels.shape == (8, 4)
    assert pixels[:, 3].min() == 255
    assert pixels[:, 0].max() == 0


def test_many_chunks_keep_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "CHUNK", 7)
    for number in range(40):
        picture(tmp_path / "ab"[number // 20] / f"{number:02}.png", colour=number)
    assert mw.read(tmp_path).take("image")[:, 0, 0, 0].tolist() == list(range(40))


# --- damage and cache -------------------------------------------------------------------------------


@pytest.fixture
def damaged(pets: Path) -> Path:
    (pets / "cats" / "z.png").write_bytes(b"no image at all")
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 50), np.uint8)).save(buffer, "PNG")
    (pets / "dogs" / "cut.png").write_bytes(buffer.getvalue()[:1000])
    return pets


def test_undecodable_images(damaged: Path) -> None:
    for _ in range(2):  # from the files, then from the cache
        with pytest.raises(DataError) as error:
            mw.read(damaged)
        assert "2 of 7 rows cannot be used. 2 files cannot be decoded" in str(error.value)
        assert "row 2: cats/z.png: it is no image in a known format" in str(error.value)
        assert "row 5: dogs/cut.png: " in str(error.value)
        data = mw.read(damaged, bad_rows="skip")
        assert data.take("label").tolist() == ["cats", "cats", "dogs", "dogs", "dogs"]
        assert data.take("image").shape == (5, 1, 6, 8)
    with pytest.raises(DataError, match='bad_rows="fill" cannot fill these'):
        mw.read(damaged, bad_rows="fill")


def test_nothing_decodable(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "z.png").write_bytes(b"no image at all")
    with pytest.raises(DataError, match=r"none of 1 image can be decoded; it is no image"):
        mw.read(tmp_path)


def test_the_second_read_decodes_nothing(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = mw.read(pets).take("image")
    with monkeypatch.context() as patch:
        patch.setattr(pixels, "open_image", lambda item: pytest.fail("an image was opened again"))
        assert np.array_equal(mw.read(pets).take("image"), first)
    picture(pets / "dogs" / "d.tiff", colour=255)  # a changed file is read again
    assert mw.read(pets).take("image")[4].min() > 250


# --- archives ---------------------------------------------------------------------------------------


def packed(folder: Path, path: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, prefix + file.relative_to(folder).as_posix())
    return path


@pytest.mark.parametrize("prefix", ["", "inside/"])
def test_zip(pets: Path, tmp_path: Path, prefix: str) -> None:
    data = mw.read(packed(pets, tmp_path / "pets.zip", prefix))
    assert data.take("label").tolist() == ["cats", "cats", "dogs", "dogs", "dogs"]
    assert data.name == "pets"
    assert data.source == str(tmp_path / "pets.zip")


def test_zip_of_a_table(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("table.csv", "x,label\n1,a\n2,b\n")
    assert mw.read(tmp_path / "t.zip").take("x").tolist() == [1, 2]


@pytest.mark.parametrize("name", ["../evil.png", "/evil.png", "a/../../evil.png", "..\\evil.png", "C:/evil.png"])
def test_zip_that_points_outside(tmp_path: Path, home: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(DataError, match="points outside the archive; nothing was unpacked"):
        mw.read(tmp_path / "evil.zip")
    assert not list(home.rglob("*evil*"))
    assert not (tmp_path.parent / "evil.png").exists()


def test_zip_bombs_and_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    path = tmp_path / "big.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/1.png", b"0" * 100_000)
    with monkeypatch.context() as patch:
        patch.setattr(archives, "LARGEST", 99_999)
        with pytest.raises(DataError, match=r"would unpack to 100,000 bytes in 1 files; allowed are 99,999 bytes"):
            mw.read(path)
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DataError, match="big.zip: .* is damaged"):
        mw.read(path)
    (tmp_path / "no.zip").write_bytes(b"not a zip")
    with pytest.raises(DataError, match=r"no.zip is damaged"):
        mw.read(tmp_path / "no.zip")
    assert not list((home / "cache").glob("*.unpacked"))
    assert not list((home / "cache").glob(".*.part"))


def test_omniglot(real_data: Callable[[str], Path]) -> None:
    data = mw.read(real_data("omniglot") / "images_background_small1.zip", image_size=28)
    assert data.take("image").shape == (2720, 1, 28, 28)
    assert data.classes == ("Balinese", "Early_Aramaic", "Greek", "Korean", "Latin")
