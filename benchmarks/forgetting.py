"""Forgetting a row by exact means against learning without it: ridge by a downdate, shards by training one anew.

Fashion-MNIST, one thread, both sides in turns and in processor time. Ridge, on 784 pixels, takes one of 60,000 rows
out of its sums; its peer is `fit(data without the row)`, and how far both are apart is printed. Of 20 shards the one
that the row is in is trained anew; the peer trains all of them without the row, and gives the same bits. How accurate
the vote of the shards is stands beside one network that was given all rows and as many steps.

    python benchmarks/forgetting.py
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable

import numpy as np
import torch
from common import Row, data_folder, interleaved, median_ratio, report, versions

import manyways as mw
from manyways.data.data import Data
from manyways.lineage.forgetting.verification import relative_difference
from manyways.testing.trial import difference

SHARDS, STEPS = 20, 2_000
PLACES = (12_345, 23_456, 34_567, 45_678, 56_789)
"""Which of the training rows are forgotten, each by itself."""


def run() -> list[Row]:
    """A row for ridge and one for shards."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        os.environ["MANYWAYS_HOME"] = place
        data = mw.read(data_folder("fashion-mnist"))
        return [ridge(data), sharded(data)]


def ridge(data: Data) -> Row:
    """One row is taken out of ridge's sums, five times another."""
    method = mw.Ridge(penalty=100.0)
    model = method.fit(data)
    print(f"{method}: accuracy {model.evaluate(data.test)['accuracy']:.4f}")
    masks = [only(data, at) for at in PLACES]
    turns = {"ours": iter(masks), "peer": iter(masks)}
    made: dict[str, list[mw.Model]] = {"ours": [], "peer": []}

    def forget() -> None:
        made["ours"].append(method.forget(model, data, next(turns["ours"])))

    def refit() -> None:
        made["peer"].append(method.fit(data.select(~next(turns["peer"]))))

    seconds = interleaved({"ours": forget, "peer": refit}, rounds=len(PLACES) - 1, clock=time.process_time)
    furthest = max(relative_difference(*pair) for pair in zip(made["ours"], made["peer"], strict=True))
    print(f"weights differ by up to {furthest:.1e}, relative")
    assert furthest <= 1e-8
    return row(f"forgetting one of {len(data.training):,} rows: {method}, Fashion-MNIST", seconds, 20.0)


def sharded(data: Data) -> Row:
    """One row is forgotten by its shard; all shards are trained without it."""
    method = mw.Sharded(shards=SHARDS)
    alone, _ = timed(lambda: method.method.fit(data, budget=STEPS))
    model, _ = timed(lambda: method.fit(data, budget=STEPS))
    shared, whole = (each.evaluate(data.test)["accuracy"] for each in (model, alone))
    print(f"accuracy of {SHARDS} shards {shared:.4f}, of one network {whole:.4f}; {STEPS:,} steps in all")
    gone = only(data, PLACES[0])
    forgot, ours = timed(lambda: method.forget(model, data, gone))
    anew, peer = timed(lambda: method.fit(data.select(~gone), budget=STEPS))
    wrong = difference(forgot, anew)
    print(f"bitwise what training all shards without the row gives: {wrong or 'yes'}")
    assert wrong is None
    name = (
        f"forgetting one of {len(data.training):,} rows: {SHARDS} shards, Fashion-MNIST, {STEPS:,} steps in all; "
        f"accuracy {shared:.4f}, of one network {whole:.4f}"
    )
    return row(name, {"ours": [ours], "peer": [peer]}, 15.0)


def only(data: Data, at: int) -> np.ndarray:  # type: ignore[type-arg]
    """A mask of one training row, the one at `at` among them."""
    mask = np.zeros(len(data), bool)
    mask[np.flatnonzero(data.part[data.rows] == 0)[at]] = True
    return mask


def timed(work: Callable[[], mw.Model]) -> tuple[mw.Model, float]:
    """What `work` gives, and the processor time that it took."""
    began = time.process_time()
    made = work()
    return made, time.process_time() - began


def row(name: str, seconds: dict[str, list[float]], target: float) -> Row:
    """What is kept of one comparison."""
    return {
        "name": name,
        "ours": round(statistics.median(seconds["ours"]), 3),
        "peer": round(statistics.median(seconds["peer"]), 3),
        "unit": "s of processor time",
        "ratio": round(median_ratio(seconds), 1),
        "target": target,
        "versions": versions("scikit-learn"),
    }


if __name__ == "__main__":
    report("forgetting", run())
