"""Kills fit, compare and forget at random moments, and types the same command again: `kills.py FOLDER COUNT SEED`.

One process loads everything and forks for each try, so that a try takes a second and not the time of an import. What
came of a command that was killed and typed again is compared with what came of one that was not: weights bitwise, the
store, the comparison's results, the receipt and what verifying it says. Prints a line of JSON for every try, and ends
with exit code 1 where anything differs.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from forked import Forked, apart

import manyways as mw
from manyways.cli import main as manyways
from manyways.comparison import workers
from manyways.comparison.conclusion import conclude
from manyways.comparison.results import read_results
from manyways.data.columns import id_text, ids_from_text
from manyways.lineage.forgetting.verification import verify
from manyways.lineage.store import row_registry
from manyways.training.run import Run

SUBJECT = "person-3"
AGAIN = 0.3
"""How often a try that was killed is killed once more as it goes on."""
OFTEN = 0.02
"""Seconds between checkpoints, so that many kills fall into one."""


# --- what is tried -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One command, and what is looked at after it: the folders `home` and `work` are as `prepare` left them."""

    name: str
    words: tuple[str, ...]
    outcome: Callable[[], dict[str, Any]]

    def run(self) -> int:
        """The command, in the folder `work`."""
        torch.set_num_threads(1)
        if self.name == "compare":
            for _ in range(2):
                Forked.ready.append(Forked())
        return manyways(list(self.words))


def prepare(data: Path) -> None:
    """A store with a chain, a model of the same data by another way, and one that never saw the person."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    images = rng.integers(0, 120, (120, 8, 8))
    images[:, :4] += 60 * labels[:, None, None]
    images[9] = images[3]  # two rows that are the same
    people = [f"person-{at % 6}" for at in range(120)]
    np.savez(data, images=images.astype(np.uint8), labels=labels, person=people)
    np.savez(data.with_name("numbers.npz"), x=rng.normal(labels[:, None], size=(120, 3)), y=labels)
    rows = mw.read(data, subject="person").with_test(0.2)
    run = mw.Run(store=mw.Store())
    start = mw.LinearProbe(penalty=1.0).fit(rows, run=run)
    (mw.Supervised(size=0.25, batch_size=8) >> mw.FineTune(batch_size=8)).fit(rows, budget=24, run=run)
    mw.Distill(size=0.25, batch_size=8).fit(rows, start, budget=12, run=run)
    mw.KMeans(clusters=3).fit(rows.select(rows.take("person") != SUBJECT), run=run)


def cases(data: Path) -> list[Case]:
    """The three commands."""
    chain = "supervised(size=0.25, batch_size=8) >> fine-tune(batch_size=8)"
    ways = "supervised(size=0.25, batch_size=8),linear-probe(penalty=1.0)"
    reading = (str(data), "--role", "subject=person", "--test-share", "0.2")
    return [
        Case("fit", ("fit", chain, *reading, "--seed", "7", "--budget", "60 steps", "--out", "model"), fitted),
        Case(
            "compare",
            ("compare", str(data.with_name("numbers.npz")), "--methods", ways, "--budget", "20 steps", "--seeds", "2",
             "--workers", "2", "--json", "results.json"),
            compared,
        ),
        Case(
            "forget",
            ("forget", "--subject", SUBJECT, "--yes", "--receipt", "receipt.json", "--report", "report.html"),
            forgotten,
        ),
    ]  # fmt: skip


def store_holds() -> dict[str, Any]:
    """What the store holds, apart from the time, and whether it is whole."""
    store = mw.Store()
    check = store.check()
    with store.database.reading() as db:
        ids = row_registry.all_ids(db)
        subjects = [name for (name,) in db.execute("SELECT name FROM subjects ORDER BY name")]
        hidden = db.execute("SELECT COUNT(*) FROM models WHERE pending IS NOT NULL").fetchone()[0]
    return {
        "problems": check.problems,
        "unfinished": (check.unfinished, hidden),
        "models": sorted((each.title, each.id, each.weights, each.forgotten) for each in store.models()),
        "metrics": sorted((each.id, sorted(each.metrics.items()), each.copies) for each in store.models()),
        "subjects": subjects,
        "rows": len({id_text(each) for each in ids}),
    }


def fitted() -> dict[str, Any]:
    """The weights of the folder and of the store, and what is left of the run."""
    folder = Path("model")
    loaded = mw.load(folder)
    tensors = {name: tensor.numpy().tobytes().hex() for name, tensor in loaded.network.state_dict().items()}
    left = sorted(path.name for path in Path().iterdir() if path.name != "log")
    return {**store_holds(), "weights": tensors, "left": [name for name in left if not name.endswith(".part")]}


def compared() -> dict[str, Any]:
    """The results, apart from times and memory, and what is concluded where no way was quicker than another."""
    found = read_results("results.json")
    entries = tuple(replace(entry, seconds=None) for entry in found.entries)
    alike = replace(found, entries=entries, conclusion=conclude(replace(found, entries=entries)))
    return {**store_holds(), "results": _timeless(alike.to_json())}


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        changing = ("seconds", "peak_memory_mb", "started", "command")
        return {name: _timeless(each) for name, each in value.items() if name not in changing}
    return [_timeless(each) for each in value] if isinstance(value, list) else value


def forgotten() -> dict[str, Any]:
    """What the receipt says and what verifying it finds, and the files in which a forgotten row's id still stands."""
    said = json.loads(Path("receipt.json").read_text(encoding="utf-8"))
    ids = [each.tobytes() for each in ids_from_text(said["rows"])]
    home = Path(os.environ["MANYWAYS_HOME"])
    files = [path for path in home.rglob("*") if path.is_file()]
    traces = [str(path) for path in files if any(each in path.read_bytes() for each in [*ids, SUBJECT.encode()])]
    return {
        **store_holds(),
        "traces": traces,
        "request": said["request"],
        "receipt": [(each["title"], each["how"], (each["after"] or {}).get("weights")) for each in said["models"]],
        "verdicts": [
            (each.title, each.verdict, each.note)
            for each in verify("receipt.json", allow=mw.receipt_sources("receipt.json")[0]).models
        ],
        "weights": sorted(path.parent.name for path in files if path.name == "description.json"),
        "report": Path("report.html").exists(),
    }


