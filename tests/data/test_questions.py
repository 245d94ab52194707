"""Questions in a file: what is written, what is read back, and what is refused."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import manyways as mw
from manyways.data.columns import id_text
from manyways.data.data import Data
from manyways.data.questions import SKIPPED, QuestionFile, with_empty_label
from manyways.errors import AnswersAwaited, DataError, ParameterError
from manyways.methods.transfer.linear_probe import LinearProbe
from manyways.training.run import Run


@pytest.fixture(scope="module")
def digits() -> Data:
    return mw.read("digits").select(np.arange(120)).with_test(0.3)


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def answer(path: Path, labels: dict[str, Any], separator: str = ",") -> None:
    """Fill in the column `answer`, as a spreadsheet saves it."""
    rows = lines(path)
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, rows[0], delimiter=separator)
        writer.writeheader()
        writer.writerows({**row, "answer": row["answer"] or labels.get(row["id"], "")} for row in rows)


def truth(data: Data) -> dict[str, Any]:
    return dict(zip(map(id_text, data.ids), data.take("label").tolist(), strict=True))


@pytest.mark.quick
@pytest.mark.parametrize("ending", ["csv", "json", "jsonl"])
def test_rows_are_written_and_answers_read_back(ending: str, tmp_path: Path) -> None:
    data = mw.read({"says": ["=1+1", "fine, thanks", "x"], "n": [1.5, 2.0, 3.0], "label": ["-a", "b", "b"]})
    rows, path = data.hide(np.arange(3)), tmp_path / f"questions.{ending}"
    ask = QuestionFile(path)
    with pytest.raises(AnswersAwaited, match="3 rows in .* wait for an answer") as awaited:
        ask(rows)
    assert (awaited.value.path, awaited.value.count) == (path, 3)
    text = path.read_text("utf-8-sig")
    assert "-a" not in text, "the hidden label is written"
    if ending == "csv":
        assert [line["says"] for line in lines(path)] == ["'=1+1", "fine, thanks", "x"]
        answer(path, {id_text(data.ids[0]): "'-a", id_text(data.ids[2]): " b "}, separator=";")
    else:
        values = [json.loads(line) for line in text.splitlines()] if ending == "jsonl" else json.loads(text)
        values[0]["answer"], values[1]["answer"], values[2]["answer"] = "-a", None, "b"
        shown = "".join(json.dumps(each) + "\n" for each in values) if ending == "jsonl" else json.dumps(values)
        path.write_text(shown, encoding="utf-8")
    assert ask(rows) == ["-a", SKIPPED, "b"]


@pytest.mark.quick
def test_only_new_rows_are_added_and_answers_stay(tmp_path: Path) -> None:
    data = mw.read({"n": [1.0, 2.0, 3.0, 2.0], "label": [0, 1, 1, 1]}).hide(np.arange(4))
    ask = QuestionFile(tmp_path / "q.csv")
    with pytest.raises(AnswersAwaited):
        ask(data.select(np.array([0])))
    answer(ask.path, {id_text(data.ids[0]): 1})
    with pytest.raises(AnswersAwaited, match="2 rows"):
        ask(data)  # rows 1 and 3 are equal: one question
    assert [line["answer"] for line in lines(ask.path)] == ["1", "", ""]
    answer(ask.path, {id_text(data.ids[1]): 0})
    assert ask(data) == [1, 0, SKIPPED, 0]


def test_pictures_lie_beside_the_file(digits: Data, tmp_path: Path) -> None:
    from PIL import Image

    ask = QuestionFile(tmp_path / "q.csv")
    with pytest.raises(AnswersAwaited):
        ask(digits.select(np.arange(2)))
    pictures = [tmp_path / line["image"] for line in lines(ask.path)]
    sizes = []
    for each in pictures:
        with Image.open(each) as picture:
            sizes.append(picture.size)
    assert len(set(pictures)) == 2
    assert sizes == [(128, 128)] * 2


@pytest.mark.quick
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("id,row\na,1\n", "has no column 'answer'"),
        ("id,answer\n,x\n", "entry 1 of .* has no 'id'"),
        ("id,answer\na,x\na,y\n", "in two ways: 'x' and 'y'"),
        ("id,answer\na,x,y\n", "line 2 of .* has 3 cells, and 2 columns"),
        ("", "has no column 'id'"),
        (b"\xff\xfe\x00", "is not UTF-8"),
    ],
)
def test_a_damaged_file_is_refused(text: str | bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=reason):
        QuestionFile(path)(mw.read({"n": [1.0, 2.0], "label": ["a", "b"]}))


@pytest.mark.quick
@pytest.mark.parametrize(("labels", "reason"), [([0, 1], "must be a class such as 0, 1"), ([0.5, 1.25], "a number")])
def test_an_answer_that_is_no_label_is_refused(labels: list[Any], reason: str, tmp_path: Path) -> None:
    data = mw.read({"n": [1.0, 2.0], "label": labels})
    ask = QuestionFile(tmp_path / "q.csv")
    with pytest.raises(AnswersAwaited):
        ask(data)
    answer(ask.path, {id_text(data.ids[0]): "cat"})
    with pytest.raises(DataError, match=reason):
        ask(data)


@pytest.mark.quick
def test_other_endings_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"must end with \.csv, \.json, \.jsonl; got 'q.xlsx'"):
        QuestionFile("q.xlsx")


def test_a_person_labels_data_that_have_no_label_at_all(digits: Data, tmp_path: Path) -> None:
    """Every call goes on from the last; a blank answer is not asked about again, and each row is asked once."""
    columns = {"image": digits.take("image")}
    bare = with_empty_label(mw.read(columns, label=()), "digit")
    labels = {id_text(row): str(label) for row, label in zip(bare.ids, digits.take("label"), strict=True)}
    path, unsure = tmp_path / "q.csv", set[str]()
    method = mw.ActiveLearning(base=LinearProbe(penalty=1.0), questions=24, rounds=3, oracle=QuestionFile(path))
    for questions in (8, 16, 24):
        with pytest.raises(AnswersAwaited, match="8 rows in"):
            method.fit(bare, run=Run(tmp_path / "run"))
        assert len(lines(path)) == questions
        unsure.add(lines(path)[-1]["id"])
        answer(path, {key: label for key, label in labels.items() if key not in unsure})
    model = method.fit(bare, run=Run(tmp_path / "run"))
    written = lines(path)
    assert len({line["id"] for line in written}) == len(written) == 24
    assert len(model.lineage.rows) == 21
    right = model.predict(bare) == np.array([labels[id_text(row)] for row in bare.ids])
    assert right.mean() > 0.6
    # Another run, in another folder, asks nothing again.
    again = method.fit(bare, run=Run(tmp_path / "other"))
    assert np.array_equal(again.outputs(bare), model.outputs(bare))


def test_who_was_not_sure_may_answer_later(digits: Data, tmp_path: Path) -> None:
    few, path = digits.with_labels(10, draw="stratified"), tmp_path / "q.csv"
    method = mw.ActiveLearning(base=LinearProbe(penalty=1.0), questions=8, rounds=2, oracle=QuestionFile(path))
    for _ in range(2):
        with pytest.raises(AnswersAwaited):
            method.fit(few, run=Run(tmp_path / "run"))
        answer(path, {key: label for key, label in truth(digits).items() if key != lines(path)[0]["id"]})
    answer(path, truth(digits))
    model = method.fit(few, run=Run(tmp_path / "run"))
    assert len(model.lineage.rows) == 18


def test_answers_spend_the_allowance(digits: Data, tmp_path: Path) -> None:
    few = digits.with_labels(10, draw="stratified", allowance=12)
    path = tmp_path / "q.csv"
    method = mw.ActiveLearning(base=LinearProbe(penalty=1.0), questions=12, rounds=2, oracle=QuestionFile(path))
    for _ in range(2):
        with pytest.raises(AnswersAwaited):
            method.fit(few, run=Run(tmp_path / "run"))
        answer(path, truth(digits))
    model = method.fit(few, run=Run(tmp_path / "run"))
    assert len(model.lineage.rows) == 22
    assert len(lines(path)) == 12


def test_an_answer_that_was_changed_since_is_refused(digits: Data, tmp_path: Path) -> None:
    few = digits.with_labels(10, draw="stratified")
    path = tmp_path / "q.csv"
    method = mw.ActiveLearning(base=LinearProbe(penalty=1.0), questions=8, rounds=2, oracle=QuestionFile(path))
    for _ in range(2):
        with pytest.raises(AnswersAwaited):
            method.fit(few, run=Run(tmp_path / "run"))
        answer(path, truth(digits))
    first = lines(path)[0]
    other = "1" if first["answer"] != "1" else "2"
    changed = path.read_text("utf-8-sig").replace(f"{first['row']},{first['answer']},", f"{first['row']},{other},", 1)
    path.write_text(changed, encoding="utf-8")
    with pytest.raises(DataError, match=f"is {other} now, and was {first['answer']} when a model learned from it"):
        method.fit(few, run=Run(tmp_path / "run"))
