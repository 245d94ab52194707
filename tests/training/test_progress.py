"""The progress bar: what it says on a terminal and elsewhere."""

import io

import pytest
from rich.console import Console

from manyways.training.events import Event
from manyways.training.progress import ProgressBar, duration, title

pytestmark = pytest.mark.quick


def console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=140, legacy_windows=False)


def said(where: Console) -> str:
    assert isinstance(where.file, io.StringIO)
    return where.file.getvalue()


def follow(bar: ProgressBar, *events: Event) -> None:
    with bar:
        for event in events:
            bar(event)


def test_a_terminal_shows_stage_rate_values_and_remaining_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manyways.training.progress.REFRESH_SECONDS", 0.0)
    where = console(terminal=True)
    follow(
        ProgressBar(where),
        Event("start", "2-fixmatch", 0, 100, 0.0),
        Event("step", "2-fixmatch", 20, 100, 2.0, {"loss": 0.51234, "confident": 0.25}),
    )
    text = said(where)
    assert "fixmatch" in text
    assert "2-fixmatch" not in text
    assert "step 20 of 100  10 steps/s  8.0 s left  loss 0.512  confident 0.25" in text


def test_a_narrow_terminal_loses_values_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manyways.training.progress.REFRESH_SECONDS", 0.0)
    where = Console(file=io.StringIO(), force_terminal=True, width=80, legacy_windows=False)
    values = {"loss": 0.5, "supervised": 0.25, "consistency": 0.125}
    event = Event("step", "2-self-training/round-1", 20, 100, 2.0, values)
    follow(ProgressBar(where), Event("start", event.stage, 0, 100, 0.0), event)
    text = said(where)
    assert "self-training, round 1" in text
    assert "step 20 of 100  10 steps/s  8.0 s left" in text
    assert "consistency" not in text


def test_each_stage_has_its_own_bar() -> None:
    where = console(terminal=True)
    follow(
        ProgressBar(where),
        Event("start", "1-simclr", 0, 10, 0.0),
        Event("end", "1-simclr", 10, 10, 1.0),
        Event("start", "2-fixmatch", 0, 20, 0.0),
        Event("end", "2-fixmatch", 20, 20, 4.0),
    )
    last = said(where)
    assert "step 10 of 10  10 steps/s  1.0 s" in last
    assert "step 20 of 20  5 steps/s  4.0 s" in last


def test_elsewhere_only_the_end_of_a_stage_is_printed() -> None:
    where = console(terminal=False)
    steps = [Event("step", "", at, 100, at / 10, {"loss": 1.0}) for at in range(10, 100, 10)]
    follow(
        ProgressBar(where),
        Event("start", "", 0, 100, 0.0),
        *steps,
        Event("end", "", 100, 100, 10.0, {"loss": 0.5}),
    )
    assert said(where) == "training: step 100 of 100  10 steps/s  10 s  loss 0.5\n"


def test_elsewhere_a_line_comes_now_and_then() -> None:
    where = console(terminal=False)
    bar = ProgressBar(where, line_seconds=0.0)
    follow(bar, Event("step", "", 10, 100, 1.0, {"loss": 1.0}), Event("step", "", 20, 100, 2.0, {"loss": 0.9}))
    assert said(where).splitlines()[-1] == "training: step 20 of 100  10 steps/s  8.0 s left  loss 0.9"


def test_the_rate_of_a_resumed_run_counts_its_own_steps_only() -> None:
    where = console(terminal=False)
    follow(
        ProgressBar(where, line_seconds=0.0),
        Event("resume", "", 50, 100, 100.0),
        Event("step", "", 60, 100, 101.0),
    )
    first, second = said(where).splitlines()
    assert first == "training: step 50 of 100  resumed"
    assert second == "training: step 60 of 100  10 steps/s  4.0 s left"


def test_an_early_end_says_so() -> None:
    where = console(terminal=False)
    follow(ProgressBar(where), Event("start", "", 0, 100, 0.0), Event("stop", "", 40, 100, 4.0))
    assert "step 40 of 100 (ended early)" in said(where)


def test_square_brackets_are_no_markup() -> None:
    where = console(terminal=False)
    follow(ProgressBar(where), Event("end", "", 1, 1, 1.0, {"[red]loss": 1.0}))
    assert "[red]loss 1" in said(where)


@pytest.mark.parametrize(
    ("stage", "words"),
    [("", "training"), ("1-simclr", "simclr"), ("2-self-training/round-1", "self-training, round 1")],
)
def test_stages_are_said_in_words(stage: str, words: str) -> None:
    assert title(stage) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (37.2, "37 s"), (600, "10 min"), (11_100, "3 h 5 min")],
)
def test_times_are_said_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
