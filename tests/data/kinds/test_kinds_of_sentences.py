"""Columns of words, tags and trees: how lists are recognised, and what is refused by its row."""

from typing import Any

import polars as pl
import pytest

import manyways as mw
from manyways.errors import DataError

pytestmark = pytest.mark.quick

TOKENS = [["Ann", "sits"], ["No"], ["He", "met", "Ann"]] * 5
NAMES = [["B-PER", "O"], ["O"], ["O", "O", "B-PER"]] * 5


def read(**columns: Any) -> mw.Data:
    return mw.read(columns, label="tags")


@pytest.mark.parametrize("form", ["lists", "frame", "json"])
def test_lists_as_long_as_lists_of_tokens_are_tags(tmp_path: Any, form: str) -> None:
    columns: Any = {"tokens": TOKENS, "tags": NAMES}
    if form == "lists":
        data = mw.read(columns, label="tags")
    elif form == "frame":
        data = mw.read(pl.DataFrame(columns), label="tags")
    else:
        pl.DataFrame(columns).write_ndjson(tmp_path / "rows.jsonl")
        data = mw.read(tmp_path / "rows.jsonl", label="tags")
    assert (data.columns["tokens"].kind, data.label.kind) == ("words", "tags")
    assert data.take("tokens")[2] == "He\tmet\tAnn"
    assert data.take("tags")[2] == "O\tO\tB-PER"
    assert 'kinds={"tags": "several"}' in data.notes["tags"]


def test_numbers_are_tags_too_and_other_lists_as_long_are_no_inputs() -> None:
    numbers = [[0] * len(words) for words in TOKENS]
    numbers[0] = [1, 2]
    data = mw.read({"tokens": TOKENS, "tags": numbers, "pos": NAMES}, label="tags")
    assert data.take("tags")[0] == "1\t2"
    assert data.roles["input"] == ("tokens",)
    assert 'label="pos"' in data.ignored["pos"]
    even = mw.read({"tokens": [["a", "b"]] * 4, "tags": [[0, 1]] * 4}, label="tags")
    assert even.take("tags").tolist() == ["0\t1"] * 4


def test_sets_of_classes_stay_sets() -> None:
    topics = [["a", "b", "c"], ["a", "c"], ["b"]] * 5
    assert mw.read({"tokens": TOKENS, "tags": topics}, label="tags").label.kind == "several"
    assert mw.read({"tokens": TOKENS, "tags": NAMES}, label="tags", kinds={"tags": "several"}).label.kind == "several"


def test_tags_of_another_length_than_the_words_are_named_by_their_row() -> None:
    short = [*NAMES[:-1], ["O", "O"]]
    with pytest.raises(DataError, match="'tags' has 2 tags in row 14 .* for the 3 words in 'tokens'"):
        read(tokens=TOKENS, tags=short)
    with pytest.raises(DataError, match="'tags' has 1 head in row 0 .* for the 2 words"):
        mw.read({"tokens": ["a b"], "tags": ["0:root"]}, label="tags", kinds={"tokens": "words", "tags": "tree"})


@pytest.mark.parametrize(
    ("tree", "why"),
    [("0:a 5:b", "head 5 for word 2"), ("2:a 1:b", "no root"), ("0:a 0:b", "2 roots"), ("1:a 0:b", "its own head")],
)
def test_what_is_no_tree_is_named_by_its_row(tree: str, why: str) -> None:
    rows = {"words": ["a b", "c d"], "tree": ["2:a 0:b", tree]}
    with pytest.raises(DataError, match=f"'tree' holds, in row 1 .*{why}"):
        mw.read(rows, label="tree", kinds={"words": "words", "tree": "tree"})


def test_illegal_bio_is_said_with_what_it_is_read_as() -> None:
    rows = {"words": ["a b c", "d"], "tags": ["O I-X I-X", "I-Y"]}
    data = mw.read(rows, label="tags", kinds={"words": "words", "tags": "tags"})
    assert data.take("tags").tolist() == ["O\tB-X\tI-X", "B-Y"]
    assert "2 tags of it are no legal BIO" in data.notes["tags"]
    assert "I-X at word 2 of row 0 (rows count from 0); read as B-X" in data.notes["tags"]
    ends = mw.read({**rows, "tags": ["O B-X E-X", "S-Y"]}, label="tags", kinds={"words": "words", "tags": "tags"})
    assert ends.take("tags").tolist() == ["O\tB-X\tI-X", "B-Y"]
    assert "BIOES" in ends.notes["tags"]
    legal = mw.read({**rows, "tags": ["O B-X I-X", "O"]}, label="tags", kinds={"words": "words", "tags": "tags"})
    assert "tags" not in legal.notes


def test_a_cell_that_is_no_sentence_is_named_by_its_row() -> None:
    with pytest.raises(DataError, match="'words' holds, in row 1 .* an empty word, the 2nd of 2"):
        mw.read({"words": ["a\tb", "c\t"], "y": ["u", "v"]}, label="y", kinds={"words": "words"})
    with pytest.raises(DataError, match="cannot be|holds float64"):
        mw.read({"words": [0.5, 1.5], "y": ["u", "v"]}, label="y", kinds={"words": "words"})
