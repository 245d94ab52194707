"""Times of queries of active learning against scikit-activeml: which 100 of 10,000 rows are asked about.

Both sides get the same features, probabilities of the same model and, for committees, of the same five members, of
Fashion-MNIST's pixels averaged to 7 by 7 (49 features, 10 classes, 100 labelled rows): nothing is trained within the
clock. Both are counted in processor time, of one thread, in turns. Where a strategy draws nothing at random, both must
choose the same rows, but for those that are equal; of BADGE the first row, and the mean distance of those that follow.

    python benchmarks/queries.py
"""

import statistics
import tempfile
import time
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from common import Row, data_folder, facts_of_peer, report, versions
from sklearn.linear_model import LogisticRegression

import manyways as mw
from manyways.data.targets.classes import ClassTarget
from manyways.methods.bases.acquisition import ACQUISITIONS
from manyways.methods.bases.acquisition.badge import residuals
from manyways.methods.bases.acquisition.pool import Pool

ROWS, LABELLED, COUNT, MEMBERS, TURNS, TARGET = 10_000, 100, 100, 5, 5, 3
PEERS = {
    "entropy": "pool.UncertaintySampling(method='entropy', random_state=0)",
    "margin": "pool.UncertaintySampling(method='margin_sampling', random_state=0)",
    "vote-entropy": "pool.QueryByCommittee(method='vote_entropy', random_state=0)",
    "consensus-kl": "pool.QueryByCommittee(method='KL_divergence', random_state=0)",
    "badge": "pool.Badge(random_state=0)",
    "core-set": "pool.CoreSet(random_state=0)",
}
DRAWN = {"badge", "vote-entropy"}
"""Strategies of which both sides break ties, or draw, in their own way."""

PEER = """
import json, time, sys, warnings
warnings.filterwarnings("ignore")
import numpy as np, skactiveml
from skactiveml import pool
from skactiveml.base import SkactivemlClassifier

class Given(SkactivemlClassifier):
    # Probabilities of a model that is fitted already: rows are told by their first column, which is their number.
    def __init__(self, shares=None, classes=None, missing_label=np.nan, cost_matrix=None, random_state=None):
        super().__init__(classes, missing_label, cost_matrix, random_state)
        self.shares = shares
    def fit(self, X, y, sample_weight=None):
        return self
    def predict_proba(self, X):
        return self.shares if len(X) == len(self.shares) else self.shares[:len(X)]
    def predict(self, X):
        return self.predict_proba(X).argmax(1)

arrays = np.load(sys.argv[1])
features, shares, members, labels = (arrays[name] for name in ("features", "shares", "members", "labels"))
X = np.concatenate([features, arrays["labelled"]])
y = np.concatenate([np.full(len(features), np.nan), labels])
classes = list(range(shares.shape[1]))
name, turns, count = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

def model(shares):
    one = Given(shares, classes).fit(X, y)
    one.classes_ = np.array(classes)
    one._le = None
    return one

one, several = model(shares), [model(each) for each in members]
candidates = np.arange(len(features))
seconds = []
for _ in range(turns):
    strategy = STRATEGY
    began = time.process_time()
    if "Committee" in type(strategy).__name__:
        chosen = strategy.query(X, y, several, fit_ensemble=False, candidates=candidates, batch_size=count)
    elif "CoreSet" in type(strategy).__name__:
        chosen = strategy.query(X, y, candidates=candidates, batch_size=count)
    else:
        chosen = strategy.query(X, y, one, fit_clf=False, candidates=candidates, batch_size=count)
    seconds.append(time.process_time() - began)
print(json.dumps({"seconds": seconds, "chosen": [int(each) for each in chosen], "version": skactiveml.__version__}))
"""


class Given(Pool):
    """A pool of arrays that are there already."""

    @cached_property
    def target(self) -> Any:
        """A target of ten classes."""
        return ClassTarget("label", classes=tuple(range(10)))


