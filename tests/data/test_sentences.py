"""Sentences in cells: spellings, trees, and spans of tags."""

import itertools

import pytest

from manyways.data.sentences import (
    Unfit,
    arcs_of,
    as_bio,
    fault_of,
    is_bio,
    is_ended,
    joined,
    parts_of,
    repaired,
    spans_of,
    split,
    split_tree,
    tree_cell,
)


@pytest.mark.parametrize("cell", [["a", "b c"], '["a", "b c"]', ("a", "b c"), "a\tb c", "a b\N{NO-BREAK SPACE}c"])
def test_a_sentence_has_one_spelling(cell: object) -> None:
    once = joined(parts_of(cell))
    assert once == "a\tb\N{NO-BREAK SPACE}c"
    assert joined(parts_of(once)) == once
    assert split(once) == ["a", "b\N{NO-BREAK SPACE}c"]


def test_tags_that_are_numbers_are_words_too() -> None:
    assert joined(parts_of([0, 3, 3])) == "0\t3\t3"


@pytest.mark.parametrize(
    ("cell", "why"), [(["a", None], "None in it"), ([["a"]], "in it"), (3, "no list"), ([True], "True in it")]
)
def test_what_is_no_sentence_is_refused(cell: object, why: str) -> None:
    with pytest.raises(Unfit, match=why):
        parts_of(cell)


def test_an_empty_word_is_named_by_its_place() -> None:
    with pytest.raises(Unfit, match="empty word, the 2nd of 3"):
        joined(["a", " ", "b"])


@pytest.mark.parametrize(
    "cell", [[[2, "det"], [0, "root"]], ["2:det", "0:root"], '["2:det", "0:root"]', "2:det 0:root"]
)
def test_a_tree_has_one_spelling(cell: object) -> None:
    once = tree_cell(arcs_of(cell))
    assert once == "2:det\t0:root"
    assert split_tree(once) == ([2, 0], ["det", "root"])
    assert tree_cell(arcs_of(once)) == once


def test_a_relation_may_hold_a_colon() -> None:
    assert split_tree(tree_cell(arcs_of(["0:root", "1:nmod:poss"])) or "") == ([0, 1], ["root", "nmod:poss"])


@pytest.mark.parametrize(
    ("heads", "why"),
    [
        ([2, 3], "head 3 for word 2 of a sentence of 2"),
        ([-1, 0], "head -1 for word 1"),
        ([0, 2], "word 2 as its own head"),
        ([2, 3, 1], "no root"),
        ([0, 0, 1], "2 roots, words 1, 2"),
        ([0, 3, 4, 2], "a cycle of heads: 2 → 3 → 4 → 2"),
    ],
)
def test_heads_that_are_no_tree_are_refused_by_what_is_wrong(heads: list[int], why: str) -> None:
    fault = fault_of(heads)
    assert fault is not None
    assert why in fault


def test_the_number_of_trees_is_cayleys() -> None:
    for count in range(1, 6):
        trees = sum(fault_of(heads) is None for heads in itertools.product(range(count + 1), repeat=count))
        assert trees == count ** (count - 1)  # rooted labelled trees


def test_spans_are_strict() -> None:
    assert spans_of(["B-X", "I-X", "O", "B-X", "B-X"]) == [("X", 0, 2), ("X", 3, 4), ("X", 4, 5)]
    # As seqeval 1.2.2 has them in its mode "strict" with the scheme IOB2.
    assert spans_of(["B-X", "I-Y", "O"]) == [("X", 0, 1)]
    assert spans_of(["B-X", "I-X", "I-Y", "B-Y"]) == [("X", 0, 2), ("Y", 3, 4)]
    assert spans_of(["I-X", "B-X", "I-X"]) == [("X", 1, 3)]
    assert spans_of(["O", "I-X", "I-X", "O"]) == []


def test_schemes_are_told_apart_and_put_into_one() -> None:
    assert is_bio(["O", "B-X", "I-X"])
    assert not is_bio(["O", "O"])
    assert not is_bio(["O", "B-X", "NOUN"])
    assert not is_bio(["O", "S-X"])
    assert is_ended(["O", "S-X", "B-X", "E-X"])
    assert not is_ended(["O", "B-X", "I-X"])
    assert not is_ended(["S-X", "NOUN"])
    assert as_bio(["O", "S-X", "B-X", "I-X", "E-X", "U-Y", "L-Y"]) == ["O", "B-X", "B-X", "I-X", "I-X", "B-Y", "I-Y"]
    assert repaired(["I-X", "I-X", "O", "I-Y", "B-Y", "I-X"]) == ["B-X", "I-X", "O", "B-Y", "B-Y", "B-X"]
