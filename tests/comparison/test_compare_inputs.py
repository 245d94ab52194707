"""Comparisons of pairs, of several labels and of several inputs, through the doors that people use."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import manyways as mw
from manyways.cli import main
from manyways.comparison.report import render_report
from manyways.comparison.tasks import task_of
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import DataError, ModelError, ParameterError
from manyways.methods.multi_task.multi_task import MultiTask

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 60, 230), "yellow": (240, 220, 20)}


@pytest.fixture
def things(tmp_path: Path) -> Path:
    """A CSV of eighty pictures of colours, with what they are and how bright: of some one is not said."""
    rng = np.random.default_rng(0)
    rows = []
    for row in range(80):
        colour = str(rng.choice(list(COLOURS)))
        light = float(rng.uniform(0.3, 1))
        pixels = (np.ones((12, 12, 3)) * COLOURS[colour] * light + rng.normal(0, 4, (12, 12, 3))).clip(0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"{row}.png")
        says = f"a thing of {colour} colour, {rng.choice(['here', 'there', 'now'])}"
        rows.append((f"{row}.png", says, colour if row % 5 else "", f"{light:.3f}" if row % 4 else ""))
    with (tmp_path / "things.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "says", "colour", "light"), *rows])
    return tmp_path / "things.csv"


# --- pairs ---------------------------------------------------------------------------------------


def test_pairs_without_a_label_are_compared_by_what_finds_what(things: Path) -> None:
    data = mw.read(things, input=("image", "says"))
    assert task_of(data).name == "retrieval"
    found = mw.compare(data, methods=["clip(batch_size=16)"], budget="30 steps", seeds=1, workers=0)
    (entry,) = found.entries
    assert found.metric == "recall_at_10"
    assert found.percent
    assert found.data.learned_from == "64 pairs"
    assert entry.score == entry.metrics["recall_at_10"]
    assert {"recall_at_1 of says by image", "median_rank of image by says"} <= set(entry.metrics)
    assert len(entry.curve) > 1
    texts, pictures = entry.exhibits
    assert texts.title == "Found by image: says"
    assert "By chance" in texts.note
    assert {hit.asked.kind for hit in texts.hits} == {"image"}
    assert {item.kind for hit in texts.hits for item in hit.found} == {"text"}
    assert {item.kind for hit in pictures.hits for item in hit.found} == {"image"}
    assert any(item.right for hit in texts.hits for item in hit.found)
    assert {item.right for hit in texts.hits for item in hit.found} == {True, None}
    page = render_report(found)
    assert page.count("<h2>Found by says: image</h2>") == 1
    assert "recall at 10" in page


def test_what_is_tried_on_pairs_is_clip(things: Path) -> None:
    data = mw.read(things, input=("image", "says"))
    found = mw.compare(data, budget="1 step", seeds=1, workers=0)
    assert [entry.name for entry in found.entries] == ["clip", "clip(contrast='sigmoid')"]
    with pytest.raises(ParameterError, match="metric must be one of recall_at_10, recall_at_1, recall_at_5"):
        mw.compare(data, metric="accuracy")


def test_a_table_beside_a_text_is_nothing_to_find(things: Path) -> None:
    """A label that was forgotten is more likely."""
    data = mw.read(things, input=("light", "says"), bad_rows="skip")
    with pytest.raises(DataError, match="nothing to compare by"):
        mw.compare(data)


# --- several labels ------------------------------------------------------------------------------


def test_several_labels_stand_side_by_side(things: Path) -> None:
    data = mw.read(things, input="image", label=("colour", "light"))
    assert task_of(data).name == "several labels"
    ways = ["multi-task(batch_size=16)", "multi-task(batch_size=16, sharing='none')"]
    found = mw.compare(data, methods=ways, budget="20 steps", seeds=2, workers=0, labels=40)
    assert found.metric == "mean_score"
    assert found.data.learned_from == "40 rows of 2 labels"
    assert found.labels == 40
    for entry in found.entries:
        usual = [entry.metrics["accuracy of colour"], entry.metrics["r2 of light"]]
        assert entry.score == pytest.approx(np.mean([each for each in usual if each is not None]))
    (exhibit,) = found.exhibits
    assert exhibit.matrix is not None
    assert exhibit.matrix.columns == ("accuracy of colour", "r2 of light")
    ranked = [entry.title for entry in found.ranked()]
    assert list(exhibit.matrix.rows) == ranked
    assert exhibit.matrix.values[0][0] == found.ranked()[0].metrics["accuracy of colour"]
    assert render_report(found).count("Label by label") == 1


def test_labels_that_are_classes_are_read_in_per_cent(things: Path) -> None:
    data = mw.read(things, input="image", label=("colour", "light"))
    values = np.where(data.take("light") > 0.6, "light", "dark").astype(object)
    data = replace(data, columns={**data.columns, "light": Column("light", "category", values)})
    found = mw.compare(data, methods=[MultiTask(batch_size=16)], budget="2 steps", seeds=1, workers=0)
    assert found.exhibits[0].matrix is not None
    assert found.exhibits[0].matrix.percent
    assert found.exhibits[0].matrix.columns == ("colour", "light")


def test_what_is_tried_on_several_labels(things: Path) -> None:
    data = mw.read(things, input="image", label=("colour", "light"))
    found = mw.compare(data, budget="1 step", seeds=1, workers=0)
    assert {entry.name for entry in found.ways} == set(MultiTask.suggests or ())


# --- several inputs ------------------------------------------------------------------------------


def test_fusion_stands_beside_each_input_alone() -> None:
    data = mw.read("digit-halves").select(np.arange(300)).with_test(0.3)
    ways = ["fusion", "fusion(kind='late')", "supervised(only=('upper',))", "supervised(only=('lower',))"]
    found = mw.compare(data, methods=ways, budget="40 steps", seeds=1, workers=0)
    scores = {entry.name: entry.score or 0.0 for entry in found.entries}
    assert max(scores["fusion"], scores["fusion(kind='late')"]) > max(scores[way] for way in ways[2:])


def test_test_rows_that_lack_an_input_are_an_entrys_failure_by_name() -> None:
    data = mw.read("digit-halves").select(np.arange(200)).with_test(0.3)
    column = data.columns["lower"]
    gone = np.isin(np.arange(len(column)), data.test.rows[:3])
    some = replace(data, columns={**data.columns, "lower": replace(column, absent=gone)})
    found = mw.compare(some, methods=["supervised", "fusion"], budget="2 steps", seeds=1, workers=0)
    failed = {entry.name: entry.error for entry in found.entries}
    assert failed["fusion"] is None
    assert "3 of 60 rows (0, 1, 2; rows count from 0)" in str(failed["supervised"])
    assert "'lower'" in str(failed["supervised"])


# --- the command line ----------------------------------------------------------------------------


def test_several_labels_are_predicted_into_columns(
    things: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reading = ["--input", "image", "--role", "label=colour", "label=light"]
    model = str(tmp_path / "model")
    fit = ["fit", "multi-task", str(things), "--batch-size", "16", "--budget", "2 steps", "--test-share", "0.2"]
    assert main([*fit, "--out", model, *reading]) == 0
    said = capsys.readouterr().out
    assert "mean score" in said
    assert "accuracy of colour" in said
    assert f"manyways predict {model}" in said
    out = tmp_path / "predictions.csv"
    assert main(["predict", model, str(things), "--out", str(out)]) == 0
    with out.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["row", "colour", "light"]
    assert len(rows) == 81
    assert rows[1][1] in COLOURS
    float(rows[1][2])
    assert main(["predict", model, str(things), "--probabilities"]) == 2
    assert "several labels, each with probabilities of its own" in capsys.readouterr().err


def test_pictures_without_a_text_are_predicted_from_what_is_there(
    things: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through a file whose picture, or text, is empty on some rows."""
    rows = things.read_text("utf-8").splitlines()
    rows[3] = "," + rows[3].partition(",")[2]
    rows[5] = ",".join([rows[5].partition(",")[0], '""', *rows[5].rsplit(",", 2)[1:]])
    gaps = things.with_name("gaps.csv")
    gaps.write_text("\n".join(rows) + "\n", "utf-8")
    model = str(tmp_path / "model")
    reading = ["--input", "image", "says", "--label", "colour"]
    fit = ["fit", "fusion", str(things), "--batch-size", "16", "--budget", "2 steps", "--out", model]
    assert main([*fit, *reading]) == 0
    out = tmp_path / "predictions.csv"
    assert main(["predict", model, str(gaps), "--out", str(out)]) == 0
    assert len(out.read_text("utf-8").splitlines()) == 81
    plain = str(tmp_path / "plain")
    assert main(["fit", "supervised", str(things), "--budget", "1 step", "--out", plain, *reading]) == 0
    capsys.readouterr()
    assert main(["predict", plain, str(gaps), "--out", str(out)]) == 2
    assert "1 of 80 rows (2; rows count from 0) of gaps have nothing in 'image'" in capsys.readouterr().err


