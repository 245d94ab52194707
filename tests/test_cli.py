"""The command line, as people type it."""

import csv
import io
import json
import os
import re
import shlex
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from manyways import cli
from manyways.cli import COMMANDS, main
from manyways.cli.arguments import Reading, flags
from manyways.cli.compare_view import CompareView
from manyways.cli.method_fields import field_texts, method_fields
from manyways.cli.output import DESCRIPTION
from manyways.cli.run_folder import RunFolder
from manyways.cli.wording import as_typed
from manyways.comparison.progress import CompareProgress
from manyways.errors import ParameterError
from manyways.methods.discovery import all_methods
from manyways.models import saving
from manyways.training.events import Event

SMALL = ["--size", "0.5", "--batch-size", "16"]
NEVER_FOR_HELP = ("torch", "tyro", "rich", "numpy", "sklearn", "polars")


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """The exit code, stdout and stderr of `manyways words…`."""
    try:
        code = main(list(words))
    except SystemExit as stop:
        code = int(stop.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def loaded(*words: str) -> set[str]:
    """The modules that `manyways words…` loads in a fresh process."""
    script = (
        "import sys\nfrom manyways.cli import main\ntry:\n    main(sys.argv[1:])\n"
        "except SystemExit:\n    pass\n"
        "print('\\n' + ' '.join(sys.modules))"
    )
    command = [sys.executable, "-c", script, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


# --- help and start ------------------------------------------------------------------------------


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "manyways", "--help"], capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - began
    assert done.stdout == cli.usage()
    assert done.stderr == ""
    assert loaded("--help").isdisjoint(NEVER_FOR_HELP)
    assert seconds < 0.8


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["compare", "--help"],
        ["fit", "--help"],
        ["compare", "digits", "--budget", "soon"],
        ["compare", "digits", "--methods", "fixmach"],
        ["fit", "fixmatch", "digits", "--out", "m", "--labels", "0"],
        ["fit", "nonsense", "digits", "--out", "m"],
    ],
    ids=" ".join,
)
def test_mistakes_and_help_do_not_load_torch(words: list[str]) -> None:
    assert "torch" not in loaded(*words)


def test_the_help_is_that_of_the_commands() -> None:
    for name, what in COMMANDS.items():
        module = import_module(f"manyways.cli.{name}")
        options = getattr(module, name.capitalize())
        assert options.__doc__.splitlines()[0] == what
        assert f"{name} " in cli.usage()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, command, "--help")
    assert code == 0
    assert f"usage: manyways {command}" in out


def test_every_example_of_the_help_can_be_parsed(capsys: pytest.CaptureFixture[str]) -> None:
    examples = re.findall(r"^  manyways (.+)$", cli.EXAMPLES, re.MULTILINE)
    assert len(examples) >= 4
    for example in examples:
        command, *words = shlex.split(example)
        code, _, _ = run(capsys, command, *words, "--help")
        assert code == 0
        known = flags(getattr(import_module(f"manyways.cli.{command}"), command.capitalize()))
        if command == "fit":
            known += [f"--{each.name.replace('_', '-')}" for each in method_fields(all_methods()[words[0]])]
        assert {word for word in words if word.startswith("--")} <= set(known)


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys) == (0, cli.usage(), "")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--version")
    assert code == 0
    assert re.fullmatch(r"manyways \d+\.\d+\.\d+\n", out)


