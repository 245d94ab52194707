"""Parallel text: files of one name, a language each."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

import manyways as mw
from manyways.errors import DataError

pytestmark = pytest.mark.quick

GERMAN, ENGLISH = (
    ["Ein Hund rennt.", "Zwei Katzen schlafen.", "Der Mann liest."],
    ["A dog runs.", "Two cats sleep.", "x"],
)


def write(folder: Path, name: str, lines: list[str]) -> None:
    content = "".join(f"{line}\n" for line in lines).encode()
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    for stem, count in (("train", 3), ("val", 2), ("test_2016", 1), ("test_2017", 2)):
        write(tmp_path, f"{stem}.de", GERMAN[:count])
        write(tmp_path, f"{stem}.en.gz", ENGLISH[:count])
    (tmp_path / "README.md").write_text("notes")
    return tmp_path


def test_a_folder_has_a_column_per_language_and_its_parts(corpus: Path) -> None:
    data = mw.read(corpus, label="en")
    assert [column.name for column in data.inputs] == ["de"]
    assert data.columns["en"].kind == data.columns["de"].kind == "text"
    assert (len(data.training), len(data.validation), len(data.test)) == (3, 2, 3)
    assert data.training.take("de").tolist() == GERMAN
    assert data.training.take("en").tolist() == ENGLISH
    assert "test_2016, test_2017" in data.notes["test rows"]
    assert "test=" in data.notes["test rows"]
    assert data.ignored == {"*.md": "1 file cannot be read as parallel text"}


def test_a_file_is_read_with_those_beside_it_and_the_other_way_round(corpus: Path) -> None:
    data = mw.read(corpus / "train.en.gz", label="de", test=corpus / "test_2017.de")
    assert data.label.name == "de"
    assert len(data.training) == 3
    assert data.test.take("de").tolist() == GERMAN[:2]
    assert data.name == "train"


def test_lines_end_at_line_feeds_alone(tmp_path: Path) -> None:
    write(tmp_path, "train.de", ["eins\u2028zwei drei vier", "fünf sechs sieben\r"])
    write(tmp_path, "train.en", ["one\u0085two three four", "five six seven"])
    data = mw.read(tmp_path, label="en")
    assert data.take("de").tolist() == ["eins\u2028zwei drei vier", "fünf sechs sieben"]


def test_files_of_other_lengths_are_refused(corpus: Path) -> None:
    write(corpus, "val.de", GERMAN)
    with pytest.raises(DataError, match=r"val\.de has 3 lines and val\.en\.gz has 2; line by line"):
        mw.read(corpus, label="en")


def test_a_language_that_one_set_lacks_is_named(corpus: Path) -> None:
    for stem in ("train", "val", "test_2016"):
        write(corpus, f"{stem}.fr", (corpus / f"{stem}.de").read_text().splitlines())
    with pytest.raises(DataError, match=r"no test_2017\.fr.*read one set alone"):
        mw.read(corpus, label="en")


def test_text_that_is_not_utf8_is_named_with_its_place(corpus: Path) -> None:
    (corpus / "train.de").write_bytes("Ein Hund.\nZwei Männer.\nx\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"train\.de is not UTF-8.*line 2"):
        mw.read(corpus, label="en")


def test_files_without_a_language_are_no_parallel_text(tmp_path: Path) -> None:
    write(tmp_path, "train.xx", GERMAN)
    write(tmp_path, "train.yy", ENGLISH)
    with pytest.raises(DataError, match="no layout that can be read"):
        mw.read(tmp_path, label="yy")


def test_multi30k_is_read_as_it_is(real_data: Callable[[str], Path]) -> None:
    data = mw.read(real_data("multi30k"), label="en")
    assert (len(data.training), len(data.validation), len(data.test)) == (29_000, 1014, 3071)
    assert data.training.take("en")[0] == "Two young, White males are outside near many bushes."
