"""What data, file names and models say is shown, and never acted on, by a terminal or a browser."""

import csv
import io
import sys
import warnings
from pathlib import Path

import pytest

import manyways as mw
from manyways.cli import main
from manyways.comparison.report import render_report
from manyways.terminal import Terminal
from manyways.training.events import Event
from manyways.training.progress import ProgressBar
from manyways.visible import visible

EVIL = "\x1b]0;x\x07\x1b[31m"
TURNED = "\u202eevil\u2066"
SHOWN = "␛]0;x␇␛[31m"
ACTED_ON = ("\x1b]", "\x1b[31m", "\x07", "\r", "\x9b", "\u202e", "\u2066", "\x08")


def clean(text: str) -> bool:
    return not any(each in text for each in ACTED_ON)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Rows of a class, a column and a file whose names drive a terminal."""
    path = tmp_path / f"evil{EVIL}.csv"
    rows = [[at % 7, (at * at) % 5, EVIL if at % 2 else "plain", f"{EVIL}{at % 10}"] for at in range(120)]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["x", f"y{EVIL}{TURNED}", "label", "who"], *rows])
    return path


@pytest.fixture
def model(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    folder = tmp_path / f"model{EVIL}"
    words = ["fit", "supervised", str(table), "--role", "subject=who", "--budget", "3 steps", "--test-share", "0.2"]
    assert main([*words, "--out", str(folder)]) == 0
    said = capsys.readouterr()
    assert clean(said.out + said.err)
    assert SHOWN in said.out
    return folder


def test_a_comparison_and_advice_show_them(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.html"
    words = ["compare", str(table), "--methods", "ridge", "--budget", "1 steps", "--seeds", "1", "--workers", "0"]
    assert main([*words, "--report", str(report)]) == 0
    assert main(["advise", str(table)]) == 0
    said = capsys.readouterr()
    assert clean(said.out + said.err)
    assert SHOWN in said.out


def test_the_store_and_lineage_show_them(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "list"]) == 0
    assert main(["lineage", str(model)]) == 0
    assert main(["lineage", "--subject", f"{EVIL}3"]) == 0
    assert main(["forget", "--subject", f"{EVIL}3", "--plan"]) == 0
    said = capsys.readouterr()
    assert clean(said.out + said.err)
    assert SHOWN in said.out


def test_predictions_are_shown_on_a_terminal_and_kept_elsewhere(
    model: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    words = ["predict", str(model), str(table), "--probabilities"]
    assert main([*words, "--out", str(out)]) == 0
    kept = out.read_text()
    assert f"probability_{EVIL}" in kept
    assert main(words) == 0
    said = capsys.readouterr()
    assert said.out == kept
    assert clean(said.err)
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main(words) == 0
    assert clean(terminal.getvalue())
    assert f"probability_{SHOWN}" in terminal.getvalue()


def test_what_a_model_says_is_shown_on_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from manyways.models.language_model import LanguageModel

    data = mw.read("arithmetic", text="text", label=())
    mw.Pretrain(size=0.2, context=32, tokenizer="characters").fit(data, budget="1 steps").save(tmp_path / "model")
    monkeypatch.setattr(LanguageModel, "generate", lambda self, prompts, **_: [f"{EVIL}\nnext" for _ in prompts])
    words = ["generate", str(tmp_path / "model"), "--prompt", "1+1="]
    assert main(words) == 0
    assert capsys.readouterr().out == f"{EVIL}\nnext\n"
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main(words) == 0
    assert terminal.getvalue() == f"{SHOWN}\nnext\n"


def test_errors_and_cautions_show_them(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["advise", str(table), "--label", f"no{EVIL}{TURNED}\r"]) == 2
    assert main(["advise", f"nowhere{EVIL}.csv"]) == 2
    assert main([f"com{EVIL}"]) == 2
    said = capsys.readouterr()
    assert clean(said.err)
    assert SHOWN in said.err


def test_warnings_of_other_libraries_show_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from manyways.cli import methods
    from manyways.errors import DataWarning

    def main_(_: object) -> int:
        warnings.warn(f"odd {EVIL}", UserWarning, stacklevel=1)
        warnings.warn(f"caution {EVIL}", DataWarning, stacklevel=1)
        return 0

    monkeypatch.setattr(methods, "main", main_)
    plain: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_, **__: plain.append(str(message))
        assert main(["methods"]) == 0
    assert plain == [f"odd {SHOWN}"]
    assert capsys.readouterr().err == f"caution: caution {SHOWN}\n"


def test_progress_shows_them_and_still_draws() -> None:
    out = io.StringIO()
    with ProgressBar(Terminal(file=out, force_terminal=True, width=100)) as bar:
        bar(Event("start", EVIL, 0, 10, 0.0))
        bar(Event("step", EVIL, 5, 10, 1.0, values={EVIL: 1.0}))
        bar(Event("notice", EVIL, 5, 10, 1.0, note=f"{EVIL}{TURNED}"))
        bar(Event("end", EVIL, 10, 10, 2.0))
    drawn = out.getvalue()
    assert "\x1b]" not in drawn
    assert "\x07" not in drawn
    assert "\u202e" not in drawn
    assert "␛]0;x" in drawn
    assert "\\u202eevil" in drawn
    assert "\x1b[" in drawn, "a terminal of rich moves its own cursor"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc", "a\tb\nc"),
        ("\x00\x1b\x7f\r", "␀␛␡␍"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202e\u2066\u200f", "\\u202e\\u2066\\u200f"),
        ("ünïcödé ☃ 漢字 👩‍🚀", "ünïcödé ☃ 漢字 👩‍🚀"),
    ],
)
def test_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_html_is_text_in_a_report(tmp_path: Path) -> None:
    tag = "<img src=x onerror=alert(1)></script>"
    rows = [[at % 7, (at * at) % 5, tag if at % 2 else "plain"] for at in range(120)]
    path = tmp_path / "table.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["x", tag, "label"], *rows])
    found = mw.compare(mw.read(path), methods=["ridge"], budget="1 steps", seeds=1, workers=0)
    page = render_report(found)
    assert tag not in page
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page
