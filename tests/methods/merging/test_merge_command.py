"""`manyways fit merge`, as people type it: no data, and what is said where there should be some."""

import re
import shlex
from pathlib import Path

import pytest

import manyways as mw
from manyways.cli import main


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """The exit code, stdout and stderr of `manyways words…`."""
    try:
        code = main(list(words))
    except SystemExit as stop:
        code = int(stop.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("data", [[], ["-"]], ids=["nothing", "a dash"])
def test_models_are_merged_without_data(
    data: list[str], folders: dict[str, str], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--models", folders["low"], folders["high"], "--weights", "1", "3"]
    code, said, err = run(capsys, "fit", "merge", *data, "--out", str(out), *words)
    assert (code, err) == (0, "")
    assert re.search(r"^learned from no data$", said, re.MULTILINE)
    assert f"manyways predict {out} DATA --out predictions.csv" in said
    method = mw.load(out).lineage.method
    assert method["models"] == [folders["low"], folders["high"]]
    assert method["weights"] == [1.0, 3.0]
    assert not out.with_name("merged.run").exists()


def test_data_that_is_given_is_scored_on(
    folders: dict[str, str], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--how", "ties", "--base", folders["base"], "--models", folders["low"], folders["high"]]
    code, said, _ = run(capsys, "fit", "merge", "digits", "--test-share", "0.2", "--out", str(out), *words)
    assert code == 0
    assert re.search(r"^learned from no data$", said, re.MULTILINE)
    assert re.search(r"^test +accuracy 0\.\d+", said, re.MULTILINE)


def test_a_merge_is_written_as_a_method(folders: dict[str, str], out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    merge = f"merge(models=('{folders['low']}', '{folders['high']}'))"
    assert run(capsys, "fit", merge, "--out", str(out))[0] == 0
    code, said, _ = run(capsys, "fit", f"{merge} >> fine-tune", "digits", "--budget", "4 steps", "--out", str(out))
    assert code == 0
    assert "1,797 training rows" in said


@pytest.mark.quick
def test_how_to_type_it_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = run(capsys, "methods", "merge")
    assert code == 0
    assert "needs: no data" in said
    typed = shlex.split(said.splitlines()[-1].removeprefix("Type: "))
    assert typed[:2] == ["manyways", "fit"]
    assert mw.parse_method(typed[2]).method_name() == "merge"
    assert typed[3:] == ["--out", "DIR"]
    assert re.search(r"--models \[STR", run(capsys, "fit", "merge", "--help")[1])


@pytest.mark.quick
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "merge",
            r"merge cannot learn: it merges saved models, and none is named\. Name their folders: merge\(models=\(",
        ),
        ("merge --models a", r"merge\(models=\('a',\)\) cannot learn: one model alone is no merge"),
        (
            "merge --models a b --how slerp --weights 1",
            r"Merge\.weights must be one number per model; got 1 for 2 models",
        ),
        ("merge --models a b --how ties", r"Merge\.base must be the folder of the model that all were trained from"),
        ("merge --models a b", r"There is no folder 'a'\. Give that of a saved model"),
        (
            "merge --models a b --labels 40",
            r"No data is given, so there is nothing to read or to set aside\. Name DATA",
        ),
        ("merge --models a b --label colour", r"No data is given, so there is nothing to read"),
        ("supervised", r"supervised learns from data, and none is given\. .* manyways fit supervised DATA --out m\."),
        ("fixmatch -", r"fixmatch learns from data, and none is given\."),
    ],
)
def test_errors_are_one_line(
    words: str, message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said, err = run(capsys, "fit", *words.split(), "--out", "m")
    assert (code, said) == (2, "")
    assert re.search(message, err), err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
