"""Rows per second and prequential accuracy of learners of streams against River: arrays in, score out.

Logistic regression reads elec ten times over; Hoeffding tree, adaptive random forest and nearest neighbours read elec,
sea and interchanging RBF, of which the two slower ones of River get the first 20,000 rows.

Both sides standardise on the way, predict each row and then learn it, by the same SGD, and reach the same accuracy,
which is checked. River runs in `.venv-peers`, in blocks that alternate with ours; its rows lie ready as dictionaries
before its clock starts. Both are counted in processor time, of one thread. Ours is counted twice: the compiled pass
over arrays, and the whole of `OnlineSGD().fit(data)`, with everything that makes a model.

    python benchmarks/stream.py             # the benchmark
    python benchmarks/stream.py whole       # trees, forests and neighbours on all rows; River takes some ten minutes
    python benchmarks/stream.py figures     # River's scores that tests/methods/online/test_online_sgd.py holds
"""

import gzip
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import Row, ask_peer, data_folder, facts_of_peer, report, versions

import manyways as mw
from manyways.methods.online._begin import begin
from manyways.methods.online._linear_reader import copied
from manyways.methods.online._passes import logistic_pass

TIMES, ROUNDS, TARGET = 10, 5, 100
FIRST, LEARNERS_TARGET = 20_000, 20
"""Rows of a stream that River's slower learners get."""
LEARNERS = {
    "hoeffding-tree": (mw.HoeffdingTree(), "tree.HoeffdingTreeClassifier()", None),
    "adaptive-random-forest": (mw.AdaptiveRandomForest(), "forest.ARFClassifier(seed=0)", FIRST),
    "sliding-window-neighbours": (
        mw.SlidingWindowNeighbours(),
        "preprocessing.StandardScaler() | neighbors.KNNClassifier(5, neighbors.LazySearch(1000))",
        FIRST,
    ),
}
"""Our learners, River's, and how many rows of a stream they get; None for all."""

PEER = """
import json, sys, time
import numpy as np, river
from river import linear_model, preprocessing
arrays = np.load(sys.argv[1])
rows = [dict(enumerate(row)) for row in arrays["inputs"].tolist()]
labels = arrays["labels"].astype(bool).tolist()
model = preprocessing.StandardScaler() | linear_model.LogisticRegression()
right = 0
began = time.process_time()
for x, y in zip(rows, labels):
    right += model.predict_one(x) == y
    model.learn_one(x, y)
print(json.dumps({"seconds": time.process_time() - began, "accuracy": right / len(rows), "river": river.__version__}))
"""

LEARNER = """
import json, sys, time
import numpy as np, river
from river import forest, neighbors, preprocessing, tree
arrays = np.load(sys.argv[1])
rows = [dict(enumerate(row)) for row in arrays["inputs"].tolist()]
labels = arrays["labels"].tolist()
model = MODEL
right = 0
began = time.process_time()
for x, y in zip(rows, labels):
    right += model.predict_one(x) == y
    model.learn_one(x, y)
print(json.dumps({"seconds": time.process_time() - began, "accuracy": right / len(rows), "river": river.__version__}))
"""

FIGURES = """
import json, sys
import numpy as np, river
from river import linear_model as lm, metrics, optim, preprocessing
arrays = np.load(sys.argv[1])
def score(name, model, metric, kind):
    model = preprocessing.StandardScaler() | model
    for row, label in zip(arrays[name + "-inputs"].tolist(), arrays[name + "-labels"].tolist()):
        x, y = dict(enumerate(row)), kind(label)
        guess = model.predict_one(x)
        metric.update(y, guess)
        model.learn_one(x, y)
    return metric.get()
print("river", river.__version__)
for name in ("elec", "sea"):
    print(name, "logistic", score(name, lm.LogisticRegression(), metrics.Accuracy(), bool))
    other = lm.LogisticRegression(optim.SGD(0.05), l2=0.001, intercept_lr=0.02)
    print(name, "logistic, rate 0.05, l2 0.001, intercept 0.02", score(name, other, metrics.Accuracy(), bool))
for name in ("elec", "digits"):
    print(name, "softmax", score(name, lm.SoftmaxRegression(), metrics.Accuracy(), int))
    print(name, "softmax, l2 0.01", score(name, lm.SoftmaxRegression(l2=0.01), metrics.Accuracy(), int))
for name in ("diabetes", "sea-numbers"):
    for l2 in (0.0, 0.01):  # at 0.01 one step on diabetes would go past its label, and ours would be shortened
        for metric in (metrics.MAE(), metrics.RMSE()):
            model = lm.LinearRegression(optim.SGD(0.005), l2=l2, intercept_lr=0.005)
            print(name, "linear, rate 0.005, l2", l2, type(metric).__name__, score(name, model, metric, float))
"""


