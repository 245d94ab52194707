"""Damaged outcomes, results, notes and messages of workers: one error that names the place."""

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

import manyways as mw
from manyways.comparison import workers
from manyways.comparison.job import Job, Outcome, outcome_from_json, outcome_to_json, run_job
from manyways.comparison.results import Comparison, read_results, write_results
from manyways.errors import DataError

STRANGE: tuple[Any, ...] = (None, -1, 10**12, "x", [], {}, [["a"]], True)
SOUND = outcome_to_json(
    Outcome(
        0.5,
        {"accuracy": 0.5},
        seconds=1.0,
        wall_seconds=2.0,
        steps=3,
        parameters=4,
        peak_memory_mb=5.0,
        curve=[(1, 0.5, 0.25), (2, 1.0, 0.5)],
    )
)


def members(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    return [place for key, held in items for place in [(*at, key), *members(held, (*at, key))]]


def holding(value: Any, at: tuple[Any, ...], other: Any) -> Any:
    value = copy.deepcopy(value)
    held = value
    for key in at[:-1]:
        held = held[key]
    held[at[-1]] = other
    return value


def test_an_outcome_comes_back_as_it_was() -> None:
    again = outcome_from_json(json.loads(json.dumps(SOUND)))
    assert outcome_to_json(again) == SOUND
    assert again.curve == [(1, 0.5, 0.25), (2, 1.0, 0.5)]


@pytest.mark.parametrize("at", members(SOUND), ids=str)
def test_every_member_of_an_outcome_is_held_to_its_type(at: tuple[Any, ...]) -> None:
    for other in STRANGE:
        damaged = holding(SOUND, at, other)
        try:
            found = outcome_from_json(damaged, "FILE")
        except DataError:
            continue
        assert isinstance(found.score, float | None)
        assert isinstance(found.steps, int)
        assert all(isinstance(score, float) for *_, score in found.curve)


def test_a_missing_member_of_an_outcome_is_named() -> None:
    for name in SOUND.keys() - {"score", "peak_memory_mb", "error", "fit_seconds", "slowdown"}:
        with pytest.raises(DataError, match=f"FILE lacks `{name}`|`{name}` of FILE"):
            outcome_from_json({key: held for key, held in SOUND.items() if key != name}, "FILE")


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff\xfe", b'{"score": 1', b"[" * 9_000, b'{"score": {"a": 1}}'])
def test_a_damaged_outcome_of_an_earlier_comparison_is_named_and_replaced(content: bytes, home: Path) -> None:
    def compare(fresh: bool = False) -> Comparison:
        return mw.compare(mw.read("wine"), methods=["ridge"], seeds=1, budget="1 steps", workers=0, fresh=fresh)

    first = compare()
    path = next(home.rglob("outcome.json"))
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"outcome\.json.*--fresh"):
        compare()
    assert compare(fresh=True).entries[0].score == first.entries[0].score


def test_every_member_of_results_may_be_damaged(tmp_path: Path) -> None:
    found = mw.compare(mw.read("wine"), methods=["ridge"], seeds=2, budget="1 steps", workers=0)
    path = write_results(found, tmp_path / "results.json")
    saved = json.loads(path.read_text())
    for at in members(saved):
        for other in STRANGE:
            path.write_text(json.dumps(holding(saved, at, other)))
            try:
                read_results(path)
            except DataError as error:  # anything else fails the test
                assert str(path) in str(error)  # noqa: PT017


SAYS_NONSENSE = """
import json, sys, time
print(json.dumps({"ready": True}), flush=True)
sys.stdin.readline()
print(SAID, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("said", ["no json", '{"progress": "x"}', '{"outcome": {"score": 1}}', '{"a": ' * 3_000, "[]"])
def test_a_worker_that_says_nonsense_is_ended_and_its_job_failed(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    popen, started = subprocess.Popen, []

    def start(command: list[str], **more: Any) -> Any:
        started.append(popen([command[0], "-c", SAYS_NONSENSE.replace("SAID", repr(said))], **more))
        return started[-1]

    monkeypatch.setattr(workers.subprocess, "Popen", start)
    job = Job("ridge", None, 0, "1 steps", "accuracy")
    with workers.Workers(1, 1, tmp_path / "table", lambda _: tmp_path) as running:
        (report,) = running.run([job])
    assert report.outcome is not None
    assert report.outcome.error == "its process said what is no message of a worker, and was ended."
    assert all(process.poll() is not None for process in started)


def test_damaged_notes_of_a_training_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "job"
    (folder / "run").mkdir(parents=True)
    (folder / "run" / "notes.json").write_text('{"points": {"a": [1]}, "ended": 5}')
    data = mw.read("wine").with_test(0.25)
    outcome = run_job(Job("ridge", None, 0, "1 steps", "accuracy"), data, folder, lambda _: None)
    assert outcome.error is not None
    assert "notes.json cannot be gone on from" in outcome.error
    assert "--fresh" in outcome.error
