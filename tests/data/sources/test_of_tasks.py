"""Several sets read as one whose rows are of several tasks."""

import json
from pathlib import Path

import numpy as np
import pytest

import manyways as mw
from manyways.data.parts import TEST, TRAINING
from manyways.errors import DataError


def lines(path: Path, rows: list[dict[str, str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def answers(count: int, **more: str) -> list[dict[str, str]]:
    return [{"prompt": f"question {at}", "completion": f"answer {at}", **more} for at in range(count)]


def test_a_folder_with_a_file_per_task(tmp_path: Path) -> None:
    lines(tmp_path / "sets" / "translate-train.jsonl", answers(3, source="a"))
    lines(tmp_path / "sets" / "translate-test.jsonl", answers(2, source="a"))
    lines(tmp_path / "sets" / "train_sums.jsonl", answers(4))
    data = mw.read(tmp_path / "sets", task="task")
    assert data.name == "sets"
    assert sorted(data.take("task").tolist()) == ["sums"] * 4 + ["translate"] * 5
    assert data.roles["task"] == ("task",)
    tests = data.take("task")[data.part == TEST]
    assert tests.tolist() == ["translate"] * 2
    assert int((data.part == TRAINING).sum()) == 7
    assert data.ignored["source"] == "not all tasks have it"
    assert mw.read(str(tmp_path / "sets"), task="task").fingerprint == data.fingerprint


def test_a_folder_with_a_folder_per_task(tmp_path: Path) -> None:
    for task, count in (("a", 2), ("b", 3)):
        lines(tmp_path / task / "train.jsonl", answers(count))
        lines(tmp_path / task / "test.jsonl", answers(1))
    data = mw.read(tmp_path, task="which")
    assert data.training.take("which").tolist() == ["a"] * 2 + ["b"] * 3
    assert data.test.take("which").tolist() == ["a", "b"]


def test_sources_by_their_task(tmp_path: Path) -> None:
    file = lines(tmp_path / "a.jsonl", answers(2))
    memory = {"prompt": ["1+1=", "2+2="], "completion": ["2", "4"]}
    data = mw.read({"told": file, "sums": memory}, task="task")
    assert data.take("task").tolist() == ["told", "told", "sums", "sums"]
    assert data.take("completion").tolist() == ["answer 0", "answer 1", "2", "4"]


def test_labels_that_a_set_lacks_are_missing_on_its_rows() -> None:
    one, two = {"text": ["good", "bad"], "mood": ["+", "-"]}, {"text": ["hallo", "hello"], "tongue": ["de", "en"]}
    data = mw.read({"one": one, "two": two}, task="set", label=("mood", "tongue"), input="text")
    assert data.take("mood").tolist() == ["+", "-", None, None]
    assert data.take("tongue").tolist() == [None, None, "de", "en"]


def test_files_that_name_their_tasks_are_parts_as_ever(tmp_path: Path) -> None:
    lines(tmp_path / "train.jsonl", [{**row, "task": "x" if at else "y"} for at, row in enumerate(answers(3))])
    lines(tmp_path / "test.jsonl", [{**row, "task": "x"} for row in answers(2)])
    data = mw.read(tmp_path, task="task")
    assert data.training.take("task").tolist() == ["y", "x", "x"]


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    good = lines(tmp_path / "a.jsonl", answers(2))
    other = lines(tmp_path / "b.jsonl", [{"question": "?", "answer": "!"}])
    with pytest.raises(DataError, match=r"b\.jsonl has no column 'completion', which is asked for; it has"):
        mw.read({"a": good, "b": other}, task="task", prompt="prompt", completion="completion")
    empty = tmp_path / "c.jsonl"
    empty.write_text("")
    with pytest.raises(DataError, match=r"c\.jsonl holds no rows"):
        mw.read({"a": good, "c": empty}, task="task")
    with pytest.raises(DataError, match="The task 'none' has no rows"):
        mw.read({"a": good, "none": {"prompt": np.array([], object), "completion": np.array([], object)}}, task="task")
    lines(tmp_path / "sets" / "train.jsonl", answers(1))
    lines(tmp_path / "sets" / "sums.jsonl", answers(1))
    with pytest.raises(DataError, match=r"train\.jsonl says no task beside its part\. Call it by its task"):
        mw.read(tmp_path / "sets", task="task")
    with pytest.raises(DataError, match=r"no\.jsonl is no table of a task"):
        mw.read({"a": good, "b": tmp_path / "no.jsonl"}, task="task")