def test_a_reader_that_has_gone_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "manyways", "--help"], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert done.stderr == b""
    assert done.returncode == cli.READER_GONE


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("campare digits", "There is no command 'campare'; commands are .* Did you mean 'compare'\\?"),
        ("fit fixmach digits --out m", "There is no method 'fixmach'. Did you mean 'fixmatch'\\?"),
        ("fit fixmatch digits --out m --threshold 1.2", r"FixMatch.threshold must be in \[0, 1\); got 1.2."),
        ("fit 'fixmatch(threshold=1.2)' digits --out m", r"FixMatch.threshold must be in \[0, 1\); got 1.2."),
        (
            "fit fixmatch digits --out m --thresold 1",
            "has no option --thresold. Did you mean '--threshold'\\?",
        ),
        ("fit 'simclr >> fixmatch' digits --out m --threshold 1", "Fields of a chain stand in it"),
        ("fit --out m fixmatch digits", "METHOD must come first, before --out"),
        ("fit fixmatch digits more --out m", "has no place for 'more'"),
        ("fit fixmatch digits --out m --budget 10", "budget '10' lacks a unit: 10s or '10 steps'?"),
        ("compare digits --budget 10", "budget '10' lacks a unit: 10s or '10 steps'?"),
        ("fit fixmatch digits --out m --budget soon", "budget must be a number and a unit, .*; got 'soon'"),
        ("fit fixmatch digits --out m --labels 0", "--labels must be at least 1; got 0"),
        (
            "fit fine-tune wine --out m",
            "it starts from a model; .* Or start from a saved model: --start MODEL",
        ),
        ("fit fixmatch wine --out m", "every training row has one. .* or hide labels: --labels 40"),
        (
            "fit fixmatch wine --out m --labels 12 --test-share 1",
            r"--test-share must be in \[0, 1\); got 1.0",
        ),
        ("compare wine --lables 3", "has no option --lables. Did you mean '--labels'\\?"),
        ("compare wine --label colour", "has no column 'colour' for the role label"),
        ("compare wine --kinds label", "--kinds must be COL=KIND, such as zip=category; got 'label'"),
        (
            "compare wine --label label --role label=hue",
            "The role label is given by --role and by --label; give it once",
        ),
        ("compare wine --role colour=hue", "read has no option or role 'colour'"),
        ("compare wine --report /nowhere/r.html", "there is no folder /nowhere"),
        ("compare wine --json .", "--json must be a file; . is a folder"),
        ("compare wine --open", "add --report report.html"),
        ("compare wine --test-share 1.5", r"--test-share must be in \(0, 1\); got 1.5"),
        ("compare wine --methods supervised,fixmach", "There is no method 'fixmach'"),
        ("compare wine --seeds 0", "--seeds must be at least 1; got 0"),
        ("compare nowhere.csv", "no file or folder 'nowhere.csv'"),
        ("predict nowhere wine", "nowhere is no model folder"),
        ("methods fixmach", "Did you mean 'fixmatch'"),
        ("advise nowhere.csv", "no file or folder 'nowhere.csv'"),
    ],
)
def test_errors_are_one_line_on_stderr(
    words: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *shlex.split(words))
    assert code == 2
    assert out == ""
    assert re.search(message, err), err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", ["compare wine --seeds many", "compare", "fit fixmatch wine --out m --labels x"])
def test_words_that_cannot_be_read_are_refused(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, *shlex.split(words))
    assert code == 2
    assert out == ""
    assert "must be a whole number; got" in err or "DATA" in err


def test_a_model_folder_that_cannot_be_written_is_refused_before_training(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("manyways.methods.method.Method.fit", lambda *_, **__: pytest.fail("trained"))
    occupied, file = tmp_path / "occupied", tmp_path / "file"
    occupied.mkdir()
    (occupied / "diary.txt").write_text("dear")
    file.write_text("")
    for out, reason in [
        (occupied, "exists and is no model folder"),
        (file, "is a file; a model is a folder"),
        (file / "model", f"{file} is a file"),
    ]:
        code, _, err = run(capsys, "fit", "supervised", "wine", "--out", str(out))
        assert code == 2
        assert reason in err
    assert (occupied / "diary.txt").read_text() == "dear"


def test_other_exceptions_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Any) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr("manyways.cli.methods.main", broken)
    with pytest.raises(ZeroDivisionError):
        main(["methods"])


def test_interruption_has_its_exit_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("manyways.cli.methods.main", interrupted)
    code, _, err = run(capsys, "methods")
    assert code == 130
    assert err == "\ninterrupted\n"


@pytest.mark.parametrize(
    ("message", "typed"),
    [
        ('pass bad_rows="skip" to leave them out', "pass --bad-rows skip to leave them out"),
        ('Name it: label="…" with one of a, b.', "Name it: --label … with one of a, b."),
        ('classes: kinds={"the label": "category"}.', "classes: --kinds 'the label=category'."),
        ("""kinds={'y': "number"}""", "--kinds y=number"),
        ("hide labels: data.with_labels(40).", "hide labels: --labels 40."),
        ("fixmatch(threshold=0.9)", "fixmatch(threshold=0.9)"),
    ],
)
def test_messages_are_in_the_spelling_of_the_command_line(message: str, typed: str) -> None:
    assert as_typed(message) == typed


