"""Labels with a structure, drawn for a report."""

from typing import Any

import pytest

from manyways.comparison.report.drawings import DRAWINGS, drawn
from manyways.comparison.report.drawings.tree import heights
from manyways.comparison.results import Example
from manyways.errors import DataError

PIXEL = "data:image/png;base64,AA"
PAYLOADS: dict[str, dict[str, Any]] = {
    "tags": {"words": ["EU", "rejects", "German"], "truth": ["B-ORG", "O", "B-MISC"], "predicted": ["B-ORG", "O", "O"]},
    "tree": {
        "words": ["The", "dog", "barks"],
        "truth": [[2, "det"], [3, "nsubj"], [0, "root"]],
        "predicted": [[2, "det"], [3, "obj"], [0, "root"]],
    },
    "text": {"source": "Ein Hund rennt", "truth": "a dog runs", "predicted": "a cat runs"},
    "span": {"question": "Who won?", "context": "Denver won the game.", "truth": [0, 6], "predicted": [7, 10]},
    "boxes": {
        "image": PIXEL, "size": [640, 480], "truth": [["red", 1, 2, 30, 40]], "predicted": [["red", 1, 2, 31, 40, 0.9]]
    },
    "mask": {"image": PIXEL, "truth": PIXEL, "predicted": PIXEL},
    "instances": {"image": PIXEL, "truth": PIXEL, "predicted": PIXEL},
    "forecast": {"history": [1, 2, 3], "truth": [4, 5], "predicted": [3.5, 4.5], "low": [3, 4], "high": [4, 5]},
    "plain": {"truth": "a", "predicted": "b"},
}  # fmt: skip


def of(kind: str, **changed: Any) -> str:
    return str(drawn(Example("0", kind, {**PAYLOADS[kind], **changed})))


def test_every_drawing_has_an_example_here() -> None:
    assert set(PAYLOADS) == set(DRAWINGS)


@pytest.mark.parametrize("kind", PAYLOADS)
def test_what_a_file_says_is_escaped(kind: str) -> None:
    def spoilt(value: Any) -> Any:
        if isinstance(value, str):
            return value + '"><script>' if value.startswith("data:") else '<script>"' + value
        return [spoilt(each) for each in value] if isinstance(value, list) else value

    html = of(kind, **{name: spoilt(value) for name, value in PAYLOADS[kind].items() if name not in ("truth",)})
    assert "<script>" not in html


@pytest.mark.parametrize("kind", PAYLOADS)
@pytest.mark.parametrize("damage", [None, 7, [["x"]], {}], ids=str)
def test_damaged_payload_is_refused(kind: str, damage: Any) -> None:
    for name in PAYLOADS[kind]:
        if (kind, name) in (("forecast", "low"), ("forecast", "high")) and damage is None:
            continue
        with pytest.raises(DataError):
            of(kind, **{name: damage})


def test_wrong_tags_are_marked_and_right_ones_are_not() -> None:
    html = of("tags")
    assert html.count('class="tag ') == 2  # a word outside of everything, rightly, has no mark
    assert html.count(' wrong"') == 1
    assert "<s>O</s> B-MISC" in html


def test_tags_must_be_as_many_as_words() -> None:
    with pytest.raises(DataError, match="as many tags as words"):
        of("tags", predicted=["O"])


def test_arcs_are_drawn_above_those_that_they_span() -> None:
    inner, outer = [(2, "x"), (0, "root"), (1, "x")], [(0, "root"), (1, "x"), (1, "x")]
    assert heights(inner) == [1, 0, 2]
    assert heights(outer) == [0, 1, 2]


def test_wrong_arcs_are_dashed_and_name_the_truth() -> None:
    html = of("tree")
    assert html.count('class="arc wrong"') == 1
    assert "nsubj ← barks" in html


@pytest.mark.parametrize(
    "heads", [[[4, "x"], [3, "x"], [0, "root"]], [[-1, "x"], [3, "x"], [0, "root"]], [[0, "root"]]]
)
def test_head_outside_of_the_sentence_is_refused(heads: list[list[Any]]) -> None:
    with pytest.raises(DataError, match="head within the sentence"):
        of("tree", predicted=heads)


def test_words_that_the_reference_has_not_are_marked() -> None:
    assert "a <mark>cat</mark> runs" in of("text")


def test_source_may_be_a_picture_or_a_sound() -> None:
    assert f'<img src="{PIXEL}"' in of("text", source=PIXEL)
    assert "<audio" in of("text", source="data:audio/wav;base64,AA")


def test_spans_are_marked_where_they_are() -> None:
    html = of("span")
    assert "<u>Denver</u>" in html
    assert '<mark class="wrong">won</mark>' in html
    assert "<mark><u>Denver</u></mark>" in of("span", predicted=[0, 6])
    assert "no answer" in of("span", predicted=[])


def test_span_outside_of_its_text_is_refused() -> None:
    with pytest.raises(DataError, match="within its text"):
        of("span", truth=[0, 600])


def test_boxes_are_at_their_place_in_the_picture() -> None:
    html = of("boxes")
    assert 'viewBox="0 0 640 480"' in html
    assert '<rect class="box truth h0" x="1.0" y="2.0" width="30.0" height="40.0">' in html
    assert "red 0.90" in html


def test_a_kind_without_a_drawing_is_shown_in_words() -> None:
    html = str(drawn(Example("0", "knots", {"truth": "a", "predicted": "b"})))
    assert "<b>a</b>" in html
