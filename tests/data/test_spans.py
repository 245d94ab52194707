"""Spans stand in their text to the character; SQuAD files and tables with starts are read alike, mistakes by row."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import manyways as mw
from manyways.data.spans import exact_match, normalised, spans_of, token_f1
from manyways.errors import DataError

pytestmark = pytest.mark.quick

CONTEXT = "Denver beat Carolina in 2016. The game, called 50, was played in Santa Clara."


def squad(folder: Path, *answers: dict[str, Any], name: str = "squad.json", **more: Any) -> Path:
    questions = [{"id": "1", "question": "Who won the game?", "answers": list(answers), **more}]
    content = {"version": "1.1", "data": [{"title": "A", "paragraphs": [{"context": CONTEXT, "qas": questions}]}]}
    path = folder / name
    text = json.dumps(content)
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["squad.json", "squad.json.gz"])
def test_squad_files_are_read(tmp_path: Path, name: str) -> None:
    path = squad(
        tmp_path, {"text": "Denver", "answer_start": 0}, {"text": "Santa Clara", "answer_start": 65}, name=name
    )
    data = mw.read(path, group="paragraph")
    assert [(column.name, column.kind) for column in data.inputs] == [("context", "text"), ("question", "text")]
    assert data.label.kind == "span"
    assert data.take("answer").tolist() == ['{"text":["Denver","Santa Clara"],"start":[0,65]}']
    assert data.take("paragraph").tolist() == ["paragraph 0"]


def test_impossible_questions_have_no_answer(tmp_path: Path) -> None:
    data = mw.read(squad(tmp_path, is_impossible=True))
    assert data.take("answer").tolist() == ['{"text":[],"start":[]}']
    assert data.labelled.all()


def table(**more: list[Any]) -> dict[str, list[Any]]:
    rows = {"context": [CONTEXT, CONTEXT], "question": ["Who won it?", "What was it called?"]}
    return {**rows, "answer": ["Denver", "50"], **more}


def test_columns_of_answers_and_starts_are_spans() -> None:
    data = mw.read(table(start=[0, 47]))
    assert data.take("answer").tolist() == ['{"text":["Denver"],"start":[0]}', '{"text":["50"],"start":[47]}']
    assert "start" not in data.columns
    # Where a start lacks, the answer is found if it stands once.
    found = mw.read(table(), label="answer", kinds={"answer": "span"})
    assert found.take("answer").tolist() == data.take("answer").tolist()
    hugging = table(answer=[{"text": ["Denver"], "answer_start": [0]}, {"text": [], "answer_start": []}])
    assert mw.read(hugging, label="answer").take("answer").tolist()[1] == '{"text":[],"start":[]}'


@pytest.mark.parametrize(("change", "message"), [
    ({"start": [0, 46]}, "in row 1 .* at character 46 stands ' 5', and not the answer '50'"),
    ({"start": [0, 4700]}, "in row 1 .* starts at character 4,700, and the text has 77"),
    ({"answer": ["Denver", "in"]}, "in row 1 .* has no start, and stands 3 times in the text"),
    ({"answer": ["Paris", "50"]}, "in row 0 .* has no start, and stands nowhere in the text"),
    ({"context": [CONTEXT, "  "], "start": [0, 47]}, "the text is empty"),
    ({"start": [0, -3]}, "in row 1 .* a start must be 0 or more; got -3"),
    ({"start": [0, 1.5]}, "a start must be a whole number of characters; got 1.5"),
    ({"answer": [{"text": ["a", "b"], "start": [1]}, "50"]}, "in row 0 .* it has 2 texts and 1 starts"),
])  # fmt: skip
def test_spans_that_do_not_stand_in_the_text_are_refused(change: dict[str, list[Any]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        mw.read(table(**change), label="answer", kinds={"answer": "span"})


@pytest.mark.parametrize(("content", "message"), [
    ({"data": [{"paragraphs": [{"context": "a b"}]}]}, "entry 0 of paragraphs has no list of qas"),
    ({"data": [{"paragraphs": [{"context": 3, "qas": [{"question": "?"}]}]}]}, "has no text as its context; got '3'"),
    ({"data": [{"paragraphs": [{"context": "a b", "qas": [{"question": "?", "answers": [{"text": "a"}]}]}]}]},
     "no whole number as its answer_start"),
    ({"data": [{"paragraphs": [{"context": "a b", "qas": []}]}]}, "holds no question"),
])  # fmt: skip
def test_damaged_squad_files_are_refused_with_the_place(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "squad.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        mw.read(path)


def test_answers_are_compared_as_squad_compares_them() -> None:
    assert normalised("The  U.S. Army!") == "us army"
    assert exact_match("the cat.", ["A cat", "dog"]) == 1
    assert token_f1("the black cat", ["black dog"]) == pytest.approx(0.5)
    assert token_f1("x y z", ["a", "x y"]) == pytest.approx(2 * 2 / 5)
    assert (token_f1("", []), token_f1("word", []), exact_match("", [])) == (1, 0, 1)
    assert spans_of('{"text":"a","start":3}') == (("a", 3),)


def test_answers_are_kept_in_one_spelling() -> None:
    one = mw.read(table(answer=['{"text": "Denver", "start": 0}', {"text": "50", "answer_start": 47}]), label="answer")
    two = mw.read(table(start=[0, 47]), label="answer")
    assert np.array_equal(one.ids, two.ids)
