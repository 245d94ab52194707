"""Columns that language models learn from: named by the user, or called as the field calls them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from manyways.data.data import Data
from manyways.data.parts import TEST
from manyways.data.read import read
from manyways.errors import DataError
from manyways.models.language.conversations import conversations

pytestmark = pytest.mark.quick

TALK = [{"role": "user", "content": "1+1="}, {"role": "assistant", "content": "2"}]
OTHER = [{"role": "system", "content": "Add."}, *TALK, {"role": "user", "content": "Thanks"}]


def columns(*names: str, rows: int = 4) -> dict[str, list[str]]:
    return {name: [f"{name} number {at}" for at in range(rows)] for name in names}


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        (["prompt", "completion"], ["prompt", "completion"]),
        (["prompt", "chosen", "rejected"], ["prompt", "chosen", "rejected"]),
        (["chosen", "rejected"], ["chosen", "rejected"]),
        (["prompt"], ["prompt"]),
        (["messages"], ["messages"]),
        (["text"], ["text"]),
        (["prompt", "completion", "text"], ["prompt", "completion", "text"]),
        (["prompt", "completion", "source"], ["prompt", "completion"]),
    ],
    ids="+".join,
)
def test_columns_called_as_roles_have_them(names: list[str], roles: list[str]) -> None:
    data = read(columns(*names))
    assert data.roles == {role: (role,) for role in roles}
    assert data.inputs == []
    for role in roles:
        assert data.columns[role].kind == "text"


@pytest.mark.parametrize("names", [["completion"], ["chosen"], ["rejected"], ["text", "title"]], ids="+".join)
def test_half_a_pair_or_one_text_among_others_is_an_input(names: list[str]) -> None:
    data = read(columns(*names))
    assert data.roles == {"input": tuple(names)}


def test_a_text_beside_a_label_is_what_a_classifier_reads() -> None:
    data = read({**columns("text"), "label": ["a", "b", "a", "b"]})
    assert data.roles == {"label": ("label",), "input": ("text",)}


def test_a_named_input_leaves_the_others_without_a_role() -> None:
    data = read(columns("prompt", "completion"), input="prompt")
    assert data.roles == {"input": ("prompt",)}
    assert data.ignored == {"completion": "no role was given to it"}


def test_columns_of_other_names_are_given_their_roles() -> None:
    data = read(columns("question", "answer"), prompt="question", completion="answer")
    assert data.roles == {"prompt": ("question",), "completion": ("answer",)}
    assert repr(data) == "Data('data', rows=4, prompt=question, completion=answer)"


@pytest.mark.parametrize("judged", [[True, False, True, True], ["true", "false", "true", "true"], [1, 0, 1, 1]])
def test_judged_answers_are_answers_with_a_label(judged: list[Any], tmp_path: Path) -> None:
    data = read({**columns("prompt", "completion"), "label": judged})
    assert data.roles == {"label": ("label",), "prompt": ("prompt",), "completion": ("completion",)}
    assert data.classification
    assert [str(value).lower() in ("true", "1") for value in data.take("label")] == [True, False, True, True]
    path = tmp_path / "judged.jsonl"
    rows = zip(*columns("prompt", "completion").values(), judged, strict=True)
    path.write_text(
        "".join(json.dumps(dict(zip(("prompt", "completion", "label"), row, strict=True))) + "\n" for row in rows)
    )
    assert read(path).roles == data.roles
    assert read(path).take("label").tolist() == data.take("label").tolist()
    assert "completion=completion, label=label, labelled=4" in repr(data)


# --- conversations -------------------------------------------------------------------------------


def _jsonl(path: Path) -> Any:
    path.write_text("".join(json.dumps({"messages": talk}) + "\n" for talk in (TALK, OTHER)))
    return path


def _parquet(path: Path) -> Any:
    pl.DataFrame({"messages": [TALK, OTHER]}).write_parquet(path)
    return path


def _json_text(path: Path) -> Any:
    return {"messages": [json.dumps(TALK), json.dumps(OTHER)]}


@pytest.mark.parametrize(
    "source",
    [
        lambda folder: _jsonl(folder / "talks.jsonl"),
        lambda folder: _parquet(folder / "talks.parquet"),
        lambda folder: {"messages": [TALK, OTHER]},
        lambda folder: pl.DataFrame({"messages": [TALK, OTHER]}),
        _json_text,
    ],
    ids=["JSON Lines", "Parquet", "memory", "frame", "JSON text"],
)
def test_conversations_are_lists_of_messages_wherever_they_lie(source: Any, tmp_path: Path) -> None:
    data = read(source(tmp_path))
    assert data.roles == {"messages": ("messages",)}
    found = conversations(data, "messages", np.arange(2))
    assert [[(turn["role"], turn["content"]) for turn in talk] for talk in found] == [
        [(turn["role"], turn["content"]) for turn in talk] for talk in (TALK, OTHER)
    ]


def test_conversations_of_a_hugging_face_data_set() -> None:
    datasets = pytest.importorskip("datasets")
    data = read(datasets.Dataset.from_list([{"messages": TALK}, {"messages": OTHER}]))
    assert data.roles == {"messages": ("messages",)}
    assert conversations(data, "messages", np.arange(2))[0] == TALK


@pytest.mark.parametrize("role", ["chosen", "completion", "prompt"])
def test_conversations_stand_in_the_roles_of_prompts_and_answers(role: str) -> None:
    held: dict[str, Any] = columns("prompt", "completion", "chosen", "rejected", rows=2)
    held[role] = [TALK, TALK]
    assert conversations(read(held), role, np.arange(2))[0] == TALK


def test_conversations_are_no_running_text() -> None:
    """Their JSON would be learned as if somebody had said it."""
    with pytest.raises(DataError, match="column 'text' holds lists of messages, and the role text takes running text"):
        read({"text": [TALK, TALK]}, text="text")


def test_text_that_only_looks_like_a_list_is_text() -> None:
    assert read({"text": ['[{"a": 1}]', "[1, 2]"]}).roles == {"text": ("text",)}


# --- parts ---------------------------------------------------------------------------------------


def test_a_test_part_of_rows_without_labels_is_drawn_from_all() -> None:
    data = read(columns("prompt", "completion", rows=50)).with_test(0.2).with_validation(0.1)
    assert (len(data.training), len(data.validation), len(data.test)) == (36, 4, 10)
    again = read(columns("prompt", "completion", rows=50)).with_test(0.2)
    assert np.array_equal(again.test.ids, data.test.ids)
    assert not np.array_equal(again.with_test(0.2, seed=1).part, again.part)


def test_the_last_rows_become_the_test_part() -> None:
    data = read(columns("text", rows=10))
    last = data.with_last_as_test(0.3)
    assert last.test.take("text").tolist() == data.take("text").tolist()[-3:]
    assert not (data.part == TEST).any(), "the data itself stays as it was"
    further = last.with_last_as_test(0.2)
    assert further.test.rows.tolist() == [6, 7, 8, 9]


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 2.0])
def test_a_share_of_last_rows_outside_0_to_1_is_refused(share: float) -> None:
    with pytest.raises(DataError, match=r"The share of test rows must be in \(0, 1\); got"):
        read(columns("text")).with_last_as_test(share)


def test_too_few_rows_for_last_ones_are_refused() -> None:
    with pytest.raises(DataError, match=r"data has 2 training rows, so a share of 0.1 leaves nothing to test on"):
        read(columns("text", rows=2)).with_last_as_test(0.1)


# --- arithmetic ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def arithmetic() -> Data:
    return read("arithmetic")


def test_arithmetic_is_right_where_it_should_be(arithmetic: Data) -> None:
    assert len(arithmetic) == 2000
    assert set(arithmetic.roles) == {"prompt", "completion", "chosen", "rejected", "text"}
    rows = zip(*(arithmetic.take(name) for name in ("prompt", "completion", "chosen", "rejected", "text")), strict=True)
    for prompt, completion, chosen, rejected, text in rows:
        first, second = prompt.removesuffix("=").split("+")
        assert int(completion) == int(first) + int(second)
        assert chosen == completion != rejected
        assert text == prompt + completion
    assert len(set(arithmetic.take("prompt"))) == 2000


def test_arithmetic_shows_its_roles(arithmetic: Data) -> None:
    shown = "prompt=prompt, completion=completion, text=text, chosen=chosen, rejected=rejected"
    assert repr(arithmetic) == f"Data('arithmetic', rows=2,000, {shown})"