# --- reading --------------------------------------------------------------------------------------


def test_reading_options_reach_read() -> None:
    reading = Reading(label="", role=("time=a", "input=b", "input=c"), kinds=("a=b=number",), header=True)
    options = reading.options()
    assert options["label"] == ()
    assert options["time"] == ("a",)
    assert options["input"] == ("b", "c")
    assert options["kinds"] == {"a=b": "number"}
    assert options["header"] is True


def test_a_role_without_a_column_is_refused() -> None:
    with pytest.raises(ParameterError, match="--role must be ROLE=COL"):
        Reading(role=("time",)).options()


# --- fit and predict ------------------------------------------------------------------------------


def test_fit_then_predict_digits(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    model = tmp_path / "my model"
    words = ["digits", "--labels", "200", "--budget", "30 steps", "--test-share", "0.2", "--out", str(model)]
    code, out, err = run(capsys, "fit", "supervised", *words, *SMALL)
    assert code == 0, err
    assert "1,438 training rows, 200 labels" in out
    assert "30 steps" in out
    assert float(re.search(r"accuracy (0\.\d+)", out)[1]) > 0.3
    assert f"manyways predict {shlex.quote(str(model))} digits --out predictions.csv" in out
    assert "step 30 of 30" in err
    assert not (tmp_path / "my model.run").exists()
    assert json.loads((model / "model.json").read_text())["lineage"]["method"]["batch_size"] == 16

    code, out, _ = run(capsys, "predict", str(model), "digits", "--probabilities")
    assert code == 0
    rows = list(csv.reader(io.StringIO(out)))
    assert rows[0] == ["row", "prediction", *(f"probability_{digit}" for digit in range(10))]
    assert [row[0] for row in rows[1:]] == [str(at) for at in range(1797)]
    for row in rows[1:50]:
        shares = [float(share) for share in row[2:]]
        assert sum(shares) == pytest.approx(1, abs=1e-4)
        assert int(row[1]) == shares.index(max(shares))

    path = tmp_path / "predictions.csv"
    code, out, err = run(capsys, "predict", str(model), "digits", "--out", str(path))
    assert (code, out) == (0, "")
    assert "1,797 predictions" in err
    assert [row[:2] for row in csv.reader(io.StringIO(path.read_text()))] == [row[:2] for row in rows]


def test_predict_reads_new_rows_as_the_model_learned_them(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    lines = ["height,colour,count,kind"]
    lines += [f"{at % 7 + 0.5},{'red' if at % 2 else 'blue'},{at % 30},{'ab'[at % 2]}" for at in range(120)]
    table = tmp_path / "all.csv"
    table.write_text("\n".join(lines) + "\n")
    model = str(tmp_path / "model")
    assert run(capsys, "fit", "linear-probe", str(table), "--label", "kind", "--out", model)[0] == 0
    # Two rows without a label, whose counts alone would look like a category.
    new = tmp_path / "new.csv"
    new.write_text("height,colour,count\n1.5,red,1\n2.5,blue,0\n")
    code, out, err = run(capsys, "predict", model, str(new))
    assert code == 0, err
    assert out == "row,prediction\n0,b\n1,a\n"


def test_predict_skips_or_fills_rows_with_gaps(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    lines = ["height,colour,kind"] + [
        f"{at % 40},{'red' if at % 3 else 'blue'},{'ab'[at % 40 > 19]}" for at in range(120)
    ]
    table = tmp_path / "all.csv"
    table.write_text("\n".join(lines) + "\n")
    model = str(tmp_path / "model")
    assert run(capsys, "fit", "linear-probe", str(table), "--label", "kind", "--out", model)[0] == 0
    new = tmp_path / "new.csv"
    new.write_text("height,colour\n,red\n38,blue\n2,red\n")
    code, _, err = run(capsys, "predict", model, str(new))
    assert code == 2
    assert "'height' is missing, NaN or infinite in 1 row (0;" in err
    code, out, err = run(capsys, "predict", model, str(new), "--bad-rows", "skip")
    assert (code, out) == (0, "row,prediction\n1,b\n2,a\n"), err
    filled = run(capsys, "predict", model, str(new), "--bad-rows", "fill", "--probabilities")[1].splitlines()
    # The mean of the rows that it learned from, whatever else is asked beside it.
    mean = tmp_path / "mean.csv"
    mean.write_text("height,colour\n19.5,red\n")
    said = run(capsys, "predict", model, str(mean), "--probabilities")[1].splitlines()
    assert filled[1] == said[1]
    assert len(filled) == 4


def test_fields_that_are_methods_are_written_as_such(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["--base", "supervised(size=0.5)", "--rounds", "2", "--budget", "10 steps", "--labels", "30"]
    code, out, err = run(capsys, "fit", "self-training", "wine", "--out", str(tmp_path / "m"), *words)
    assert code == 0, err
    assert "self-training(base=supervised(size=0.5), rounds=2)" in out


def test_an_interrupted_fit_says_what_is_kept_and_goes_on(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["fit", "simclr(batch_size=16) >> fine-tune", "wine", "--labels", "30", "--budget", "40 steps"]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert run(capsys, *words, "--out", str(whole))[0] == 0

    original = RunFolder.__call__

    def interrupting(self: RunFolder, event: Event) -> None:
        original(self, event)
        if event.stage == "2-fine-tune" and event.step == 10:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "__call__", interrupting)
        code, out, err = run(capsys, *words, "--out", str(stopped))
    assert code == 130
    assert out == ""
    assert "interrupted: simclr is done" in err
    assert "Type the same command again to go on." in err
    assert not stopped.exists()

    code, _, err = run(capsys, *words, "--out", str(stopped))
    assert code == 0
    assert "simclr:" not in err
    assert not (tmp_path / "stopped.run").exists()
    assert (whole / "weights.safetensors").read_bytes() == (stopped / "weights.safetensors").read_bytes()


def test_a_run_folder_without_a_checkpoint_is_removed(tmp_path: Path) -> None:
    with RunFolder.beside(tmp_path / "m", "0" * 64) as folder:
        assert folder.path.is_dir()
        folder(Event("start", "", 0, 10, 0.0))
    assert list(tmp_path.iterdir()) == []


def test_a_run_folder_with_a_checkpoint_stays_until_the_run_is_done(tmp_path: Path) -> None:
    folder = RunFolder.beside(tmp_path / "m", "0" * 64)
    with folder:
        folder(Event("checkpoint", "2-fixmatch", 40, 100, 4.0))
        assert folder.kept().startswith(f"fixmatch is kept at step 40 of 100, in {tmp_path / 'm.run'}.")
    assert folder.path.is_dir()
    folder.done()
    assert list(tmp_path.iterdir()) == []


def test_the_description_of_a_model_has_the_name_that_saving_gives_it() -> None:
    assert DESCRIPTION == saving.DESCRIPTION


# --- methods --------------------------------------------------------------------------------------


def test_methods_lists_all_and_shows_one(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "methods")
    assert code == 0
    listed = {line.split()[0] for line in out.splitlines() if line.strip()}
    assert set(all_methods()) | {"semi-supervised", "federated"} <= listed
    code, out, _ = run(capsys, "methods", "FixMatch")
    assert code == 0
    assert re.search(r"threshold +0.9 +number in \[0, 1\) +Least confidence", out)
    assert "Sohn et al." in out


@pytest.mark.parametrize("name", all_methods())
def test_every_field_of_every_method_is_explained(name: str) -> None:
    kind = all_methods()[name]
    texts = field_texts(kind)
    assert [each.name for each in method_fields(kind) if not texts.get(each.name)] == []


def test_help_of_a_method_shows_its_fields_and_leaves_out_functions(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, _ = run(capsys, "fit", "active-learning", "--help")
    assert code == 0
    assert "--questions {None}|INT" in out
    assert "--base" in out
    assert "--oracle" not in out


# --- advise ---------------------------------------------------------------------------------------


def test_advise_says_what_there_is_and_what_to_type(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    table = tmp_path / "my flowers.csv"
    rows = [f"{at},{at / 7:.3f},{'xyz'[at % 3] if at % 2 else ''}" for at in range(120)]
    table.write_text("\n".join(["number,size,kind of flower", *rows]) + "\n")
    words = [str(table), "--label", "kind of flower"]
    code, out, _ = run(capsys, "advise", *words)
    assert code == 0
    assert "120 (120 training)" in out
    assert "1 number (size)" in out
    assert "kind of flower: 3 classes (x, y, z)" in out
    assert "60 training rows have a label, 60 have none" in out
    assert "number: it counts the rows" in out
    assert shlex.join(["manyways", "compare", *words, "--report", "report.html"]) in out
    assert re.search(r"^shortlist: write +why", out, re.MULTILINE)
    assert re.search(r"^fixmatch +its guesses on rows without a label teach it", out, re.MULTILINE)
    assert re.search(r"^simclr +embed", out, re.MULTILINE)
    code, fewer, _ = run(capsys, "advise", *words, "--labels", "20")
    assert code == 0
    assert "20 training rows have a label, 100 have none" in fewer


def test_advise_suggests_a_comparison_of_what_draws_where_there_are_no_labels(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, _ = run(capsys, "advise", "digits", "--label", "", "--input", "image")
    assert code == 0
    assert "manyways compare digits --label '' --input image --report report.html" in out


# --- compare --------------------------------------------------------------------------------------


def test_compare_prints_the_table_and_writes_the_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    report, numbers = tmp_path / "r.html", tmp_path / "r.json"
    words = ["wine", "--methods", "linear-probe(penalty=1.0),kmeans", "--seeds", "1", "--budget", "5 steps"]
    files = ["--report", str(report), "--json", str(numbers)]
    code, out, err = run(capsys, "compare", *words, "--workers", "0", *files)
    assert code == 0, err
    assert "linear-probe(penalty=1.0)" in out
    assert f"report: {report}\nnumbers: {numbers}\n" in out
    saved = json.loads(numbers.read_text())
    assert saved["command"] == shlex.join(["manyways", "compare", *words, "--workers", "0", *files])
    assert [entry["name"] for entry in saved["entries"]] == ["linear-probe(penalty=1.0)", "kmeans", "majority"]
    assert report.read_text().lower().startswith("<!doctype html>")
    assert re.search(r"^\[\d+/\d+\] linear-probe", err, re.MULTILINE)


def test_compare_fails_where_every_way_fails(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["wine", "--methods", "fixmatch", "--seeds", "1", "--budget", "5 steps", "--workers", "0"]
    code, out, _ = run(capsys, "compare", *words)
    assert code == 1
    assert "x fixmatch" in out


def test_the_view_of_a_comparison_on_a_terminal() -> None:
    where = Console(file=io.StringIO(), force_terminal=True, width=120, legacy_windows=False)
    with CompareView(where) as view:
        view(CompareProgress(0, 4, (("fixmatch, seed 0", 0.5),)))
        view(CompareProgress(1, 4, (("supervised, seed 0", 0.25),), "fixmatch, seed 0: accuracy 0.9", 30.0))
    assert isinstance(where.file, io.StringIO)
    text = where.file.getvalue()
    assert "fixmatch, seed 0" in text
    assert "50%" in text
    assert "[1/4] fixmatch, seed 0: accuracy 0.9" in text
    assert "1 of 4  about 30 s left" in text
    assert "supervised, seed 0" in text


def test_the_view_of_a_comparison_elsewhere_is_a_line_for_each_end() -> None:
    where = Console(file=io.StringIO(), force_terminal=False, width=40)
    with CompareView(where) as view:
        view(CompareProgress(0, 2, (("a", 0.5),)))
        view(CompareProgress(1, 2, (), "a, seed 0: accuracy 0.9", 30.0))
        view(CompareProgress(2, 2, (), "b, seed 0: accuracy 0.8", 0.0))
    assert isinstance(where.file, io.StringIO)
    assert where.file.getvalue().splitlines() == [
        "[1/2] a, seed 0: accuracy 0.9  (about 30 s left)",
        "[2/2] b, seed 0: accuracy 0.8",
    ]
