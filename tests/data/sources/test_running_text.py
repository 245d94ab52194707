"""Running text: files as rows of about 2,000 characters that join to the whole again."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from manyways.data.data import Data
from manyways.data.read import read
from manyways.data.sources.running_text import PIECE, pieces
from manyways.errors import DataError


def whole(data: Data) -> str:
    return "".join(data.take("text"))


@pytest.mark.parametrize(
    "text",
    [
        "short",
        "a line\n" * 2000,
        ("A paragraph of some words.\n" * 20 + "\n") * 40,
        "no break at all " * 1000,
        "begin\n" + "\n" * 9000 + "end\n",
        "\n" * 9000 + "end",
        "x" * PIECE + "\n\n" + "y" * PIECE,
    ],
    ids=["short", "lines", "paragraphs", "one line", "blank", "blank first", "exact"],
)
def test_pieces_join_to_the_whole_and_none_is_blank(text: str) -> None:
    found = pieces(text)
    assert "".join(found) == text
    assert all(piece.strip() for piece in found)


def test_pieces_end_behind_a_paragraph_or_else_behind_a_line() -> None:
    paragraphs = pieces(("A paragraph of some words.\n" * 20 + "\n") * 40)
    assert len(paragraphs) > 5
    assert all(piece.endswith("\n\n") and PIECE <= len(piece) <= 2 * PIECE for piece in paragraphs[:-1])
    lines = pieces("a line\n" * 2000)
    assert all(piece.endswith("\n") and len(piece) <= 2 * PIECE + 7 for piece in lines)


def test_a_file_is_a_column_of_running_text(tmp_path: Path) -> None:
    text = "One line.\r\nAnother line.\n" * 300
    path = tmp_path / "my novel.txt"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    data = read(path)
    assert whole(data) == text.replace("\r\n", "\n")
    assert data.roles == {"text": ("text",)}
    assert data.name == "my novel"
    assert repr(data) == f"Data('my novel', rows={len(data)}, text=text)"
    packed = tmp_path / "my novel.md.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    assert whole(read(packed)) == whole(data)


def test_the_last_rows_are_the_end_of_the_text(tmp_path: Path) -> None:
    text = "".join(f"Line {at}.\n" for at in range(4000))
    (tmp_path / "a.txt").write_text(text)
    data = read(tmp_path / "a.txt").with_last_as_test(0.25)
    assert whole(data.training) + whole(data.test) == text
    assert len(data.test) == round(0.25 * len(data))


def test_test_rows_from_another_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("to read\n")
    (tmp_path / "b.txt").write_text("to be asked about\n")
    data = read(tmp_path / "a.txt", test=tmp_path / "b.txt")
    assert (whole(data.training), whole(data.test)) == ("to read\n", "to be asked about\n")


def test_a_folder_of_texts_has_the_parts_that_its_files_name(tmp_path: Path) -> None:
    for name in ("train", "valid", "test"):
        (tmp_path / f"corpus.{name}.txt").write_text(f"the {name} text\n")
    (tmp_path / "README.md").write_text("notes")
    (tmp_path / "LICENSE").write_text("free")
    data = read(tmp_path)
    assert [whole(part) for part in (data.training, data.validation, data.test)] == [
        "the train text\n",
        "the valid text\n",
        "the test text\n",
    ]


def test_a_folder_of_texts_without_parts_is_read_by_name(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        (tmp_path / f"{name}.txt").write_text(f"{name}\n")
    assert whole(read(tmp_path).training) == "a\nb\nc\n"
    (tmp_path / "photo.png").write_bytes(b"")
    with pytest.raises(DataError):
        read(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b" \n\n", r"a\.txt is empty; it needs text to learn from"),
        (b"fine\nbr\xf6ken\n", r"a\.txt is not UTF-8: byte 0xf6 at byte offset 7, line 2\. .* iconv"),
    ],
)
def test_text_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.txt")


def test_a_label_has_no_place_in_running_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("to read\n")
    with pytest.raises(DataError, match=r"no column 'mood' for the role label; columns are text"):
        read(tmp_path / "a.txt", label="mood")


def test_a_whole_play(real_data: Callable[[str], Path]) -> None:
    file = real_data("tiny-shakespeare") / "input.txt"
    data = read(file)
    assert whole(data) == file.read_text(encoding="utf-8")
    assert 300 < len(data) < 600
    between_speeches = sum(piece.endswith("\n\n") for piece in data.take("text")[:-1])
    assert between_speeches > 0.98 * len(data), "only a speech of 4,000 characters is cut within"
    assert whole(read(file.parent)) == whole(data)
