"""`manyways fit … --ask`: questions to a file, and the same command again."""

import csv
from pathlib import Path

import pytest

from manyways.cli import AWAITING, main

WORDS = {"good": ("fine", "lovely", "great"), "bad": ("awful", "dull", "weak")}


@pytest.fixture
def reviews(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Reviews without any label, nor a column for it."""
    monkeypatch.chdir(tmp_path)
    texts = [f"number {at} was {WORDS['good' if at % 2 else 'bad'][at % 3]} to see" for at in range(60)]
    Path("reviews.csv").write_text("text\n" + "\n".join(texts) + "\n", encoding="utf-8")
    return tmp_path / "reviews.csv"


def answered(path: Path) -> int:
    """Fill in what is not answered yet; the number of all questions."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["answer"] = "good" if int(row["row"]) % 2 else "bad"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)


def test_it_asks_until_all_is_answered_and_saves_the_model(reviews: Path, capsys: pytest.CaptureFixture[str]) -> None:
    method = "active-learning(base=linear-probe, questions=10, rounds=2)"
    command = ["fit", method, "reviews.csv", "--label", "stars", "--ask", "questions.csv", "--out", "model"]
    assert main(command) == AWAITING
    assert "5 rows in questions.csv wait for an answer" in capsys.readouterr().err
    assert main(command) == AWAITING, "nothing was answered"
    assert answered(Path("questions.csv")) == 5
    assert main(command) == AWAITING
    assert answered(Path("questions.csv")) == 10
    assert main(command) == 0
    assert "0 labels and 10 questions" in capsys.readouterr().out
    assert main(["predict", "model", "reviews.csv", "--out", "predicted.csv"]) == 0
    predicted = Path("predicted.csv").read_text("utf-8").split()[1:]
    right = [line.split(",")[1] == ("good" if int(line.split(",")[0]) % 2 else "bad") for line in predicted]
    assert sum(right) > 40
    assert not Path("model.run").exists()


def test_methods_that_ask_nothing_are_refused(reviews: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "supervised", "reviews.csv", "--label", "stars", "--ask", "q.csv", "--out", "m"]) == 2
    error = capsys.readouterr().err
    assert "supervised asks no questions" in error
    assert "active-learning(base=supervised)" in error