# --- trying --------------------------------------------------------------------------------------


class Trials:
    """Tries of the three commands in `folder`, each from the same beginning."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._rng = folder, random.Random(seed)
        os.environ["MANYWAYS_HOME"] = str(folder / "home")
        prepare(folder / "faces.npz")
        (folder / "home").rename(folder / "kept")
        self._cases = cases(folder / "faces.npz")
        self._expected: dict[str, dict[str, Any]] = {}
        self._took: dict[str, float] = {}
        for case in self._cases:
            self._begin_anew()
            began = time.monotonic()
            assert apart(case.run, folder / "log") == 0, (folder / "log").read_text(encoding="utf-8")
            self._took[case.name] = time.monotonic() - began
            self._expected[case.name] = self._outcome(case)
            assert not self._expected[case.name]["problems"]

    def attempt(self, at: int) -> tuple[int, str | None]:
        """Kill a command, and type it again until it is done: how many kills that took, and what differs."""
        case = self._cases[at % len(self._cases)]
        self._begin_anew()
        moments: list[float] = []
        code = None
        while code is None:
            kill = not moments or self._rng.random() < AGAIN
            moment = self._rng.uniform(0, self._took[case.name] * 1.05) if kill else None
            code = apart(case.run, self._folder / "log", moment)
            if code is None:
                moments.append(round(moment or 0.0, 3))
        wrong = f"exit code {code}" if code else self._differing(case)
        said = {"command": case.name, "kills": moments, **({"wrong": wrong} if wrong else {})}
        print(json.dumps(said), flush=True)
        if wrong:
            print((self._folder / "log").read_text(encoding="utf-8")[-3000:], file=sys.stderr, flush=True)
        return len(moments), wrong

    def _differing(self, case: Case) -> str | None:
        found, expected = self._outcome(case), self._expected[case.name]
        other = list(_differences(found, json.loads(json.dumps(expected)), ""))
        return f"other than without a kill: {'; '.join(other)}"[:4000] if other else None

    def _outcome(self, case: Case) -> dict[str, Any]:
        """What came of it, looked at in a process of its own."""
        place = self._folder / "outcome.json"
        place.unlink(missing_ok=True)
        code = apart(lambda: place.write_text(json.dumps(case.outcome()), encoding="utf-8") and 0, self._folder / "log")
        return json.loads(place.read_text(encoding="utf-8")) if code == 0 else {"failed": "it could not be looked at"}

    def _begin_anew(self) -> None:
        os.chdir(self._folder)
        for name in ("home", "work"):
            shutil.rmtree(self._folder / name, ignore_errors=True)
        (self._folder / "log").unlink(missing_ok=True)
        shutil.copytree(self._folder / "kept", self._folder / "home")
        (self._folder / "work").mkdir()
        os.chdir(self._folder / "work")


def _differences(found: Any, expected: Any, place: str) -> Iterator[str]:
    """Where two JSON values differ."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in sorted(found.keys() | expected.keys()):
            yield from _differences(found.get(key), expected.get(key), f"{place}.{key}")
    elif isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        for at, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
            yield from _differences(ours, theirs, f"{place}[{at}]")
    elif repr(found) != repr(expected):  # nan is not equal to itself
        yield f"{place[1:]} is {str(found)[:200]}, not {str(expected)[:200]}"


def main() -> int:
    """Kill as often as asked for."""
    folder, count, seed = Path(sys.argv[1]).resolve(), int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    workers.subprocess = SimpleNamespace(Popen=Forked.started, PIPE=subprocess.PIPE)  # type: ignore[attr-defined]
    usual = Run.__init__

    def with_checkpoints(self: Run, *given: Any, **named: Any) -> None:
        usual(self, *given, **named)
        object.__setattr__(self, "checkpoint_seconds", OFTEN)

    Run.__init__ = with_checkpoints  # type: ignore[method-assign]
    trials, kills, failed, at = Trials(folder, seed), 0, 0, 0
    while kills < count:
        more, wrong = trials.attempt(at)
        kills, failed, at = kills + more, failed + bool(wrong), at + 1
    print(json.dumps({"kills": kills, "tries": at, "failed": failed}), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