def arrays() -> dict[str, Any]:
    """Features of the rows and the labelled ones, and probabilities of one model and of a committee."""
    data = mw.read(data_folder("fashion-mnist")).training.select(np.arange(ROWS + LABELLED))
    pixels = data.take("image").reshape(-1, 7, 4, 7, 4).mean((2, 4)).reshape(-1, 49) / 255
    labels = data.take("label").astype(int)
    first, rest = slice(0, LABELLED), slice(LABELLED, None)
    rng = np.random.default_rng(0)

    def model(rows: Any) -> Any:
        fitted = LogisticRegression(max_iter=500).fit(pixels[rows], labels[rows])
        shares = np.full((ROWS, 10), 1e-9)
        shares[:, fitted.classes_] = fitted.predict_proba(pixels[rest])
        return shares / shares.sum(1, keepdims=True)

    members = np.stack([model(rng.integers(0, LABELLED, LABELLED)) for _ in range(MEMBERS)])
    return {
        "features": pixels[rest].astype(np.float32),
        "labelled": pixels[first].astype(np.float32),
        "labels": labels[first],
        "shares": model(np.arange(LABELLED)),
        "members": members,
    }


def pool_of(given: dict[str, Any]) -> Pool:
    """The arrays as a pool that computes nothing."""
    pool = Given(mw.Data.nothing(), np.arange(ROWS))
    vars(pool).update(
        data=range(ROWS), probabilities=given["shares"][:, None], member_probabilities=given["members"][:, :, None],
        _all_features=np.concatenate([given["features"], given["labelled"]]),
    )  # fmt: skip
    return pool


def spread(given: dict[str, Any], chosen: Any) -> float:
    """The mean distance of the gradients of all rows from the nearest that was chosen: what k-means++ makes small."""
    gradients = np.einsum("ia,ib->iab", residuals(given["shares"][:, None]), given["features"]).reshape(ROWS, -1)
    centres = gradients[np.asarray(chosen)]
    squares = (gradients**2).sum(1)[:, None] + (centres**2).sum(1)[None] - 2 * gradients @ centres.T
    return float(np.sqrt(np.maximum(squares.min(1), 0)).mean())


def measured(name: str, given: dict[str, Any], path: Path) -> Row:
    """One strategy, in turns of both sides."""
    ours: list[float] = []
    peer: list[float] = []
    chosen: Any = None
    facts: dict[str, Any] = {}
    for _ in range(TURNS):
        strategy = ACQUISITIONS.find(name)()
        for _ in range(2):  # the first warms up
            pool = pool_of(given)
            began = time.process_time()
            chosen = strategy.choose(pool, COUNT, np.random.default_rng(0))
            took = time.process_time() - began
        ours.append(took)
        facts = facts_of_peer(PEER.replace("STRATEGY", PEERS[name]), str(path), name, "2", str(COUNT))
        peer.append(facts["seconds"][-1])
    same = len(set(chosen.tolist()) & set(facts["chosen"]))
    if name not in DRAWN and same < 0.98 * COUNT:
        raise SystemExit(f"{name} chose {same} of {COUNT} rows that scikit-activeml chose.")
    note = f"{same} of {COUNT} rows are the same"
    if name == "badge":
        note = f"mean distance {spread(given, chosen):.3f}, its {spread(given, facts['chosen']):.3f}"
    ratio = statistics.median(theirs / mine for theirs, mine in zip(peer, ours, strict=True))
    return {
        "name": f"{name}, {COUNT} of {ROWS:,} rows; {note}",
        "ours": round(1000 * statistics.median(ours), 2),
        "peer": round(1000 * statistics.median(peer), 2),
        "unit": "ms",
        "ratio": round(ratio, 1),
        "target": TARGET,
        "versions": {**versions("scikit-learn"), "scikit-activeml": facts["version"]},
    }


def main() -> None:
    """Time each strategy, and check that it chooses what its peer does."""
    given = arrays()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "arrays.npz"
        np.savez(path, **given)
        report("queries", [measured(name, given, path) for name in PEERS])


if __name__ == "__main__":
    main()
