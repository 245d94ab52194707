"""Kills `forget` at random moments and finishes it: `python kill_forget.py FOLDER KILLS SEED`.

One process loads everything and forks for each try, so that a try takes a second and not the time of an import. Prints
a line of JSON for every kill, and ends with exit code 1 where a store was not whole or a result was another.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import manyways as mw
from manyways.data.columns import id_text
from manyways.lineage import registry

torch.set_num_threads(1)

SUBJECT = "person-3"


def prepare(folder: Path) -> None:
    """A store with a chain, a merge of two models and one that never saw the person."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    images = rng.integers(0, 120, (120, 8, 8))
    images[:, :4] += 60 * labels[:, None, None]
    people = [f"person-{at % 6}" for at in range(120)]
    np.savez(folder / "faces.npz", images=images.astype(np.uint8), labels=labels, person=people)
    data = mw.read(folder / "faces.npz", subject="person").with_test(0.2)
    run = mw.Run(store=mw.Store())
    start = mw.LinearProbe(penalty=1.0).fit(data, run=run)
    (mw.Supervised(size=0.25, batch_size=8) >> mw.FineTune(batch_size=8)).fit(data, budget=24, run=run)
    mw.Distill(size=0.25, batch_size=8).fit(data, start, budget=12, run=run)
    others = data.select(data.take("person") != SUBJECT)
    mw.KMeans(clusters=3).fit(others, run=run)


def forgets(receipt: Path) -> None:
    mw.forget(subject=SUBJECT, receipt=receipt)


def apart(work: Callable[[], object], seconds: float | None = None) -> bool:
    """Do `work` in a process of its own, which is killed after `seconds`; whether it came to its end."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    deadline = time.monotonic() + (seconds if seconds is not None else 120)
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def outcome(home: Path, receipt: Path) -> dict[str, Any]:
    """What a store holds, and what the receipt says, apart from the time."""
    store = mw.Store()
    said = json.loads(receipt.read_text(encoding="utf-8")) if receipt.exists() else {}
    with store.database.reading() as db:
        ids = registry.all_ids(db)
        subjects = [name for (name,) in db.execute("SELECT name FROM subjects ORDER BY name")]
        pending = db.execute("SELECT COUNT(*) FROM forgets").fetchone()[0]
        hidden = db.execute("SELECT COUNT(*) FROM models WHERE pending IS NOT NULL").fetchone()[0]
    found = {id_text(each) for each in ids}
    return {
        "models": sorted((record.title, record.weights, record.forgotten) for record in store.models()),
        "subjects": subjects,
        "unfinished": (pending, hidden),
        "left": sum(row in found for row in said.get("rows", ())),
        "files": sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if "weights" in path.parts),
        "receipt": [(model["title"], model["how"], (model["after"] or {}).get("weights")) for model in said["models"]]
        if said
        else [],
    }


def main() -> int:
    """Kill and finish as often as asked for."""
    folder, kills, rng = Path(sys.argv[1]), int(sys.argv[2]), random.Random(int(sys.argv[3]))
    home, kept, receipt = folder / "home", folder / "kept", folder / "receipt.json"
    os.environ["MANYWAYS_HOME"] = str(home)
    prepare(folder)
    shutil.copytree(home, kept)
    before = sorted(record.id for record in mw.Store().models())
    began = time.monotonic()
    assert apart(lambda: forgets(receipt))
    took = time.monotonic() - began
    expected = outcome(home, receipt)
    failed = 0
    count = 0
    while count < kills:
        shutil.rmtree(home)
        shutil.copytree(kept, home)
        receipt.unlink(missing_ok=True)
        moments = []
        while len(moments) < 3 and rng.random() < (1.0, 0.4, 0.4)[len(moments)]:  # some are killed again as they go on
            moment = rng.uniform(0, took * 1.1)
            if apart(lambda: forgets(receipt), moment):
                break
            moments.append(round(moment, 3))
            count += 1
            check = mw.Store().check()
            there = sorted(record.id for record in mw.Store().models())
            whole = check.whole and (there == before or len(there) == len(before))
            failed += not whole
            print(json.dumps({"moment": moments[-1], "whole": whole, "problems": check.problems}), flush=True)
        if not moments:
            continue
        # What was finished before the kill was seen has nothing left to do.
        if not apart(lambda: forgets(receipt)) and not receipt.exists():
            failed += 1
            print(json.dumps({"moments": moments, "error": "it was not finished"}), flush=True)
            continue
        found = outcome(home, receipt)
        if found != expected:
            failed += 1
            print(json.dumps({"moments": moments, "found": found, "expected": expected}), flush=True)
    print(json.dumps({"kills": count, "failed": failed, "seconds": round(took, 2)}), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
