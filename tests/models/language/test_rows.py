"""Rows as tokens: what stands before and behind, what is said, and what is refused."""

import json
from typing import Any

import numpy as np
import pytest

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import DataError
from manyways.models.language.rows import Reader

pytestmark = pytest.mark.quick


def table(**columns: list[Any]) -> Data:
    made = [Column(name, "text", np.array(values, object)) for name, values in columns.items()]
    return Data.from_columns(made, {name: [name] for name in columns})


def talk(*turns: str) -> str:
    names = ["user", "assistant"] * len(turns)
    return json.dumps([{"role": name, "content": turn} for name, turn in zip(names, turns, strict=False)])


@pytest.fixture
def reader(tokenizer: Any) -> Reader:
    return Reader(tokenizer, 24)


def text_of(reader: Reader, ids: Any) -> str:
    return str(reader.tokenizer.decode(list(ids)))


def test_texts_end_with_the_end_token_unless_they_go_on(reader: Reader) -> None:
    rows = reader.texts(table(text=["abc", "de\n", "fg\n"]))
    assert [text_of(reader, rows[row]) for row in range(3)] == ["abc<|end|>", "de\n", "fg\n"]
    assert rows.lengths.tolist() == [4, 3, 3]


def test_a_completion_ends(reader: Reader) -> None:
    (group,) = reader.answers(table(prompt=["1+2="], completion=["3"]))
    assert text_of(reader, group.prompt) == "1+2="
    assert [text_of(reader, answer.ids) for answer in group.answers] == ["3<|end|>"]
    assert group.answers[0].mask is None


def test_of_a_conversation_the_assistant_speaks(tokenizer: Any) -> None:
    reader = Reader(tokenizer, 200)
    (group,) = reader.answers(table(messages=[talk("ab", "cd", "ef", "gh")]))
    (answer,) = group.answers
    assert answer.mask is not None
    said = [token for token, flag in zip(answer.ids, answer.mask, strict=True) if flag]
    assert text_of(reader, said) == "cd<|end|>gh<|end|>"
    assert text_of(reader, [*group.prompt, *answer.ids]).count("ef") == 1


def test_pairs_share_their_prompt(reader: Reader) -> None:
    (group,) = reader.pairs(table(prompt=["1+2="], chosen=["3"], rejected=["4"]))
    assert [text_of(reader, answer.ids) for answer in group.answers] == ["3<|end|>", "4<|end|>"]


def test_equal_answers_are_refused(reader: Reader) -> None:
    with pytest.raises(DataError, match=r"1 of 2 pairs whose chosen and rejected answer are the same.*row 1"):
        reader.pairs(table(prompt=["a", "b"], chosen=["1", "2"], rejected=["3", "2"]))


def test_an_empty_completion_is_refused(reader: Reader) -> None:
    with pytest.raises(DataError, match=r"1 of 2 rows whose completion is empty, the first is row 1"):
        reader.answers(table(prompt=["a", "b"], completion=["1", " "]))


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        (talk("only a question"), "no turn of the assistant"),
        ("[]", "holds no conversation"),
        ("words", "holds no conversation"),
        (json.dumps([{"role": "robot", "content": "x"}]), "holds no conversation"),
    ],
)
def test_a_chat_without_an_answer_is_refused(reader: Reader, messages: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        reader.answers(table(messages=[messages]))


LONG = {"prompt": ["abcdefghij" * 3, "ab"], "completion": ["123", "4"]}


def test_long_rows_are_refused_cut_or_skipped(tokenizer: Any) -> None:
    with pytest.raises(DataError, match=r'1 of 2 rows longer than the 24 tokens.*row 0.*34.*too_long="cut"'):
        Reader(tokenizer, 24).answers(table(**LONG))
    cut, whole = Reader(tokenizer, 24, "cut").answers(table(**LONG))
    assert len(cut) == 24
    assert text_of(Reader(tokenizer, 24), cut.prompt) == ("abcdefghij" * 3)[-20:]
    assert len(whole) == 4
    assert len(Reader(tokenizer, 24, "skip").answers(table(**LONG))) == 1


def test_a_completion_longer_than_the_context_loses_its_end(tokenizer: Any) -> None:
    (group,) = Reader(tokenizer, 8, "cut").answers(table(prompt=["ab"], completion=["0123456789"]))
    assert len(group) == 8
    assert text_of(Reader(tokenizer, 8), group.answers[0].ids) == "0123456"
