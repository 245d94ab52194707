"""Sets of classes as labels: read from lists and strokes, encoded, scored as scikit-learn does, and learned."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score, hamming_loss

import manyways as mw
from manyways.cli import main
from manyways.data.data import Data
from manyways.data.targets import SeveralTarget, Target, Targets
from manyways.errors import DataError, NeedsError
from manyways.models.model import Model

CLASSES = np.array(["art", "law", "sea", "war"])


def rows(count: int = 300, seed: int = 0) -> list[dict[str, Any]]:
    """Rows of six numbers, of which a linear function says of which classes they are."""
    rng = np.random.default_rng(seed)
    inputs, weights = rng.normal(size=(count, 6)), np.random.default_rng(99).normal(size=(6, 4))
    on = inputs @ weights + 0.2 * rng.normal(size=(count, 4)) > 0
    numbers = [{f"x{at}": float(value) for at, value in enumerate(row)} for row in inputs]
    return [{**row, "topics": CLASSES[each].tolist()} for row, each in zip(numbers, on, strict=True)]


@pytest.fixture(scope="module")
def data() -> Data:
    return mw.read(rows(), label="topics").with_test(0.3)


@pytest.fixture(scope="module")
def model(data: Data) -> Model:
    return mw.Supervised().fit(data, budget=150)


def labelled(*labels: Any) -> Data:
    return mw.read({"x": np.arange(float(len(labels))), "y": list(labels)}, label="y", kinds={"y": "several"})


# --- reading -------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["lists", "strokes", "json lines"])
def test_lists_and_strokes_are_the_same_sets(how: str, tmp_path: Path) -> None:
    given = rows(40)
    if how == "lists":
        read = mw.read(given, label="topics")
    elif how == "strokes":
        lines = [f"{row['x0']},{'|'.join(row['topics']) or '|'}" for row in given]
        (tmp_path / "t.csv").write_text("x0,topics\n" + "\n".join(lines))
        read = mw.read(tmp_path / "t.csv", label="topics")
    else:
        (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, given)))
        read = mw.read(tmp_path / "t.jsonl", label="topics")
    assert read.label.kind == "several"
    expected = ["|".join(sorted(row["topics"])) or "|" for row in given]
    assert read.label.take(np.arange(40)).tolist() == expected


def test_a_stroke_in_few_names_makes_no_sets() -> None:
    values = [f"species {at % 5}" for at in range(60)] + ["this|that"]
    assert mw.read({"x": np.arange(61.0), "y": values}, label="y").label.kind == "category"


def test_a_class_with_a_stroke_in_its_name_is_refused() -> None:
    with pytest.raises(DataError, match=r"'y' holds lists of classes, one of which is 'b\|c'; a class has no '\|'"):
        mw.read({"x": [1.0, 2.0], "y": [["a"], ["b|c"]]}, label="y")


def test_sets_are_inputs_too() -> None:
    given = rows(120)
    column = ["|".join(row["topics"]) or "|" for row in given]
    table = mw.read({"tags": column, "y": ["yes" if "sea" in row["topics"] else "no" for row in given]}, label="y",
                    kinds={"tags": "several"}).with_test(0.3)  # fmt: skip
    assert mw.Supervised().fit(table, budget=100).evaluate(table.test)["accuracy"] == 1.0


# --- encoding ------------------------------------------------------------------------------------


def test_codes_are_one_for_each_class_and_back() -> None:
    table = labelled("b|a", "c", None, "|")
    target = Target.fit(table)
    assert isinstance(target, SeveralTarget)
    assert (target.classes, target.width) == (("a", "b", "c"), 3)
    codes = target.encode(table)
    np.testing.assert_array_equal(codes[[0, 1, 3]], [[1, 1, 0], [0, 0, 1], [0, 0, 0]])
    assert np.isnan(codes[2]).all()
    assert target.decode(codes[[0, 1, 3]]).tolist() == ["a|b", "c", "|"]
    assert Target.from_json(json.loads(json.dumps(target.to_json()))) == target


def test_hidden_labels_are_codes_only_for_scores() -> None:
    table = labelled("a", "b").hide(np.array([0]))
    target = Target.fit(table)
    assert np.isnan(target.encode(table)[0]).all()
    assert target.encode(table, hidden=True)[0].tolist() == [1, 0]


def test_a_class_that_training_never_saw_is_named() -> None:
    table = labelled("a", "b|z")
    with pytest.raises(DataError, match="1 row of 'z' in 'y', a class that no training row has"):
        SeveralTarget("y", ("a", "b")).encode(table)


# --- losses and scores ---------------------------------------------------------------------------


def test_the_loss_is_the_mean_binary_cross_entropy() -> None:
    target = SeveralTarget("y", ("a", "b"))
    outputs, labels = torch.tensor([[0.5, -1.0], [2.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, math.nan]])
    first = (math.log1p(math.exp(-0.5)) + math.log1p(math.exp(-1.0))) / 2
    second = math.log1p(math.exp(2.0))  # of the class that is known alone
    losses = target.losses(outputs, labels)
    torch.testing.assert_close(losses, torch.tensor([first, second]))
    weighted = target.loss(outputs, labels, torch.tensor([2.0, 0.0]))
    assert float(weighted) == pytest.approx(first)


def test_scores_are_scikit_learns() -> None:
    rng = np.random.default_rng(3)
    outputs, truth = rng.normal(size=(50, 3)).astype(np.float32), (rng.random((50, 3)) > 0.6).astype(np.float32)
    scores = SeveralTarget("y", ("a", "b", "c")).scores(outputs, truth)
    assert scores["mean_average_precision"] == pytest.approx(average_precision_score(truth, outputs, average="macro"))
    assert scores["micro_f1"] == pytest.approx(f1_score(truth, outputs > 0, average="micro"))
    assert scores["macro_f1"] == pytest.approx(f1_score(truth, outputs > 0, average="macro"))
    assert scores["hamming_loss"] == pytest.approx(hamming_loss(truth, outputs > 0))
    assert scores["subset_accuracy"] == pytest.approx(((outputs > 0) == (truth > 0.5)).all(1).mean())


def test_pseudo_labels_know_only_what_is_sure() -> None:
    target = SeveralTarget("y", ("a", "b", "c"))
    guess = target.pseudo_labels(torch.tensor([[0.95, 0.5, 0.02], [0.6, 0.5, 0.4]]), 0.9)
    torch.testing.assert_close(guess[0], torch.tensor([1.0, math.nan, 0.0]), equal_nan=True)
    assert target.known(guess).tolist() == [True, False]


def test_alignment_moves_each_class_to_its_share() -> None:
    """A class guessed on half of the rows that stands on a tenth of the labels: odds of 1 become odds of 1 to 9."""
    target = SeveralTarget("y", ("a",))
    aligned = target.aligned(torch.tensor([[0.5]]), torch.tensor([0.1]), torch.tensor([0.5]))
    assert float(aligned) == pytest.approx(0.1)


# --- methods -------------------------------------------------------------------------------------


def test_a_model_predicts_sets_and_is_saved_with_them(data: Data, model: Model, tmp_path: Path) -> None:
    scores = model.evaluate(data.test)
    assert list(scores) == list(SeveralTarget.metrics)
    assert scores["mean_average_precision"] > 0.95
    again = mw.load(model.save(tmp_path / "model"))
    np.testing.assert_array_equal(again.predict(data.test), model.predict(data.test))
    shares = again.probabilities(data.test)
    assert shares.shape == (len(data.test), 4)
    on = [set(cell.split("|")) - {""} for cell in again.predict(data.test).tolist()]
    assert on == [set(CLASSES[row > 0.5]) for row in shares]


@pytest.mark.parametrize(
    "method",
    [
        mw.LinearProbe(), mw.MeanTeacher(), mw.FixMatch(), mw.SelfTraining(), mw.Supervised() >> mw.Distill(),
        mw.SimCLR() >> mw.FineTune(), mw.ActiveLearning(questions=15, rounds=2),
    ],
    ids=str,
)  # fmt: skip
def test_methods_of_labels_learn_sets(method: mw.Method, data: Data) -> None:
    few = data.with_labels(60, draw="stratified")
    made = method.fit(few, budget=120)
    chance = float(np.mean(Target.fit(data).encode(data.test, hidden=True)))
    assert made.evaluate(data.test)["mean_average_precision"] > chance + 0.2


def test_others_refuse_sets_by_name(data: Data) -> None:
    for method in (mw.Ridge(), mw.NearestNeighbours()):
        with pytest.raises(NeedsError, match=r"a class or a number for each row, .* of the kind several"):
            method.fit(data)


def test_sets_are_learned_beside_other_labels() -> None:
    given = [{**row, "many": "yes" if len(row["topics"]) > 2 else "no", "sum": row["x0"] + row["x1"]} for row in rows()]
    table = mw.read(given, label=("topics", "many", "sum"), input=[f"x{at}" for at in range(6)]).with_test(0.3)
    model = mw.MultiTask().fit(table, budget=250)
    scores = model.evaluate(table.test)
    assert scores["mean_average_precision of topics"] > 0.9
    assert scores["r2 of sum"] > 0.8
    assert set(model.predict(table.test).dtype.names or ()) == {"topics", "many", "sum"}
    assert {name: codes.shape[1:] for name, codes in Targets.fit(table).encode(table).items()} == {
        "topics": (4,), "many": (), "sum": (),
    }  # fmt: skip


def test_the_command_line_compares_and_predicts_sets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [",".join(f"{row[f'x{at}']:.4f}" for at in range(6)) for row in rows(200)]
    sets = ["|".join(row["topics"]) or "|" for row in rows(200)]
    table = tmp_path / "t.csv"
    header = ",".join(f"x{at}" for at in range(6))
    table.write_text(f"{header},topics\n" + "\n".join(f"{a},{b}" for a, b in zip(lines, sets, strict=True)))
    out = ["--report", str(tmp_path / "r.html"), "--json", str(tmp_path / "r.json")]
    compared = ["compare", str(table), "--label", "topics", "--methods", "supervised", "linear-probe"]
    assert main([*compared, "--budget", "30 steps", "--seeds", "1", *out]) == 0
    results = json.loads((tmp_path / "r.json").read_text())
    assert results["metric"] == "mean_average_precision"
    assert results["best"]["mistakes"][0]["truth"] != results["best"]["mistakes"][0]["predicted"]
    model = str(tmp_path / "model")
    assert main(["fit", "supervised", str(table), "--label", "topics", "--budget", "30 steps", "--out", model]) == 0
    capsys.readouterr()
    assert main(["predict", model, str(table), "--probabilities"]) == 0
    assert capsys.readouterr().out.startswith("row,prediction,probability_art,probability_law,")
