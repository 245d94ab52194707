"""What the command line reads, says of it, and writes: files as people have them."""

import io
import os
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import manyways as mw
from manyways.cli import main
from manyways.errors import DataError

RNG = np.random.default_rng(0)
GRADES = np.arange(120) % 2 + 1
NUMBERS = RNG.normal(size=120).round(3)
LABELS = np.where(GRADES == 2, "yes", "no")


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    """The exit code, stdout and stderr of `manyways words…`."""
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def table(tmp_path: Path) -> Path:
    pl.DataFrame({"grade": GRADES, "num": NUMBERS, "label": LABELS}).write_csv(tmp_path / "train.csv")
    return tmp_path / "train.csv"


@pytest.fixture
def model(table: Path, tmp_path: Path) -> Path:
    assert main(["fit", "linear-probe", str(table), "--out", str(tmp_path / "model"), "--no-store"]) == 0
    return tmp_path / "model"


def predictions(out: str) -> list[str]:
    return pl.read_csv(io.StringIO(out), infer_schema=False)["prediction"].to_list()


def test_predict_says_of_the_training_file_what_the_model_learned(
    model: Path, table: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    capsys.readouterr()
    _, out, err = run(capsys, "predict", model, table)
    assert predictions(out) == LABELS.tolist()
    assert err == ""
    pl.DataFrame({"grade": GRADES.astype(float), "num": NUMBERS}).write_parquet(tmp_path / "new.parquet")
    assert predictions(run(capsys, "predict", model, tmp_path / "new.parquet")[1]) == LABELS.tolist()


def test_predict_asks_a_committee(table: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ("fit", "sharded(shards=2, method=ridge)", table, "--out", tmp_path / "m", "--no-store")
    assert run(capsys, *words)[0] == 0
    code, out, _ = run(capsys, "predict", tmp_path / "m", table, "--probabilities")
    assert code == 0
    assert predictions(out) == LABELS.tolist()


def test_predict_counts_what_the_model_never_saw(
    model: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    new = tmp_path / "new.csv"
    new.write_text("grade,num\n1,0.5\n3,0.5\n4,0.5\n3,0.5\n")
    code, out, err = run(capsys, "predict", model, new, "--probabilities")
    assert code == 0
    assert len(predictions(out)) == 4
    said = [line for line in err.splitlines() if line.startswith("caution: ")]
    assert len(said) == 1, "once, though probabilities are asked for, too"
    assert "3 of 4 values of 'grade' in new were never seen in training" in said[0]
    assert "'3' 2 times, '4' 1 time. It knows 2: 1, 2." in said[0]


def test_fit_counts_what_only_test_rows_have(table: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pl.read_csv(table).with_columns(grade="g" + pl.col("grade").cast(pl.String)).write_csv(table)
    test = tmp_path / "test.csv"
    test.write_text("grade,num,label\ng1,0.5,no\ng7,0.5,yes\n")
    words = ("fit", "linear-probe", table, "--test", test, "--out", tmp_path / "m", "--no-store")
    assert "caution: 1 of 2 values of 'grade'" in run(capsys, *words)[2]
    few = ("--seeds", "1", "--workers", "0", "--budget", "2 steps")
    compared = ("compare", table, "--test", test, "--methods", "linear-probe", *few)
    code, out, _ = run(capsys, *compared)
    assert code == 0
    assert "1 of 2 values of 'grade'" in " ".join(out.split())


def test_predict_speaks_of_no_option_that_it_lacks(
    model: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    slips = {"num": "grade,num\n1,0.5\n2,hot\n1,0.25\n", "grade": "grade,num\n,0.5\n2,0.5\n"}
    for name, content in slips.items():
        (tmp_path / "new.csv").write_text(content)
        code, _, err = run(capsys, "predict", model, tmp_path / "new.csv")
        assert code == 2
        assert f"{name!r}" in err
        assert "--kinds" not in err
        assert "--bad-rows skip" in err
    (tmp_path / "new.csv").write_text("grade\n1\n2\n")
    assert "no column 'num' for the role input" in run(capsys, "predict", model, tmp_path / "new.csv")[2]


def test_predict_knows_the_names_and_the_notation_of_its_inputs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    train = tmp_path / "train.csv"
    rows = "".join(f"{a};{b}\n" for a, b in zip([f"{x:.2f}".replace(".", ",") for x in NUMBERS], LABELS, strict=True))
    train.write_text("2019;label\n" + rows.replace("yes", "up").replace("no", "down"))
    words = ("fit", "linear-probe", train, "--out", tmp_path / "m", "--no-store")
    code, _, err = run(capsys, *words)
    assert code == 0
    assert "note        2019: " in err
    new = tmp_path / "new.csv"
    new.write_text("2019\n0.5\n2020\n")  # alone this is a column of numbers without a name
    assert len(predictions(run(capsys, "predict", tmp_path / "m", new)[1])) == 2
    new.write_text('2019\n"1,234"\n')
    code, _, err = run(capsys, "predict", tmp_path / "m", new, "--header", "yes", "--decimal", ",")
    assert code == 0
    assert "'1,234' is read as 1.234" in err


def test_fit_and_compare_say_what_is_left_out_and_understood(
    table: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    frame = pl.read_csv(table).with_columns(
        pl.Series("name", [f"person {at}" for at in range(120)]),
        pl.Series("price", [f"{10_000 + at * 37:,}" for at in range(120)]),
        pl.Series("code", [f"{at % 3:02}" for at in range(120)]),
    )
    frame.write_csv(table)
    words = ("fit", "linear-probe", table, "--out", tmp_path / "m", "--no-store")
    for said in (run(capsys, *words)[2], run(capsys, "advise", table)[1]):
        assert "left out    name: it names each row (120 different values in 120 rows)" in said
        assert "note        price: '10,000' is read as 10000" in said
        assert "note        code: it holds words, as '00' begins with a zero" in said
        assert "--kinds code=number" in said
        assert "no role was given" not in said
    many = tmp_path / "many.csv"
    pl.DataFrame(
        {"store": [f"S{at % 1100}" for at in range(2200)], "label": ["ab"[at % 2] for at in range(2200)]}
    ).write_csv(many)
    said = run(capsys, "advise", many)[1]
    assert "note        store: 1,100 of its 1,100 categories share 1,024 features, 4 each by hashing" in said


def test_advise_names_no_comparison_where_nothing_can_be_scored(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,y,label\n" + "".join(f"{a},{b},\n" for a, b in zip(NUMBERS, NUMBERS[::-1], strict=True)))
    out = run(capsys, "advise", path)[1]
    assert "label: no row has one" in out
    assert out.splitlines()[-1].split()[:2] == ["manyways", "fit"]
    path.write_text("x,y,label\n" + "".join(f"{a},{b},u\n" for a, b in zip(NUMBERS, NUMBERS[::-1], strict=True)))
    assert run(capsys, "advise", path)[1].splitlines()[-1].split()[:2] == ["manyways", "fit"]


# --- pipes and consoles --------------------------------------------------------------------------


def test_pipes_are_refused_by_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pipe = tmp_path / "rows.csv"
    os.mkfifo(pipe)
    code, _, err = run(capsys, "advise", pipe, "--label", "label")
    assert code == 2
    assert err.startswith(f"error: {pipe} is a pipe or a device, which can be read only once")
    with pytest.raises(DataError, match="Save it to a file first"):
        mw.read("/dev/null")


def test_a_console_that_cannot_show_a_character(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,label\n" + "".join(f"{a},{'😀' if a > 0 else 'ü'}\n" for a in NUMBERS), encoding="utf-8")
    model, out = tmp_path / "m", tmp_path / "p.csv"

    def shown(*words: str | Path) -> tuple[int, str]:
        """The exit code, and what a console of Windows shows."""
        narrow = io.TextIOWrapper(io.BytesIO(), "cp1252")
        monkeypatch.setattr(sys, "stdout", narrow)
        code = main([str(word) for word in words])
        narrow.seek(0)
        return code, narrow.read()

    code, said = shown("advise", path)
    assert code == 0
    assert "2 classes (ü, ?)" in said
    assert shown("fit", "linear-probe", path, "--out", model, "--no-store")[0] == 0
    assert shown("predict", model, path) == (2, "")
    err = capsys.readouterr().err
    assert "The predictions hold '😀', which this console or pipe cannot take: it is cp1252. Name a file" in err
    assert "--out FILE" in err
    assert shown("predict", model, path, "--out", out) == (0, "")
    assert "😀" in out.read_text(encoding="utf-8")
