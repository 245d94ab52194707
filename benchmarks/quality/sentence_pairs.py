"""Spearman's correlation on STS-B of a sentence encoder: frozen, trained on scored pairs, and on texts alone.

    python benchmarks/quality/sentence_pairs.py [frozen|pairs|simcse …]

all-MiniLM-L6-v2 (`make models`), the published training, validation and test pairs, budgets in steps. Every figure is
printed as it comes, with the seconds of processor time behind it.
"""

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import data_folder

import manyways as mw
from manyways.correlations import correlations
from manyways.methods.expressions import parse_method

ROOT = Path(__file__).parents[2]
TEXTS, SCORE = ("column_0", "column_1"), "column_2"


@dataclass(frozen=True)
class Line:
    """A method, its budget, and the correlation that it must reach; None where nothing is promised."""

    group: str
    method: str
    budget: str
    target: float | None


LINES = (
    Line("pairs", "sentence-pairs", "180 steps", 0.84),
    Line("pairs", "sentence-pairs", "540 steps", 0.84),
    Line("matryoshka", "sentence-pairs(matryoshka=(64,))", "180 steps", 0.84),
    Line("simcse", "simcse", "80 steps", None),
)


def main() -> None:
    place = Path(os.environ.get("MANYWAYS_MODELS") or ROOT / ".models") / "all-MiniLM-L6-v2"
    if not place.is_dir():
        raise SystemExit(f"{place} is not there; `make models` fetches it.")
    groups = sys.argv[1:] or ["frozen", *sorted({line.group for line in LINES})]
    data = mw.read(str(data_folder("stsb")), input=TEXTS, label=SCORE)
    if "frozen" in groups:
        show("frozen", mw.load(place), data, None, 0.0)
    for line in LINES:
        if line.group not in groups:
            continue
        began = time.process_time()
        model = parse_method(line.method).with_backbone(str(place)).fit(data, budget=line.budget, seed=0)
        show(f"{line.method}, {line.budget}", model, data, line.target, time.process_time() - began)


def show(title: str, model: mw.Model, data: mw.Data, target: float | None, seconds: float) -> None:
    scores = model.evaluate(data.test)
    verdict = "" if target is None else f" (target {target}, {'reached' if scores['spearman'] >= target else 'missed'})"
    print(
        f"{title}: Spearman {scores['spearman']:.4f}{verdict}, Pearson {scores['pearson']:.4f}; "
        f"{seconds:.0f} s of processor time",
        flush=True,
    )
    for size in getattr(model, "matryoshka", ()):
        first, second = (model.embed(data.test.with_inputs([name]), size=size) for name in TEXTS)
        cosines, truth = (first * second).sum(1), data.test.take(SCORE).astype(float)
        print(f"  its first {size} features: {correlations(cosines, truth)['spearman']:.4f}", flush=True)


if __name__ == "__main__":
    main()
