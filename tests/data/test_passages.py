"""Passages: what follows what, in running text and in rows."""

import numpy as np
import pytest

import manyways as mw
from manyways.data.passages import passages_of, split

pytestmark = pytest.mark.quick


def test_paragraphs_are_between_empty_lines_and_sentences_end_with_a_mark() -> None:
    assert split("One.\nStill one.\n\n  \nTwo!\n") == ["One.\nStill one.", "Two!"]
    assert split('He left! Why? "Nobody knows." So be it…') == ["He left!", "Why?", '"Nobody knows.', "So be it…"]
    assert split("  \n ") == []


def test_pieces_of_running_text_follow_each_other() -> None:
    data = mw.read({"text": ["a b c.\n\nd e f.\n\n", "g h i.\n\nj k l."]})
    passages = passages_of(data)
    assert passages.texts == ["a b c.", "d e f.", "g h i.", "j k l."]
    assert passages.starts.tolist() == [0, 1, 2]
    assert passages_of(data.select(np.array([1, 0]))).texts == passages.texts


def test_rows_that_are_left_out_or_of_another_group_are_followed_by_nothing() -> None:
    rows = {"says": [f"the text number {at}" for at in range(6)], "who": list("aaabbb")}
    data = mw.read(rows, input="says", group="who")
    assert passages_of(data).starts.tolist() == [0, 1, 3, 4]
    gap = data.select(np.array([5, 3, 2, 1]))
    assert passages_of(gap).texts == [f"the text number {at}" for at in (1, 2, 3, 5)]
    assert passages_of(gap).starts.tolist() == [0]
