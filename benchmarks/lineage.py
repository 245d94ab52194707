"""Questions to a store of 1,000 models over 1,000,000 rows of 10,000 people, each answered by a command of its own.

Every model has another random half of the rows, which no compression makes smaller: the worst case. The store is made
by writing its tables, as training a thousand models would take hours; the questions are asked as a person asks them, in
a new process whose start counts, too. The limit is one second; what is counted is processor time, as one thread does it
all and the machine may have other work.

    python benchmarks/lineage.py
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import Row, report, versions

from manyways.data.columns import id_text
from manyways.lineage.store import row_registry
from manyways.lineage.store.store import Store
from manyways.models.lineage import Lineage

MODELS, ROWS, PEOPLE = 1_000, 1_000_000, 10_000
ROUNDS = 5
LIMIT = 1.0


def fill(store: Store, models: int = MODELS, rows: int = ROWS, people: int = PEOPLE) -> tuple[list[str], str]:
    """Write a store in which every model has half of the rows: the models' ids, and the id of a row."""
    rng = np.random.default_rng(0)
    ids = rng.integers(1, 2**63, (rows, 2)).astype(np.uint64)
    names = np.array([f"person-{at % people}" for at in range(rows)], object)
    lineage = Lineage({"name": "supervised", "size": 1.0}, "supervised", 0, "1,000 steps", "people", "0" * 32)
    keys = [f"{at:064x}" for at in rng.permutation(models)]
    with store.database.writing() as db:
        numbers = row_registry.register(db, ids)
        row_registry.add_subjects(db, names, numbers)
        for at, key in enumerate(keys):
            held = row_registry.bitmap(np.flatnonzero(rng.random(rows) < 0.5))
            said = {**lineage.to_json(), "seed": at, "rows": len(held)}
            kept = row_registry.keep_set(db, held)
            values = (key, "2026-01-01T00:00:00+00:00", "supervised", "predictor", "classify", 10, "0" * 64, key,
                      json.dumps(said), kept, kept)  # fmt: skip
            db.execute(
                "INSERT INTO models (id, created, title, kind, gives, parameters, weights, lineage_hash, lineage, "
                f"own_rows, all_rows) VALUES ({', '.join('?' * len(values))})",
                values,
            )
            if at:  # a tree in which a model has ten children
                db.execute("INSERT INTO edges VALUES (?, 'start', ?)", (key, keys[(at - 1) // 10]))
            db.execute("INSERT INTO stage_rows VALUES (?, 0, ?, NULL, ?)", (key, kept, key))
    return keys, id_text(ids[rows // 2])


def asked(home: Path, *words: str) -> float:
    """Seconds of processor time of one command, from its start to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "manyways", "lineage", *words]
    subprocess.run(command, env={**os.environ, "MANYWAYS_HOME": str(home)}, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run() -> list[Row]:
    """A row for each question."""
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        store = Store(home / "store")
        keys, row = fill(store)
        with store.database.reading() as db:
            sizes = [len(bits) for (bits,) in db.execute("SELECT bits FROM row_sets")]
        print(f"{max(sizes):,} bytes for the rows of a model at most; {store.database.path.stat().st_size:,} in all")
        questions = {
            "which models did a row reach?": ["--row", row],
            "which models did a person reach?": ["--subject", "person-77"],
            "which rows and people shaped a model?": [keys[500]],
        }
        rows = []
        for question, words in questions.items():
            seconds = statistics.median(asked(home, *words) for _ in range(ROUNDS))
            rows.append(
                {
                    "name": f"lineage: {question} {MODELS:,} models, {ROWS:,} rows, {PEOPLE:,} people",
                    "ours": round(seconds, 3),
                    "peer": LIMIT,
                    "unit": "s of processor time",
                    "ratio": round(LIMIT / seconds, 2),
                    "target": 1.0,
                    "versions": versions("pyroaring"),
                }
            )
        return rows


if __name__ == "__main__":
    report("lineage", run())