def table(name: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Inputs float64 [rows, width] and labels [rows] of a stream in the shared data, the label in the last column."""
    with gzip.open(data_folder("drift-streams") / name, "rt") as file:
        cells = np.loadtxt(file, delimiter=",", skiprows=1)
    return cells[:, :-1], cells[:, -1].astype(np.int64)


def blobs() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The inputs and labels of interchanging RBF."""
    folder, parts = data_folder("drift-streams"), []
    for name in ("data", "labels"):
        with gzip.open(folder / f"interchangingRBF.{name}.gz", "rt") as file:
            parts.append(np.loadtxt(file))
    return parts[0], parts[1].astype(np.int64)


def learner(name: str, stream: str, inputs: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> Row:
    """Measure a learner on a stream, ours before and after River's."""
    method, theirs, _ = LEARNERS[name]
    data = mw.read((inputs, labels))
    method.fit(data.select(np.arange(200)))  # compiles
    ours, scores = [], []

    def fitted() -> None:
        scores.append(method.fit(data).prequential["accuracy"])

    ours.append(counted(fitted))
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "arrays.npz"
        np.savez(path, inputs=inputs, labels=labels)
        facts = facts_of_peer(LEARNER.replace("MODEL", theirs), str(path))
    ours.append(counted(fitted))
    return {
        "name": f"stream, {stream} ({len(labels):,} rows), {name}, the whole fit",
        "ours": round(len(labels) / statistics.mean(ours)),
        "peer": round(len(labels) / facts["seconds"]),
        "unit": "rows/s",
        "ratio": round(facts["seconds"] / statistics.mean(ours), 1),
        "target": f"≥ {LEARNERS_TARGET}",
        "accuracy": round(scores[0], 4),
        "accuracy of the peer": round(facts["accuracy"], 4),
        "versions": versions("numba") | {"peer river": facts["river"]},
    }


def learners(whole: bool) -> list[Row]:
    """Measure trees, forests and neighbours on the three streams."""
    streams = {"elec": table("elec.csv.gz"), "sea": table("sea_stream.csv.gz"), "interchanging RBF": blobs()}
    rows = []
    for stream, (inputs, labels) in streams.items():
        for name, (_, _, first) in LEARNERS.items():
            stop = None if whole else first
            rows.append(learner(name, stream, inputs[:stop], labels[:stop]))
            print({name: rows[-1][name] for name in ("name", "ratio", "accuracy", "accuracy of the peer")}, flush=True)
    return rows


def peer(script: str, arrays: dict[str, Any]) -> str:
    """What `script` prints in the environment of the peers, given `arrays` in a file."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "arrays.npz"
        np.savez(path, **arrays)
        return ask_peer(script, str(path))


def figures() -> None:
    """Print River's prequential scores."""
    from sklearn.datasets import load_diabetes, load_digits

    sea, digits, diabetes = table("sea_stream.csv.gz"), load_digits(), load_diabetes()
    streams = {
        "elec": table("elec.csv.gz"), "sea": sea, "digits": (digits.data, digits.target),
        "diabetes": (diabetes.data, diabetes.target), "sea-numbers": (sea[0][:, 1:], sea[0][:, 0]),
    }  # fmt: skip
    arrays = {}
    for name, (inputs, labels) in streams.items():
        arrays |= {f"{name}-inputs": inputs, f"{name}-labels": labels}
    print(peer(FIGURES, arrays), end="")


def counted(work: Callable[[], object]) -> float:
    """Seconds of processor time."""
    began = time.process_time()
    work()
    return time.process_time() - began


def run() -> list[Row]:
    """Measure both sides in turns."""
    inputs, labels = table("elec.csv.gz")
    inputs, labels = np.tile(inputs, (TIMES, 1)), np.tile(labels, TIMES)
    data, method = mw.read((inputs, labels)), mw.OnlineSGD()
    rows = np.ascontiguousarray(inputs, np.float32)
    begun = begin(data, np.arange(len(labels)), None, method, seed=0)
    drifts, curve = np.empty(len(labels), np.int64), np.empty((len(labels) // method.window + 1, 2))
    errors: list[float] = []

    def one_pass() -> None:
        state = copied(begun.head.state)
        logistic_pass(rows, labels, state, method.settings(), drifts, curve)
        errors.append(float(state.numbers["error"][0]))

    one_pass()  # compiles
    score = method.fit(data).prequential["accuracy"]
    seconds: dict[str, list[float]] = {"pass": [], "fit": [], "peer": []}
    facts: dict[str, Any] = {}
    for _ in range(ROUNDS):
        seconds["pass"].append(counted(one_pass))
        seconds["fit"].append(counted(lambda: method.fit(data)))
        facts = json.loads(peer(PEER, {"inputs": inputs, "labels": labels}))
        seconds["peer"].append(facts["seconds"])
    assert round(facts["accuracy"], 4) == round(score, 4) == round(1 - errors[0] / len(labels), 4), (facts, score)
    names = {"pass": "one compiled pass over arrays", "fit": "OnlineSGD().fit(data)"}
    return [
        {
            "name": f"stream, elec × {TIMES} ({len(labels):,} rows), {name}",
            "ours": round(len(labels) / statistics.median(seconds[side])),
            "peer": round(len(labels) / statistics.median(seconds["peer"])),
            "unit": "rows/s",
            "ratio": round(statistics.median(p / o for o, p in zip(seconds[side], seconds["peer"], strict=True)), 1),
            "target": f"≥ {TARGET}",
            "accuracy": round(score, 4),
            "versions": versions("numba") | {"peer river": facts["river"]},
        }
        for side, name in names.items()
    ]


if __name__ == "__main__":
    if sys.argv[1:] == ["figures"]:
        figures()
    elif sys.argv[1:] == ["whole"]:
        report("stream-whole", learners(True))
    else:
        report("stream", [*run(), *learners(False)])
