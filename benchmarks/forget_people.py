"""Three of 600 people are forgotten by a chain on Fashion-MNIST: SimCLR >> FineTune >> Distill.

Each of the 60,000 training images belongs to one of 600 people, 100 images each. The chain is trained with the store,
three people are forgotten one command's way (plan, learning again, receipt), and the chain is trained without them from
nothing. What is checked: all weights are bitwise those of that training; nothing of the people is left in the store;
the receipt can be verified. What is timed: forgetting against training without them, in processor time.

    python benchmarks/forget_people.py [FOLDER]

With a folder, the models are audited, too, with four reference models each, and the receipt and the report are left
there; then nothing is timed.
"""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from common import Row, data_folder, report, versions

import manyways as mw
from manyways.cli.forget import audit_lines
from manyways.data.data import Data
from manyways.lineage.forgetting.receipt_report import write_report
from manyways.lineage.forgetting.verification import verify
from manyways.testing.trial import difference

PEOPLE, GONE = 600, ("person-017", "person-230", "person-599")
LABELS = 2_000
STEPS = 450
REFERENCES = 4


def people_file(folder: Path) -> Path:
    """Fashion-MNIST as an npz file, in which every image is somebody's."""
    data = mw.read(data_folder("fashion-mnist"))
    arrays = {}
    for part, rows in (("train", data.training), ("test", data.test)):
        arrays[f"x_{part}"] = rows.take("image")[:, 0]
        arrays[f"y_{part}"] = rows.take("label").astype(np.int64)
        arrays[f"person_{part}"] = np.array([f"person-{at % PEOPLE:03}" for at in range(len(rows))])
    path = folder / "fashion.npz"
    np.savez(path, **arrays)
    return path


def trained(data: Data, store: mw.Store | None) -> tuple[mw.Model, float]:
    """The chain, and the processor time that it took."""
    chain = mw.SimCLR(size=0.5) >> mw.FineTune() >> mw.Distill(size=0.25)
    began = time.process_time()
    model = chain.fit(data, budget=STEPS, run=mw.Run(store=store))
    return model, time.process_time() - began


def run(kept: Path | None = None) -> list[Row]:
    """One row: seconds of forgetting against those of training without the people."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ["MANYWAYS_HOME"] = str(folder / "home")
        data = mw.read(people_file(folder), subject="person").with_labels(LABELS, draw="stratified")
        store = mw.Store()
        model, first = trained(data, store)
        score = model.evaluate(data.test)["accuracy"]
        print(f"trained in {first:.0f} s: accuracy {score:.4f}; {len(store.models())} models are kept")
        gone = data.select(np.isin(data.take("person"), GONE))
        began = time.process_time()
        audit = mw.Auditor(REFERENCES) if kept is not None else None
        done = mw.forget(model, gone, receipt=folder / "receipt.json", audit=audit)
        forgotten = time.process_time() - began
        for step in done.plan.steps:
            print(f"  {step.title}: {step.how}, {step.guarantee} ({step.rows} of {step.given:,} rows)")
        expected, anew = trained(data.without(gone.ids), None)
        assert done.model is not None
        wrong = difference(done.model, expected)
        print(f"bitwise the chain trained without {', '.join(GONE)}: {wrong or 'yes'}")
        assert wrong is None
        after = done.model.evaluate(data.test)["accuracy"]
        names = [name.encode() for name in GONE]
        ids = [each.tobytes() for each in gone.ids]
        held = [path.read_bytes() for path in (folder / "home").rglob("*") if path.is_file()]
        assert not any(each in text for text in held for each in [*names, *ids])
        found = verify(folder / "receipt.json", allow=mw.receipt_sources(folder / "receipt.json")[0])
        verdicts = [each.verdict for each in found.models]
        print(f"forgotten in {forgotten:.0f} s, trained without them in {anew:.0f} s: accuracy {after:.4f}; {verdicts}")
        assert verdicts == ["same"] * 4
        if kept is not None:
            kept.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / "receipt.json", kept / "receipt.json")
            write_report(done.receipt, kept / "report.html")
            print("\n".join(audit_lines(done.receipt)))
            return []
        return [
            {
                "name": f"forgetting {len(gone)} rows of {len(GONE)} of {PEOPLE} people, Fashion-MNIST, SimCLR >> "
                f"FineTune >> Distill, {STEPS} steps, with plan, receipt and erasing, against training without them",
                "ours": round(forgotten, 1),
                "peer": round(anew, 1),
                "unit": "s of processor time",
                "ratio": round(anew / forgotten, 2),
                "target": 0.8,
                "versions": versions("pyroaring"),
            }
        ]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run(Path(sys.argv[1]))
    else:
        report("forget_people", run())