def test_advise_sees_pairs_and_labels(things: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["advise", str(things), "--input", "image", "says"]) == 0
    said = capsys.readouterr().out
    assert "clip" in said.partition("not as it is")[0]
    assert "manyways compare" in said
    assert main(["advise", str(things), "--input", "image", "--role", "label=colour", "label=light"]) == 0
    said = capsys.readouterr().out
    assert "colour: 4 classes" in said
    assert "light: a number" in said
    assert "multi-task" in said.partition("not as it is")[0]
    assert "it needs one label, and 2 columns have that role (colour, light)" in said


def test_classes_are_named_on_the_command_line(
    things: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs, classes = str(tmp_path / "pairs"), str(tmp_path / "classes")
    reading = ["--input", "image", "says", "--label", ""]
    fit = ["fit", "clip", str(things), "--batch-size", "16", "--budget", "20 steps", "--out", pairs]
    assert main([*fit, *reading]) == 0
    assert "manyways fit zero-shot" in capsys.readouterr().out
    named = ["--classes", *COLOURS, "--template", "a thing of {} colour"]
    assert main(["fit", "zero-shot", "--start", pairs, "--out", classes, *named]) == 0
    out = tmp_path / "told.csv"
    assert main(["predict", classes, str(things), "--out", str(out), "--probabilities"]) == 0
    header = out.read_text("utf-8").splitlines()[0]
    assert header == "row,prediction," + ",".join(f"probability_{colour}" for colour in COLOURS)


def test_results_hold_what_was_seen_of_all(things: Path, tmp_path: Path) -> None:
    data = mw.read(things, input="image", label=("colour", "light"))
    found = mw.compare(data, methods=["multi-task(batch_size=16)"], budget="1 step", seeds=1, workers=0)
    saved = json.loads(json.dumps(found.to_json()))
    assert saved["exhibits"][0]["title"] == "Label by label"
    assert type(found).from_json(saved) == found


def test_data_of_pairs_can_be_made_by_hand() -> None:
    images = np.zeros((4, 3, 8, 8), np.uint8)
    texts = np.array(["a b c", "d e f", "g h i", "j k l"], object)
    data = Data.from_columns([Column("a", "image", images), Column("b", "text", texts)], {"input": ["a", "b"]})
    assert task_of(data).name == "retrieval"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"seeds": "x"}, r"seeds must be how many, such as 3, or which, such as \[0, 1, 2\]; got 'x'"),
        ({"seeds": 1.5}, "seeds must be how many"),
        ({"seeds": [0, "a"]}, "seeds must be how many"),
        ({"seeds": True}, "seeds must be how many"),
        ({"seeds": [-1]}, "seeds must be whole numbers of at least 0"),
        ({"methods": 5}, r"methods must be a list of methods or their text, .*; got 5"),
        ({"methods": ["ridge", 5]}, "methods must be a list of methods"),
        ({"methods": "ridge"}, r"Type methods=\['ridge'\]"),
        ({"labels": "x"}, r"labels must be a whole number in \[1, inf\), or None; got 'x'"),
        ({"labels": 0}, "labels must be a whole number"),
        ({"workers": "all"}, r"workers must be a whole number in \[0, inf\)"),
        ({"workers": -1}, "workers must be a whole number"),
        ({"test_share": "half"}, r"test_share must be a number in \(0, 1\); got 'half'"),
        ({"test_share": 1}, "test_share must be a number"),
        ({"metric": 5}, "metric must be the name of a score"),
        ({"start": 5}, "start must be a model or its folder; got 5"),
        ({"on_progress": 5}, "on_progress must be a function"),
        ({"budget": []}, "budget|Budget"),
    ],
    ids=str,
)
def test_arguments_of_another_type_are_refused_with_what_is_allowed(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        mw.compare("wine", **wrong)


@pytest.mark.parametrize("given", [5, None, b"model", ["model"], 1.5])
def test_what_is_no_name_of_a_folder_is_no_model(given: Any) -> None:
    with pytest.raises(ModelError, match="A model is loaded from the name of its folder, text or a Path; got"):
        mw.load(given)
